package renew

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

// maxFetch is the longest time from taking the lease to the end of a fetch. It is shorter than the lease, so that two
// processes never fetch at once.
const maxFetch = 8 * time.Second

// fetch gets the next value from WeChat and publishes it, under the lease.
func (k *Keeper) fetch(ctx context.Context, s state, next action) (state, error) {
	leased, cancel := context.WithDeadline(ctx, s.leased.Add(maxFetch)) // a slow store has used some of it
	defer cancel()
	var err error
	if next == announceFetch {
		switch s, err = k.prepare(leased, s); {
		case errors.Is(err, errChanged):
			return s, nil
		case errors.Is(err, errUnanswered):
			if s, err = k.fetchWithoutStore(leased, s, nil); err != nil {
				return s, err
			}
			return k.publish(ctx, s, s.current)
		case errors.Is(err, ErrRationed), leased.Err() != nil: // another process may fetch by now
			return s, err
		case err != nil:
			return k.fetchWithoutStore(ctx, s, err)
		}
	}
	s, fetched, err := k.callWeChat(leased, s)
	if s.supersedes && outcomeKnown(err) {
		var failed error
		s, failed = k.clearCall(ctx, s)
		s.warning = joinErrors(s.warning, failed)
	}
	if err != nil {
		s, failed := k.withdraw(ctx, s, err)
		return s, joinErrors(err, failed)
	}
	early := s.overlaps && s.current != nil && fetched.Value == s.current.Value
	s, err = k.publish(ctx, s, fetched)
	if early { // WeChat does not issue the next value yet
		next := time.Now().Add(fetched.record.overlap() / 10)
		if usual := fetched.Expires.Add(-fetched.record.lead(k.Key, true)); k.Early && usual.After(next) {
			next = usual
		}
		s.current = s.current.renewNoSoonerThan(next)
	}
	return s, err
}

// prepare makes ready for a fetch that ends the current value.
func (k *Keeper) prepare(ctx context.Context, s state) (state, error) {
	if s.refused != "" {
		if err := k.spendRation(ctx, renewals); err != nil {
			return s, err
		}
	}
	s, err := k.noteCall(ctx, s)
	if err != nil {
		return s, err
	}
	if s, err = k.announce(ctx, s, nil); err != nil {
		s, failed := k.clearCall(ctx, s)
		return s, joinErrors(err, failed)
	}
	return s, nil
}

// callWeChat gets a value other than the refused one from WeChat, or remembers the error.
func (k *Keeper) callWeChat(ctx context.Context, s state) (state, *Kept, error) {
	if ctx.Err() != nil {
		return s, nil, fmt.Errorf("ask WeChat: no time is left: %w", context.Cause(ctx))
	}
	start := time.Now()
	c, err := k.Fetch(ctx)
	if err != nil {
		s.backoff = s.backoff.next(err, time.Now(), k.shorten)
		return s, nil, err
	}
	s.backoff, s.fetched = backoff{}, c.Value
	next := s.decide(fetchDone, time.Now())
	err = next.err
	if next.action == callForce {
		s, start, c, err = k.forceNew(ctx, s, newRecord(c, start, s.nextGen(start)))
	}
	if err != nil {
		s.denied.refused = s.refused
		s.denied = s.denied.next(err, time.Now(), k.shorten)
		return s, nil, err
	}
	s.denied = backoff{}
	gen := s.nextGen(start)
	if s.announced != nil {
		gen = s.announced.Gen + 1
	}
	return s, k.hold(newRecord(c, start, gen), start, true), nil
}

// forceNew makes WeChat issue a new value in place of current, within the ration.
func (k *Keeper) forceNew(ctx context.Context, s state, current *record) (_ state, start time.Time, c wechat.Credential, err error) {
	if err = k.spendRation(ctx, forcings); err != nil {
		return s, start, c, err
	}
	if s, err = k.announce(ctx, s, current); err != nil {
		return s, start, c, err
	}
	start = time.Now()
	if c, err = k.Force(ctx); err != nil {
		return s, start, c, err
	}
	s.fetched = c.Value
	return s, start, c, s.decide(lastDone, time.Now()).err
}

// fetchWithoutStore gets the next value for this process alone if it needs one, because the store failed with cause.
func (k *Keeper) fetchWithoutStore(ctx context.Context, s state, cause error) (state, error) {
	next := s.decide(storeFailed, time.Now())
	switch {
	case next.action == serveCurrent:
		return s, cause
	case ctx.Err() != nil:
		return s, joinErrors(cause, context.Cause(ctx))
	case next.action == returnError:
		return s, joinErrors(next.err, cause)
	}
	ctx, cancel := context.WithTimeout(ctx, maxFetch)
	defer cancel()
	call := k.Alone
	if call == nil {
		call = k.Fetch
	}
	start := time.Now()
	c, err := call(ctx)
	if err != nil {
		s.backoff = s.backoff.next(err, time.Now(), k.shorten)
		return s, joinErrors(err, cause)
	}
	s.backoff, s.fetched = backoff{}, c.Value
	if err := s.decide(lastDone, time.Now()).err; err != nil {
		s.denied.refused = s.refused
		s.denied = s.denied.next(err, time.Now(), k.shorten)
		return s, joinErrors(err, cause)
	}
	current := k.hold(newRecord(c, start, s.nextGen(start)), start, true)
	current.alone = true
	s.current, s.seen = current, start
	return s, cause
}
