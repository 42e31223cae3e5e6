package renew

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

// Where each fetch ends the value before, a fetch whose outcome is not known may yet reach WeChat, and end a value that
// was fetched after it. So a lease is taken before each fetch, and released once the outcome is known; a process that is
// killed leaves it behind. While another process holds it, the next value comes from Alone, and no such fetch can end it.

// maxCallDelay is how long after its start a fetch may reach WeChat, even if its caller gave up. It is shorter than the
// life that announce leaves to the value that such a fetch ends.
const maxCallDelay = 2 * time.Minute

// errUnanswered is the failure to fetch because the current value may not be the latest that WeChat made: a fetch would
// end it at once, while other processes serve it.
var errUnanswered = errors.New("an earlier fetch has not been answered")

// noteCall records that a fetch begins.
func (k *Keeper) noteCall(ctx context.Context, s state) (state, error) {
	if s.mayLackLatest(time.Now()) {
		return s, errUnanswered
	}
	call, ok, err := k.takeLease(ctx, "/unanswered", maxCallDelay)
	if err != nil {
		return s, err
	}
	if !ok {
		return s, errUnanswered
	}
	s.call, s.unanswered, s.callLost = call, time.Now().Add(maxCallDelay), false
	return s, nil
}

// renoteCall records again, in a store that lost it, that a fetch of this process was not answered. The value that such a
// fetch ends may by then have been written back, and be served for longer than announce left to it. A value that another
// process fetched meanwhile is cut to the time in which WeChat accepts it even so.
func (k *Keeper) renoteCall(ctx context.Context, s state) (state, error) {
	left := time.Until(s.unanswered)
	if left <= 0 {
		return s, nil
	}
	_, lost, err := k.takeLease(ctx, "/unanswered", left+3*maxClockSkew)
	if err != nil {
		return s, err
	}
	s.callLost = s.callLost || lost
	r := s.stored
	if !s.callLost || r == nil || r.Asked || r.Brief || s.current == nil || s.current.Value != r.Value || s.current.record.Asked {
		return s, nil
	}
	held := k.hold(r.endingBy(s.unanswered.Add(-maxCallDelay)), time.Now(), false)
	s, swapped, err := k.write(ctx, s, held.record, held.storeTTL(time.Now(), s.overlaps))
	if swapped {
		s.current, s.callLost = held, false
	}
	return s, err
}

// clearCall records that the outcome of the fetch is known.
func (k *Keeper) clearCall(ctx context.Context, s state) (state, error) {
	s.unanswered = time.Time{}
	return s, release(ctx, s.call)
}

// outcomeKnown reports whether err, the result of a fetch, shows its effect: WeChat answered, or was never reached.
func outcomeKnown(err error) bool {
	var refusal *wechat.Error
	var dial *net.OpError
	return err == nil || errors.As(err, &refusal) || errors.Is(err, ErrStillRefused) || errors.As(err, &dial) && dial.Op == "dial"
}
