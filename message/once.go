package message

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/wetoken/wetoken/internal/once"
)

// WeChat sends a message again when it has no answer after five seconds, three times in all, and each time hangs up.
// That makes one message of up to three requests, which may reach different processes. One of them runs the handler;
// all wait for what it answers, and the one that is there when it is ready takes the answer.
const (
	patience   = 5 * time.Second // WeChat's
	tries      = 3
	lastAnswer = patience - 500*time.Millisecond                        // the last request is answered by then, or the user reads that the service is down
	lastLook   = 200 * time.Millisecond                                 // for a last look at the store, after that
	lastCall   = (tries-1)*patience + lastAnswer - 100*time.Millisecond // an answer made by then has somebody to take it
	runTime    = tries * patience                                       // what a handler has
	overTime   = runTime + 500*time.Millisecond                         // nobody asks any more
	holdTime   = patience + time.Second                                 // for a request whose end we are not told of, as behind some proxies

	markLife  = 25 * time.Minute // longer than any signature is accepted: 10 minutes to either side of our clock
	lookEvery = 100 * time.Millisecond
	countAt   = time.Second // a request that waits this long is counted
	storeMax  = time.Second
)

var (
	// errGone is a request that ended without an answer: WeChat has hung up, and asks again.
	errGone = errors.New("message: WeChat hung up before there was an answer")

	// errUnstored is a message that must not be acknowledged yet, as nobody would send it again.
	errUnstored = errors.New("message: its copies could not be stored in time")
)

// outcome is what a handler's run came to.
type outcome struct {
	text  string // the reply, not yet encrypted; "" for none
	reply Reply  // the same, to be sent actively …
	late  bool   // … if nobody takes it in time
	now   bool   // … at once, as it cannot be an answer
	err   error
}

// once returns the answer to m, whichever process makes it.
func (in *Receiver) once(ctx context.Context, arrived time.Time, m *Message, named []backend) (text string, err error) {
	r := &request{Receiver: in, m: m, named: named, arrived: arrived,
		work:   once.Work{Store: in.store, Key: in.onceKey(m), Life: markLife},
		stored: make(chan struct{}), gone: make(chan struct{})}
	defer close(r.gone)
	timely, cancel := context.WithDeadline(ctx, r.arrived.Add(lastAnswer+lastLook)) // a store that hangs must not outlast WeChat
	defer cancel()
	if !r.claim(ctx) {
		if text, ok := r.look(timely); ok {
			return text, nil
		}
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	hold, count := time.NewTimer(holdTime), time.NewTimer(countAt)
	defer hold.Stop()
	defer count.Stop()
	var last <-chan time.Time
	counted := false
	for {
		select {
		case o := <-r.done:
			if o.err != nil && !counted && !r.alone {
				_, _ = in.count(timely, r.work.Key) // WeChat has one try less; if that is not known, a later one is held too long
			}
			return o.text, o.err
		case <-look.C:
			if r.done != nil {
				break
			}
			if text, ok := r.look(timely); ok {
				return text, nil
			}
		case <-count.C:
			counted = true
			if r.last(timely) {
				timer := time.NewTimer(lastAnswer - time.Since(r.arrived))
				defer timer.Stop()
				last = timer.C
			}
		case <-last:
			if r.done != nil {
				return "", r.unstored()
			}
			text, _, _ := r.read(timely) // it may have come since the last look
			return text, nil
		case <-ctx.Done():
			return "", errGone
		case <-hold.C:
			return "", errGone
		}
	}
}

// request is one of the requests for a message.
type request struct {
	*Receiver
	m       *Message
	named   []backend
	arrived time.Time

	work   once.Work
	alone  bool          // the store did not answer: nobody else knows of this
	stored chan struct{} // closed when the run has stored the copies
	done   chan outcome  // of the run that this request began, nil if it began none
	gone   chan struct{} // closed when the request ends
}

// last tells whether WeChat asks no more after this request. If the store cannot tell, the one that runs the handler
// takes itself for the last: it knows whether the message may be acknowledged.
func (r *request) last(ctx context.Context) bool {
	if r.alone {
		return true
	}
	n, err := r.count(ctx, r.work.Key)
	return n >= tries || err != nil && r.done != nil
}

// unstored is errUnstored until the copies are stored.
func (r *request) unstored() error {
	select {
	case <-r.stored:
		return nil
	default:
		return errUnstored
	}
}

// claim begins the run, if nobody has yet.
func (r *request) claim(ctx context.Context) bool {
	ctx = context.WithoutCancel(ctx)
	claimed, err := r.work.Claim(ctx)
	if err != nil {
		// Better twice than not at all.
		r.log.ErrorContext(ctx, "message: the store does not answer, a repeat would be handled again", "error", err)
		r.alone = true
	}
	if !claimed && err == nil {
		return false
	}
	r.done = make(chan outcome)
	go r.run(ctx)
	return true
}

// look finds the answer of somebody else's run, and takes the run over if there is none any more.
func (r *request) look(ctx context.Context) (text string, ok bool) {
	text, ok, there := r.read(ctx)
	if !there {
		r.claim(ctx)
	}
	return text, ok
}

// read finds the answer of a run that is over. there is false when there is no run at all.
func (r *request) read(ctx context.Context) (text string, ok, there bool) {
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
		} // else the next look tells
	}
	return "", false, true
}

// run makes the answer, and outlives the request if it must.
func (r *request) run(ctx context.Context) {
	stop := r.work.KeepClaim(ctx)
	o := r.answer(ctx)
	stop()
	taken := false
	select {
	case r.done <- o:
		taken = true
	case <-r.gone:
	}
	r.save(ctx, o, taken)
	switch {
	case o.now:
		r.sendLate(ctx, o)
	case taken || !o.late || o.err != nil:
		if !taken && o.err != nil {
			r.log.ErrorContext(ctx, "message: its handler failed when WeChat had hung up", "message", r.m.String(), "error", o.err)
		}
	default:
		<-time.After(overTime - time.Since(r.arrived))
		replaced, err := r.work.Replace(ctx, once.Record{State: once.Waiting, Text: o.text}, once.Record{State: once.Done})
		switch {
		case replaced, err != nil && r.alone:
			r.sendLate(ctx, o)
		case err != nil: // perhaps it was taken; the user is not to read it twice
			r.log.ErrorContext(ctx, "message: a late reply was not sent, the store does not answer", "message", r.m.String(), "error", err)
		}
	}
}

// save leaves the outcome of the run for other requests: after an error none, so that the next one runs it again, if
// there can be a next one. taken reports whether the reply has been taken already.
func (r *request) save(ctx context.Context, o outcome, taken bool) {
	record := once.Record{State: once.Done, Text: o.text}
	switch {
	case o.err != nil && time.Since(r.arrived) < lastCall:
		record = once.Record{}
	case o.late && !taken:
		record.State = once.Waiting
	}
	if err := r.work.Save(ctx, record); err != nil && !r.alone {
		r.log.ErrorContext(ctx, "message: the store does not answer, a repeat would be handled again", "error", err)
	}
}

// answer runs the handler and asks the backends. A panic on the way is an error.
func (r *request) answer(ctx context.Context) (o outcome) {
	defer func() {
		if v := recover(); v != nil {
			o = outcome{err: fmt.Errorf("message: panic: %v\n%s", v, debug.Stack())}
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	a, err := r.forward.forward(ctx, outgoing{r.m, deliveryID(r.work.Key), r.named, r.stored}, r.dispatch)
	if err != nil || a.reply == nil {
		return outcome{err: err}
	}
	text, err := plaintext(r.m, a.reply)
	if err != nil && a.late {
		return outcome{reply: a.reply, now: true}
	}
	return outcome{text: text, reply: a.reply, late: a.late && text != "", err: err}
}

// plaintext is a reply to m as it is before it is encrypted, "" for none.
func plaintext(m *Message, r Reply) (string, error) {
	if r == nil {
		return "", nil
	}
	e := encoder{json: m.origin.json}
	if err := r.encode(&e, m); err != nil {
		return "", err
	}
	return string(e.buf), nil
}
