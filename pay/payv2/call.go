package payv2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/pay"
)

const (
	tryTime   = 30 * time.Second // of one try of a call
	maxAnswer = 1 << 20
	userAgent = "wetoken-payv2 (+https://github.com/wetoken/wetoken)"
)

// request is one call, ready to be sent more than once.
type request struct {
	path   string
	fields message
	by     SignType // of its signature; default the Merchant's

	// once reports whether a second try is refused where the first was not: a payment code works once.
	once bool

	body   []byte
	signed signing

	redacted
}

// signing has the keys and the algorithm of signatures. The first key signs.
type signing struct {
	keys []string
	by   SignType

	redacted
}

func newRequest(path string, fields message) *request {
	return &request{path: path, fields: fields}
}

// op returns the name of the call in errors.
func (r *request) op() string { return printable("POST "+r.path, 200) }

// number returns our number that the call names, such as "out_trade_no order-1", or "".
func (r *request) number() string { return numberIn(r.fields) }

// repeatable reports whether the same bytes may be sent once more without doing it twice.
func (r *request) repeatable() bool { return r.number() != "" || !r.writes() }

// writes reports whether the call may change something.
func (r *request) writes() bool { return !isQuery(r.path) }

// prepare signs r.
func (w *wire) prepare(ctx context.Context, r *request) (err error) {
	if err := checkPath(r.path); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("payv2: %s: not sent: %w", r.op(), err)
	}
	if needsCertificate(r.path) && w.certified == nil && w.sandbox == "" {
		return &pay.Error{Op: r.op(), Cause: pay.ErrSettings, Number: r.number(), Message: "not sent: this call needs the API certificate",
			Advice: "set Config.Certificate (apiclient_cert.p12)"}
	}
	if r.signed, err = w.signing(ctx); err != nil {
		return fmt.Errorf("payv2: %s: not sent: %w", r.op(), err)
	}
	switch {
	case w.sandbox != "": // it has only MD5
	case r.by != "":
		r.signed.by = r.by
	case isPayout(r.path):
		r.signed.by = MD5
	}
	nonce, err := w.nonce()
	if err != nil {
		return err
	}
	r.fields.add("nonce_str", nonce)
	if !isPayout(r.path) {
		r.fields.add("sign_type", string(r.signed.by))
	}
	r.body, err = r.fields.encode(r.signed.by, r.signed.keys[0])
	return err
}

// checkPath refuses a path that could leave the host.
func checkPath(path string) error {
	for i := 0; i < len(path); i++ {
		c := path[i]
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '-' || c == '/') {
			path = ""
		}
	}
	if !strings.HasPrefix(path, "/") {
		return &pay.FieldError{Field: "path", Reason: "is not a path of WeChat Pay, such as /pay/unifiedorder"}
	}
	return nil
}

// do sends r, and once more where that is safe and the first answer cannot be trusted. The answer is verified. A refusal by
// WeChat is returned with its fields.
func (w *wire) do(ctx context.Context, r *request) (message, error) {
	if err := w.prepare(ctx, r); err != nil {
		return nil, err
	}
	return w.exchange(ctx, r)
}

// exchange sends r, which is signed.
func (w *wire) exchange(ctx context.Context, r *request) (message, error) {
	o, doubted := w.try(ctx, r, false), false
	if o.doubt != nil && r.repeatable() && ctx.Err() == nil {
		o, doubted = w.try(ctx, r, o.lost), r.writes()
	}
	if o.doubt != nil {
		return nil, o.unknown(r)
	}
	err := o.result(r, doubted)
	if w.sandbox != "" && errors.Is(err, pay.ErrSettings) {
		w.sandboxKey.Store(nil) // it may have been replaced
	}
	return o.fields, err
}

// outcome is the result of one try.
type outcome struct {
	status  int
	fields  message
	refusal *pay.Error // that is trusted
	doubt   *pay.Error // the reason why it is not trusted
	lost    bool       // whether no answer came
}

// try sends r once, to the backup host if backup is set.
func (w *wire) try(ctx context.Context, r *request, backup bool) outcome {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	resp, err := w.send(ctx, r, backup)
	if err != nil {
		return outcome{lost: true, doubt: lostAnswer(err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return outcome{lost: true, doubt: lostAnswer(err)}
	}
	o := outcome{status: resp.StatusCode}
	if len(body) > maxAnswer {
		o.doubt = &pay.Error{Message: fmt.Sprintf("the answer has more than %d bytes", maxAnswer)}
	} else {
		o.judge(r, body)
	}
	for _, e := range []*pay.Error{o.doubt, o.refusal} {
		if e != nil {
			e.Status, e.RequestID = o.status, printable(resp.Header.Get("Request-Id"), 80)
		}
	}
	return o
}

// send sends r to one of the hosts.
func (w *wire) send(ctx context.Context, r *request, backup bool) (*http.Response, error) {
	base, agent := w.base, userAgent
	if backup {
		base, agent = w.backup, agent+" (Retried-V1)"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+w.sandbox.prefix()+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	req.Header.Set("User-Agent", agent)
	if needsCertificate(r.path) && w.certified != nil {
		return w.certified.Do(req)
	}
	return w.http.Do(req)
}

// lostAnswer returns the doubt of a call without an answer.
func lostAnswer(err error) *pay.Error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	return &pay.Error{Err: err}
}

// unknown returns the error of a call whose answer is not to be trusted.
func (o outcome) unknown(r *request) error {
	e := *o.doubt
	switch { // errors.Is finds the reason too
	case e.Cause != "" && e.Err != nil:
		e.Err = fmt.Errorf("%w: %w", e.Cause, e.Err)
	case e.Cause != "":
		e.Err = e.Cause
	}
	e.Op, e.Number, e.Cause = r.op(), r.number(), pay.ErrUnknown
	if !r.writes() && o.status > http.StatusInternalServerError {
		e.Cause = pay.ErrBusy
	}
	return &e
}

// result returns the refusal of an answer that is trusted, or nil. doubted reports whether the outcome of an earlier try is
// unknown: a refusal that does not concern the order itself leaves it unknown.
func (o outcome) result(r *request, doubted bool) error {
	if o.refusal == nil {
		return nil
	}
	e := o.refusal
	e.Op, e.Number = r.op(), r.number()
	if doubted && (r.once || !slices.Contains([]pay.Cause{pay.ErrPaid, pay.ErrClosed, pay.ErrChanged, pay.ErrNotFound}, e.Cause)) {
		e.Cause, e.Err = pay.ErrUnknown, errors.New("a first try had no answer to be trusted, and the second was refused")
	}
	return e
}

// printable returns text without control characters and cut to most bytes, so that it fits on one line of a log.
func printable(text string, most int) string {
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}
