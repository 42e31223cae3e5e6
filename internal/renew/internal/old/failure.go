package old

import (
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

// backoff remembers why the last fetch failed, and until when nobody asks WeChat again.
type backoff struct {
	err     error
	refused string // the value whose renewal failed; "" for any
	wait    time.Duration
	until   time.Time
}

// fail notes a failed fetch. One that only a person can mend is left alone for a minute, doubling to ten; any other
// for two seconds, doubling to twenty.
func (b *backoff) fail(err error, now time.Time, shorten func(time.Duration) time.Duration) {
	first, most := 2*time.Second, 20*time.Second
	if lasting(err) {
		first, most = time.Minute, 10*time.Minute
	}
	b.err = err
	b.wait = min(max(2*b.wait, first), most)
	b.until = now.Add(shorten(b.wait))
}

// remembered is the failure that still stands, or nil.
func (b *backoff) remembered(now time.Time) error {
	if b.err == nil || !now.Before(b.until) {
		return nil
	}
	return &rememberedError{b.err, b.until.Sub(now).Round(time.Second)}
}

// rememberedError repeats an earlier failure.
type rememberedError struct {
	err  error
	next time.Duration
}

func (e *rememberedError) Error() string { return fmt.Sprintf("%v; next try in %s", e.err, e.next) }
func (e *rememberedError) Unwrap() error { return e.err }

func isRemembered(err error) bool {
	var e *rememberedError
	return errors.As(err, &e)
}

// Transient marks a failure of Fetch as one that mends itself, whatever code it wraps.
func Transient(err error) error { return &transientError{err} }

type transientError struct{ error }

func (e *transientError) Unwrap() error { return e.error }

// lasting tells whether err is a refusal that stays until a person changes something: a wrong secret, an IP address
// not whitelisted, a quota used up.
func lasting(err error) bool {
	var refusal *wechat.Error
	var transient *transientError
	if errors.As(err, &transient) || !errors.As(err, &refusal) {
		return false
	}
	switch refusal.Code {
	case wechat.ErrBusy, wechat.ErrMinuteQuota, wechat.ErrConcurrency:
		return false
	}
	return true
}
