package message

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/wetoken/wetoken/internal/once"
)

// outcome is the outcome of a run: of the handler and the backends.
type outcome struct {
	text    string // the reply before encryption; "" for none
	reply   Reply
	late    bool // reply may be sent as a customer service message if no request takes text
	sendNow bool // reply must be sent so at once, as it cannot be a response
	err     error
}

// run makes the outcome, and continues after the request has ended.
func (r *request) run(ctx context.Context) {
	stop := r.work.KeepClaim(ctx)
	o := r.makeOutcome(ctx)
	stop()
	taken := false
	select {
	case r.done <- o:
		taken = true
	case <-r.ended:
	}
	r.saveOutcome(ctx, o, taken)
	switch {
	case o.sendNow:
		r.sendLate(ctx, o)
	case o.err != nil && !taken:
		r.log.ErrorContext(ctx, "message: handler failed after WeChat had hung up", "message", r.m.String(), "error", o.err)
	case o.err == nil && !taken && o.late:
		r.sendUntakenReply(ctx, o)
	}
}

// sendUntakenReply sends a reply that no request has taken when WeChat sends the message no more.
func (r *request) sendUntakenReply(ctx context.Context, o outcome) {
	<-time.After(lateDelay - time.Since(r.arrived))
	replaced, err := r.work.Replace(ctx, once.Record{State: once.Waiting, Text: o.text}, once.Record{State: once.Done})
	switch {
	case replaced, err != nil && r.storeFailed:
		r.sendLate(ctx, o)
	case err != nil: // a request may have taken it, and the user must not receive it twice
		r.log.ErrorContext(ctx, "message: late reply was not sent: store failed", "message", r.m.String(), "error", err)
	}
}

// saveOutcome records the outcome for other requests. After an error it removes the claim, so that the next request runs
// the handler again, if there is time for a next request. taken reports whether a request has taken the reply.
//
// A process that stalls loses its claim, and another runs the handler, too. A reply that a request has taken, or can still
// take, counts all the same. A reply that would be sent late does not: that process sends its own.
func (r *request) saveOutcome(ctx context.Context, o outcome, taken bool) {
	record, save := once.Record{State: once.Done, Text: o.text}, r.work.Save
	switch {
	case o.err != nil && time.Since(r.arrived) < replyTimeout:
		record = once.Record{}
	case o.late && !taken:
		record.State = once.Waiting
	case o.err == nil && (taken || o.text != "" && time.Since(r.arrived) < replyTimeout):
		save = r.work.SaveFirst
	}
	if err := save(ctx, record); err != nil && !r.storeFailed {
		r.log.ErrorContext(ctx, "message: store failed, a repeat would be handled again", "error", err)
	}
}

// makeOutcome runs the handler and forwards the message. A panic becomes an error.
func (r *request) makeOutcome(ctx context.Context) (o outcome) {
	defer func() {
		if v := recover(); v != nil {
			o = outcome{err: fmt.Errorf("message: panic: %v\n%s", v, debug.Stack())}
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	chosen, err := r.forward.forward(ctx, forwardJob{r.m, deliveryID(r.work.Key), r.extra, r.copied}, r.dispatch)
	if err != nil || chosen.reply == nil {
		return outcome{err: err}
	}
	text, err := encodeReply(r.m, chosen.reply)
	if err != nil && chosen.late {
		return outcome{reply: chosen.reply, sendNow: true}
	}
	return outcome{text: text, reply: chosen.reply, late: chosen.late && text != "", err: err}
}

// encodeReply returns a reply to m before encryption, "" for none.
func encodeReply(m *Message, r Reply) (string, error) {
	if r == nil {
		return "", nil
	}
	e := encoder{json: m.origin.json}
	if err := r.encode(&e, m); err != nil {
		return "", err
	}
	return string(e.buf), nil
}
