package renew

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/store"
)

// ration limits how often a value may be renewed because it was refused.
type ration struct {
	name         string
	perDay       int
	perCallerDay int
	apart        time.Duration // the least time between two renewals
}

// WeChat forces 20 refreshes of an app a day, and ends its classic tokens 2 000 times, ordinary renewals included.
var (
	forcings = ration{"/forced", 20, 10, 31 * time.Second} // 30 s by WeChat's clock
	renewals = ration{"/renewed", 400, 100, 0}
)

// ErrRationed is the failure to renew a refused value because of a ration. Of forced refreshes an app has 20 a day, and
// one caller 10, 31 seconds apart: WeChat silently ignores further ones. Of classic tokens that are refused 400 are
// renewed a day, and 100 for one caller.
var ErrRationed = errors.New("renewals of refused values are rationed")

type callerKey struct{}

// WithCaller names the caller that a renewal is for, so that one caller cannot use up the ration of all.
func WithCaller(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, callerKey{}, name)
}

// spent is the part of a ration that was used on one day.
type spent struct {
	Day   string `json:"day"` // in China, by whose time WeChat counts days
	Count int    `json:"count"`
}

// spendRation takes one renewal from the rations of the caller and of the app.
func (k *Keeper) spendRation(ctx context.Context, r ration) error {
	app := k.Key + r.name
	caller, called := ctx.Value(callerKey{}).(string)
	if _, _, err := nextSpent(ctx, k.Store, app, r.perDay); err != nil { // before the caller's is spent in vain
		return err
	}
	if called {
		if _, _, err := nextSpent(ctx, k.Store, app+"/"+caller, r.perCallerDay); err != nil {
			return err
		}
	}
	if r.apart > 0 { // by the clock of the store, as those of processes differ
		_, ok, err := k.takeLease(ctx, r.name+"/apart", r.apart)
		if err != nil {
			return fmt.Errorf("write ration: %w", err)
		}
		if !ok {
			return fmt.Errorf("%w: the next may be made in %s at most", ErrRationed, r.apart)
		}
	}
	if called {
		if err := spendOne(ctx, k.Store, app+"/"+caller, r.perCallerDay); err != nil {
			return err
		}
	}
	return spendOne(ctx, k.Store, app, r.perDay)
}

// spendOne takes one from the ration under key.
func spendOne(ctx context.Context, s store.Store, key string, most int) error {
	for {
		was, next, err := nextSpent(ctx, s, key, most)
		if err != nil {
			return err
		}
		swapped, err := s.Swap(ctx, key, was, next, 48*time.Hour)
		if err != nil {
			return fmt.Errorf("write ration: %w", err)
		}
		if swapped {
			return nil
		}
	}
}

// nextSpent returns the record under key, and the one to write there once one more is spent. An invalid record counts as
// none.
func nextSpent(ctx context.Context, s store.Store, key string, most int) (was, next []byte, err error) {
	raw, ok, err := s.Get(ctx, key)
	if err != nil {
		return nil, nil, fmt.Errorf("read ration: %w", err)
	}
	var old spent
	if ok && (len(raw) > maxRecord || json.Unmarshal(raw, &old) != nil || old.Count < 0) {
		old = spent{}
	}
	more := spent{Day: time.Now().In(china).Format(time.DateOnly), Count: 1}
	if old.Day == more.Day {
		more.Count = min(old.Count, most) + 1
	}
	if more.Count > most {
		return nil, nil, fmt.Errorf("%w: %d were made today", ErrRationed, most)
	}
	if next, err = json.Marshal(more); err != nil {
		return nil, nil, fmt.Errorf("write ration: %w", err)
	}
	if !ok {
		raw = nil
	}
	return raw, next, nil
}

var china = time.FixedZone("China", 8*60*60)
