package gateway

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/wetoken/wetoken/store"
)

// An app with payments whose registration has ended is not removed by the store, since orders may be open. It is listed under the
// day on which it is to be removed, in one of some lists for that day; sweepEnded reads these lists.
const (
	endShards     = 4
	sweepInterval = time.Hour
	sweepLease    = 50 * time.Minute
	endPrefix     = "end/"
)

// endTerm returns the term of the app with an id that is to be removed at a time.
func endTerm(id string, at time.Time) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return fmt.Sprintf("%s%s/%d", endPrefix, at.UTC().Format(time.DateOnly), h.Sum32()%endShards)
}

// waitForPay waits until an app takes payments, or records of payments exist. It returns false if ctx ends before.
func (g *Gateway) waitForPay(ctx context.Context) bool {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		served := g.served.Load()
		if served.hasPay() || g.registered != nil && g.hasPayRecords(ctx) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-served.replaced:
		case <-g.payBegun:
			return true
		case <-tick.C:
		}
	}
}

// hasPayRecords reports whether the records have work of payments, such as that of another process.
func (g *Gateway) hasPayRecords(ctx context.Context) bool {
	for _, err := range g.records.Keys(ctx, "pay/due/") {
		return err == nil
	}
	for _, err := range g.records.Keys(ctx, "relay/item/") {
		return err == nil
	}
	return false
}

// beginPay starts the work in the background for payments.
func (g *Gateway) beginPay() { g.payBegin.Do(func() { close(g.payBegun) }) }

// sweepEnded removes apps with payments a day after the end of their registration, or once their payments are finished, until ctx
// ends. One process at a time does that.
func (g *Gateway) sweepEnded(ctx context.Context) {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_, held, err := store.TryLease(ctx, g.store, "registry/sweep", sweepLease) // which nobody gives back
		if err == nil && held {
			err = g.sweep(ctx)
		}
		if err != nil && !isReported(err) && ctx.Err() == nil {
			g.log.WarnContext(ctx, "apps whose registration has ended cannot be removed: this is tried again", "error", err)
		}
	}
}

// sweep removes the apps that are listed for today or an earlier day.
func (g *Gateway) sweep(ctx context.Context) (failed error) {
	now := time.Now()
	tomorrow := endPrefix + now.UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	for term, err := range g.registered.ListedTerms(ctx, appKind, endPrefix) {
		if err != nil {
			return errors.Join(failed, err)
		}
		if term >= tomorrow {
			continue
		}
		ids, err := g.registered.Listed(ctx, appKind, term)
		failed = errors.Join(failed, err)
		for _, id := range ids {
			failed = errors.Join(failed, g.removeEnded(ctx, id, term, now))
		}
	}
	return failed
}

// removeEnded removes the app with an id if it is to be removed now. An app with payments that are not finished stays listed.
func (g *Gateway) removeEnded(ctx context.Context, id, term string, now time.Time) error {
	e, ok, err := g.registered.ByID(ctx, appKind, id)
	if err != nil {
		return err
	}
	if !ok || !slices.Contains(e.Terms, term) {
		return g.registered.Unlist(ctx, appKind, term, id)
	}
	r, err := readRegisteredApp(e)
	if err != nil {
		return err
	}
	end := r.App.ExpiresAt.Add(expiredLife)
	if r.App.ExpiresAt.IsZero() || now.Before(end) {
		return nil
	}
	err = g.Apps().remove(ctx, e.Name, e.Revision, true)
	switch {
	case err == nil:
		g.log.InfoContext(ctx, "an app was removed after the end of its registration", "app", e.Name)
	case errors.As(err, new(*UnfinishedError)):
		if now.Before(end.Add(sweepInterval)) {
			g.log.InfoContext(ctx, "an app stays after the end of its registration until its payments are finished", "app", e.Name, "reason", err)
		}
		return nil
	case errors.Is(err, ErrStale), errors.Is(err, ErrNotRegistered): // it was registered anew
		return nil
	}
	return err
}
