package renew

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechat"
)

func TestDecide(t *testing.T) {
	var (
		now     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		stable  = mode{overlaps: true, forces: true}
		ticket  = mode{overlaps: true}
		classic = mode{overlaps: true, supersedes: true}
		work    = mode{}
		denied  = errors.New("40164")
		failing = backoff{err: denied, until: now.Add(time.Minute)}
	)
	// held returns a value of two hours whose end is left away.
	held := func(value string, left time.Duration) *Kept {
		end := now.Add(left)
		return &Kept{
			Credential: wechat.Credential{Value: value, Expires: end},
			RenewAfter: end.Add(-5 * time.Minute), WaitAfter: end.Add(-time.Minute), ServeUntil: end,
			record: &record{Value: value, Expires: end.UnixMilli(), Life: (2 * time.Hour).Milliseconds(), Gen: now.Add(left - 2*time.Hour).UnixMilli()},
		}
	}
	stored := func(k *Kept) *record { return k.record }
	with := func(r *record, change func(*record)) *record {
		c := *r
		change(&c)
		return &c
	}
	asked := func(r *record) { r.Asked = true }
	fresh, due, late, over := held("v", time.Hour), held("v", 4*time.Minute), held("v", 30*time.Second), held("v", -time.Second)
	alone := *fresh
	alone.alone = true
	none := &record{Gen: now.UnixMilli(), Asked: true}

	for _, c := range []struct {
		name string
		at   stage
		s    state
		want action
	}{
		// The store was read, and holds the current value or a later one.
		{"nothing is known", storeRead, state{mode: stable}, takeLease},
		{"a fresh value", storeRead, state{mode: stable, stored: stored(fresh), current: fresh}, serveCurrent},
		{"a due value", storeRead, state{mode: stable, stored: stored(due), current: due}, takeLease},
		{"a late value", storeRead, state{mode: stable, stored: stored(late), current: late}, takeLease},
		{"a value that is over", storeRead, state{mode: stable, stored: stored(over), current: over}, takeLease},
		{"a due value of work", storeRead, state{mode: work, stored: stored(due), current: due}, serveCurrent},
		{"a late value of work", storeRead, state{mode: work, stored: stored(late), current: late}, serveCurrent},
		{"a value of work that is over", storeRead, state{mode: work, stored: stored(over), current: over}, takeLease},

		// The current value was refused.
		{"the stored value was refused", storeRead, state{mode: stable, refused: "v", stored: stored(fresh), current: fresh}, takeLease},
		{"an earlier value was refused", storeRead, state{mode: stable, refused: "u", stored: stored(fresh), current: fresh}, serveCurrent},
		{"the stored value of work was refused", storeRead, state{mode: work, refused: "v", stored: stored(fresh), current: fresh}, takeLease},

		// An earlier call failed.
		{"calls fail", storeRead, state{mode: stable, memory: memory{backoff: failing}}, returnError},
		{"calls fail, and a due value is held", storeRead, state{mode: stable, memory: memory{backoff: failing}, stored: stored(due), current: due}, returnError},
		{"calls fail, and a fresh value is held", storeRead, state{mode: stable, memory: memory{backoff: failing}, stored: stored(fresh), current: fresh}, serveCurrent},
		{"calls failed a while ago", storeRead, state{mode: stable, memory: memory{backoff: backoff{err: denied, until: now}}}, takeLease},
		{"renewals of the refused value fail", storeRead, state{mode: stable, refused: "v", memory: memory{denied: backoff{err: denied, refused: "v", until: now.Add(1)}}}, returnError},
		{"renewals of another value fail", storeRead, state{mode: stable, refused: "v", memory: memory{denied: backoff{err: denied, refused: "u", until: now.Add(1)}}}, takeLease},
		{"an ordinary read while renewals of a value fail", storeRead, state{mode: stable, memory: memory{denied: backoff{err: denied, refused: "v", until: now.Add(1)}}}, takeLease},

		// Each fetch ends the value before.
		{"another process fetches", storeRead, state{mode: classic, stored: with(stored(late), asked), current: late}, serveCurrent},
		{"another process fetches, and its value was refused", storeRead, state{mode: classic, refused: "v", stored: with(stored(late), asked), current: late}, takeLease},
		{"another process fetches the first value", storeRead, state{mode: classic, stored: none}, takeLease},
		{"a value was asked for by force", storeRead, state{mode: stable, stored: with(stored(due), asked), current: due}, takeLease},
		{"other processes may not know the last value", storeRead, state{mode: classic, memory: memory{gen: now.UnixMilli(), genSince: now.Add(-time.Second)}, refused: "v", stored: with(stored(fresh), func(r *record) { r.Gen = now.UnixMilli() }), current: fresh}, waitFirst},
		{"other processes know the last value", storeRead, state{mode: classic, memory: memory{gen: now.UnixMilli(), genSince: now.Add(-settleTime)}, refused: "v", stored: with(stored(fresh), func(r *record) { r.Gen = now.UnixMilli() }), current: fresh}, takeLease},
		{"the last value is old and read for the first time", storeRead, state{mode: classic, memory: memory{gen: stored(fresh).Gen, genSince: now}, refused: "v", stored: stored(fresh), current: fresh}, takeLease},
		{"no fetch ends a value", storeRead, state{mode: stable, memory: memory{gen: now.UnixMilli(), genSince: now}, refused: "v", stored: with(stored(fresh), func(r *record) { r.Gen = now.UnixMilli() }), current: fresh}, takeLease},

		// The store lost the current value.
		{"the store is empty", storeRead, state{mode: stable, current: fresh}, writeBack},
		{"the store is empty, and a due value is held", storeRead, state{mode: stable, current: due}, writeBack},
		{"the store is empty, and a late value is held", storeRead, state{mode: stable, current: late}, takeLease},
		{"the store is empty, and the held value was refused", storeRead, state{mode: stable, refused: "v", current: fresh}, takeLease},
		{"the store holds an older value", storeRead, state{mode: stable, stored: with(stored(fresh), func(r *record) { r.Gen-- }), current: fresh}, writeBack},
		{"the store was seen full just now", storeRead, state{mode: classic, memory: memory{seen: now.Add(-3 * time.Minute)}, current: fresh}, writeBack},
		{"the store was seen full some time ago", storeRead, state{mode: classic, memory: memory{seen: now.Add(-3*time.Minute - 1)}, current: fresh}, dropCurrent},
		{"the store was seen full some time ago, and no process ends the value", storeRead, state{mode: classic, memory: memory{seen: now.Add(-time.Hour)}, current: &alone}, writeBack},
		{"the store holds an older value of another process", storeRead, state{mode: classic, memory: memory{seen: now.Add(-time.Hour)}, stored: with(stored(fresh), func(r *record) { r.Gen-- }), current: fresh}, writeBack},

		// The value was written back or dropped.
		{"a fresh value was written back", storeSynced, state{mode: stable, current: fresh}, serveCurrent},
		{"a due value was written back", storeSynced, state{mode: stable, stored: stored(due), current: due}, takeLease},
		{"the value was dropped", storeSynced, state{mode: classic}, takeLease},

		// The lease.
		{"another process renews a good value", leaseBusy, state{mode: stable, current: due}, serveCurrent},
		{"another process renews a late value", leaseBusy, state{mode: stable, current: late}, waitFirst},
		{"another process renews the refused value", leaseBusy, state{mode: stable, refused: "v", current: fresh}, waitFirst},
		{"another process gets the first value", leaseBusy, state{mode: stable}, waitFirst},
		{"another process has renewed the value", leaseHeld, state{mode: stable, stored: stored(fresh), current: fresh}, serveCurrent},
		{"the lease is ours", leaseHeld, state{mode: stable, stored: stored(due), current: due}, callFetch},
		{"the lease is ours, and fetches end values", leaseHeld, state{mode: classic, stored: stored(due), current: due}, announceFetch},
		{"the lease is ours, and an unanswered fetch may end the value", leaseHeld, state{mode: classic, stored: with(stored(late), asked), current: late}, serveCurrent},
		{"the store lost everything meanwhile", leaseHeld, state{mode: classic, memory: memory{seen: now}, current: due}, writeBack},
		{"the store lost everything long ago", leaseHeld, state{mode: classic, current: due}, dropCurrent},
		{"the store lost everything, and no fetch ends a value", leaseHeld, state{mode: stable, current: due}, callFetch},

		// WeChat answered.
		{"a value", fetchDone, state{mode: stable, fetched: "w"}, publishValue},
		{"another value than the refused one", fetchDone, state{mode: stable, refused: "v", fetched: "w"}, publishValue},
		{"the refused value", fetchDone, state{mode: stable, refused: "v", fetched: "v"}, callForce},
		{"the refused value, and there is no force", fetchDone, state{mode: ticket, refused: "v", fetched: "v"}, returnError},
		{"the refused value after force", lastDone, state{mode: stable, refused: "v", fetched: "v"}, returnError},
		{"another value after force", lastDone, state{mode: stable, refused: "v", fetched: "w"}, publishValue},

		// The store failed.
		{"without the store, with a fresh value", storeFailed, state{mode: stable, current: fresh}, serveCurrent},
		{"without the store, with a due value", storeFailed, state{mode: stable, current: due}, callAlone},
		{"without the store and a value", storeFailed, state{mode: work}, callAlone},
		{"without the store, with the refused value", storeFailed, state{mode: stable, refused: "v", current: fresh}, callAlone},
		{"without the store, and calls fail", storeFailed, state{mode: stable, memory: memory{backoff: failing}}, returnError},
	} {
		t.Run(string(c.at)+"/"+c.name, func(t *testing.T) {
			got := c.s.decide(c.at, now)
			require.Equal(t, c.want, got.action)
			require.Equal(t, c.want == returnError, got.err != nil)
			if c.want == waitFirst && c.at != leaseBusy {
				require.Equal(t, 2*time.Second, got.wait)
			}
		})
	}
}
