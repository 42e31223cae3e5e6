package renew

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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
	forcings = rationing{"/forced", 20, 10, 30 * time.Second}
	renewals = rationing{"/renewed", 400, 100, 0}
)

const clocksApart = time.Minute // at most, of machines that share a store

// ErrRationed is the failure to renew a refused value because of a ration. Of forced refreshes an app has 20 a day, and
// one caller 10, 30 seconds apart: WeChat silently ignores what exceeds it. Of classic tokens that are refused 400 are
// renewed a day, and 100 for one caller.
var ErrRationed = errors.New("renewals of refused values are rationed")

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
	Last  int64  `json:"last"` // Unix milliseconds
}

// ration takes one from the caller's ration and from the app's.
func (k *Keeper) ration(ctx context.Context, r rationing) error {
	app := k.Key + r.name
	if caller, ok := ctx.Value(callerKey{}).(string); ok {
		if _, _, err := next(ctx, k.Store, app, r.aDay, r.apart); err != nil { // before the caller's is used up for nothing
			return err
		}
		if err := take(ctx, k.Store, app+"/"+caller, r.aCallerDay, r.apart); err != nil {
			return err
		}
	}
	return take(ctx, k.Store, app, r.aDay, r.apart)
}

func take(ctx context.Context, s store.Store, key string, most int, apart time.Duration) error {
	for {
		was, is, err := next(ctx, s, key, most, apart)
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

// next is what is to stand under key once one more is taken, or why none may be.
func next(ctx context.Context, s store.Store, key string, most int, apart time.Duration) (was, is []byte, err error) {
	raw, ok, err := s.Get(ctx, key)
	if err != nil {
		return nil, nil, fmt.Errorf("read ration: %w", err)
	}
	var old spent
	if ok && json.Unmarshal(raw, &old) != nil {
		old = spent{}
	}
	now := time.Now()
	one := spent{Day: now.In(china).Format(time.DateOnly), Count: 1, Last: now.UnixMilli()}
	if old.Day == one.Day {
		one.Count = old.Count + 1
	}
	if one.Count > most {
		return nil, nil, fmt.Errorf("%w: %d were made today", ErrRationed, most)
	}
	// The last one may have been made by a machine whose clock is ahead, but not by an hour.
	if wait := time.UnixMilli(old.Last).Add(apart).Sub(now); apart > 0 && wait > 0 && wait <= apart+clocksApart {
		return nil, nil, fmt.Errorf("%w: the next may be made in %s", ErrRationed, wait.Round(time.Second))
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
