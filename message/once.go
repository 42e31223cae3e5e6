package message

import (
	"context"
	"errors"
	"time"

	"github.com/wetoken/wetoken/internal/once"
)

// WeChat closes a request that has no response after five seconds and sends the message again, three times in all. So
// there are up to three requests for a message, which may reach different processes. One of them runs the handler, and
// all wait for its outcome. The request that is open when the outcome is ready responds with it.
const (
	requestTimeout = 5 * time.Second
	maxTries       = 3

	// answerTimeout bounds the last request: without a response WeChat tells the user that the service is down.
	// lastReadTimeout is for a last read of the store after that.
	answerTimeout   = requestTimeout - 500*time.Millisecond
	lastReadTimeout = 200 * time.Millisecond

	// replyTimeout is the time for a reply that the last request can still respond with.
	replyTimeout = (maxTries-1)*requestTimeout + answerTimeout - 100*time.Millisecond

	runTimeout  = maxTries * requestTimeout         // of a handler
	lateDelay   = runTimeout + 500*time.Millisecond // no request is open after that
	holdTimeout = requestTimeout + time.Second      // of a request behind a proxy that hides its end
	recordTTL   = 25 * time.Minute                  // longer than a signature is valid: maxAge before and after

	readInterval = 100 * time.Millisecond // between reads of the outcome of another process
	countDelay   = time.Second            // a request that waits this long is counted as a try
	storeTimeout = time.Second            // of one call of the store
)

var (
	// errHungUp is the error of a request that ended without a response. WeChat sends the message again.
	errHungUp = errors.New("message: WeChat hung up before the reply was ready")

	// errCopiesNotStored is the error of a message that must not be acknowledged yet, or WeChat would not send it again.
	errCopiesNotStored = errors.New("message: copies could not be stored in time")
)

// request is one of the requests for a message.
type request struct {
	*Receiver
	m       *Message
	extra   []backend
	arrived time.Time

	work        once.Work
	storeFailed bool          // the claim is not in the store
	copied      chan struct{} // closed when the run has stored the copies
	done        chan outcome  // of the run that this request started, nil if it started none
	ended       chan struct{} // closed when the request ends
}

// answerOnce returns the reply to m, whichever process makes it.
func (in *Receiver) answerOnce(ctx context.Context, arrived time.Time, m *Message, extra []backend) (text string, err error) {
	r := &request{Receiver: in, m: m, extra: extra, arrived: arrived,
		work:   once.Work{Store: in.store, Key: in.recordKey(m), TTL: recordTTL},
		copied: make(chan struct{}), ended: make(chan struct{})}
	defer close(r.ended)
	// A store that hangs must not delay the response.
	storeCtx, cancel := context.WithDeadline(ctx, r.arrived.Add(answerTimeout+lastReadTimeout))
	defer cancel()
	if !r.claimRun(ctx) {
		if text, ok := r.readOrTakeOver(storeCtx); ok {
			return text, nil
		}
	}
	return r.wait(ctx, storeCtx)
}

// wait waits for the outcome of the run, of this process or another, until this request has to end.
func (r *request) wait(ctx, storeCtx context.Context) (text string, err error) {
	read := time.NewTicker(readInterval)
	defer read.Stop()
	hold, count := time.NewTimer(holdTimeout), time.NewTimer(countDelay)
	defer hold.Stop()
	defer count.Stop()
	var answer <-chan time.Time // fires when the last request must be answered
	counted := false
	for {
		select {
		case o := <-r.done:
			if o.err != nil && !counted && !r.storeFailed {
				_, _ = r.addTry(storeCtx, r.work.Key) // uncounted, it makes a later request wait too long
			}
			return o.text, o.err
		case <-read.C:
			if r.done != nil {
				break
			}
			if text, ok := r.readOrTakeOver(storeCtx); ok {
				return text, nil
			}
		case <-count.C:
			counted = true
			if r.countTry(storeCtx) {
				timer := time.NewTimer(answerTimeout - time.Since(r.arrived))
				defer timer.Stop()
				answer = timer.C
			}
		case <-answer:
			if r.done != nil {
				return "", r.checkCopied()
			}
			text, _, _ := r.readOutcome(storeCtx)
			return text, nil
		case <-ctx.Done():
			return "", errHungUp
		case <-hold.C:
			return "", errHungUp
		}
	}
}

// countTry counts this request, and reports whether WeChat sends the message no more after it. If the store fails, the
// request that runs the handler is the last: it knows whether the message may be acknowledged.
func (r *request) countTry(ctx context.Context) bool {
	if r.storeFailed {
		return true
	}
	n, err := r.addTry(ctx, r.work.Key)
	return n >= maxTries || err != nil && r.done != nil
}

// checkCopied returns errCopiesNotStored until the copies are stored.
func (r *request) checkCopied() error {
	select {
	case <-r.copied:
		return nil
	default:
		return errCopiesNotStored
	}
}

// claimRun starts the run, and returns false if another request has. If the store fails the run starts without a claim:
// a message that is handled twice is better than one that is lost.
func (r *request) claimRun(ctx context.Context) bool {
	ctx = context.WithoutCancel(ctx)
	claimed, err := r.work.Claim(ctx)
	if err != nil {
		r.log.ErrorContext(ctx, "message: store failed, a repeat would be handled again", "error", err)
		r.storeFailed = true
	}
	if !claimed && err == nil {
		return false
	}
	r.done = make(chan outcome)
	go r.run(ctx)
	return true
}

// readOrTakeOver reads the outcome of another request's run, and starts a run if there is none any more.
func (r *request) readOrTakeOver(ctx context.Context) (text string, ok bool) {
	text, ok, recorded := r.readOutcome(ctx)
	if !recorded {
		r.claimRun(ctx)
	}
	return text, ok
}

// readOutcome returns the reply of a run that has ended. recorded is false if there is neither a claim nor an outcome.
func (r *request) readOutcome(ctx context.Context) (text string, ok, recorded bool) {
	record, err := r.work.Read(ctx)
	if err != nil {
		return "", false, true
	}
	switch record.State {
	case once.Absent:
		return "", false, false
	case once.Done:
		return record.Text, true, true
	case once.Waiting:
		taken, err := r.work.Replace(ctx, record, once.Record{State: once.Done, Text: record.Text})
		if taken && err == nil {
			return record.Text, true, true
		}
	}
	return "", false, true
}
