package renew

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/store"
)

// WeChat's limits of forced refreshes of an app, and ours of one caller of it.
const (
	forcedADay       = 20
	forcedACallerDay = 10
	forcedApart      = 30 * time.Second
	clocksApart      = time.Minute // at most, of machines that share a store
)

// ErrRationed is the failure to force a refresh because of its ration: 20 a day for an app, 10 for one caller, and 30
// seconds between any two. WeChat silently ignores what exceeds it.
var ErrRationed = errors.New("forced refreshes are rationed")

type callerKey struct{}

// WithCaller names the caller on whose behalf a renewal is asked for, so that one caller cannot use up the ration of
// forced refreshes of all.
func WithCaller(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, callerKey{}, name)
}

// spent is how much of a ration was used.
type spent struct {
	Day   string `json:"day"` // in China, where WeChat's days begin
	Count int    `json:"count"`
	Last  int64  `json:"last"` // Unix milliseconds
}

// ration takes one forced refresh from the caller's ration and from the app's.
func (k *Keeper) ration(ctx context.Context) error {
	if caller, ok := ctx.Value(callerKey{}).(string); ok {
		if err := take(ctx, k.Store, k.Key+"/forced/"+caller, forcedACallerDay); err != nil {
			return err
		}
	}
	return take(ctx, k.Store, k.Key+"/forced", forcedADay)
}

func take(ctx context.Context, s store.Store, key string, most int) error {
	for {
		raw, ok, err := s.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("read ration: %w", err)
		}
		var was spent
		if ok && json.Unmarshal(raw, &was) != nil {
			was = spent{}
		}
		now := time.Now()
		is := spent{Day: now.In(china).Format(time.DateOnly), Count: 1, Last: now.UnixMilli()}
		if was.Day == is.Day {
			is.Count = was.Count + 1
		}
		if is.Count > most {
			return fmt.Errorf("%w: %d were made today", ErrRationed, most)
		}
		// The last one may have been made by a machine whose clock is ahead, but not by an hour.
		if wait := time.UnixMilli(was.Last).Add(forcedApart).Sub(now); wait > 0 && wait <= forcedApart+clocksApart {
			return fmt.Errorf("%w: the next may be made in %s", ErrRationed, wait.Round(time.Second))
		}
		next, err := json.Marshal(is)
		if err != nil {
			return fmt.Errorf("write ration: %w", err)
		}
		if !ok {
			raw = nil
		}
		swapped, err := s.Swap(ctx, key, raw, next, 48*time.Hour)
		if err != nil {
			return fmt.Errorf("write ration: %w", err)
		}
		if swapped {
			return nil
		}
	}
}

var china = time.FixedZone("China", 8*60*60)
