package old

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/store"
)

// rationing is how often a value may be renewed because it was refused.
type rationing struct {
	name             string
	aDay, aCallerDay int
	apart            time.Duration
}

// WeChat forces 20 refreshes of an app a day, and ends its classic tokens 2 000 times, ordinary renewals included.
var (
	forcings = rationing{"/forced", 20, 10, 31 * time.Second} // 30 s as WeChat counts them
	renewals = rationing{"/renewed", 400, 100, 0}
)

const clocksApart = time.Minute // at most, of machines that share a store

// ErrRationed is the failure to renew a refused value because of a ration. Of forced refreshes an app has 20 a day, and
// one caller 10, 30 seconds apart: WeChat silently ignores what exceeds it. Of classic tokens that are refused 400 are
// renewed a day, and 100 for one caller.
var ErrRationed = renew.ErrRationed

type callerKey struct{}

// WithCaller names the caller on whose behalf a renewal is asked for, so that one caller cannot use up the ration of
// all.
func WithCaller(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, callerKey{}, name)
}

// spent is how much of a ration was used.
type spent struct {
	Day   string `json:"day"` // in China, where WeChat's days begin
	Count int    `json:"count"`
}

// ration takes one from the caller's ration and from the app's.
func (k *Keeper) ration(ctx context.Context, r rationing) error {
	app := k.Key + r.name
	caller, called := ctx.Value(callerKey{}).(string)
	if _, _, err := next(ctx, k.Store, app, r.aDay); err != nil { // before anything is used up for nothing
		return err
	}
	if called {
		if _, _, err := next(ctx, k.Store, app+"/"+caller, r.aCallerDay); err != nil {
			return err
		}
	}
	if r.apart > 0 { // the store's clock counts, as those of processes differ
		_, ok, err := k.take(ctx, r.name+"/apart", r.apart)
		if err != nil {
			return fmt.Errorf("write ration: %w", err)
		}
		if !ok {
			return fmt.Errorf("%w: the next may be made in %s at most", ErrRationed, r.apart)
		}
	}
	if called {
		if err := use(ctx, k.Store, app+"/"+caller, r.aCallerDay); err != nil {
			return err
		}
	}
	return use(ctx, k.Store, app, r.aDay)
}

// use takes one from the ration under key.
func use(ctx context.Context, s store.Store, key string, most int) error {
	for {
		was, is, err := next(ctx, s, key, most)
		if err != nil {
			return err
		}
		swapped, err := s.Swap(ctx, key, was, is, 48*time.Hour)
		if err != nil {
			return fmt.Errorf("write ration: %w", err)
		}
		if swapped {
			return nil
		}
	}
}

// next returns the record under key, and the one to write there once one more is taken. A record that was not written
// here counts as none.
func next(ctx context.Context, s store.Store, key string, most int) (was, is []byte, err error) {
	raw, ok, err := s.Get(ctx, key)
	if err != nil {
		return nil, nil, fmt.Errorf("read ration: %w", err)
	}
	var old spent
	if ok && (len(raw) > maxRecord || json.Unmarshal(raw, &old) != nil || old.Count < 0) {
		old = spent{}
	}
	one := spent{Day: time.Now().In(china).Format(time.DateOnly), Count: 1}
	if old.Day == one.Day {
		one.Count = min(old.Count, most) + 1
	}
	if one.Count > most {
		return nil, nil, fmt.Errorf("%w: %d were made today", ErrRationed, most)
	}
	if is, err = json.Marshal(one); err != nil {
		return nil, nil, fmt.Errorf("write ration: %w", err)
	}
	if !ok {
		raw = nil
	}
	return raw, is, nil
}

var china = time.FixedZone("China", 8*60*60)
