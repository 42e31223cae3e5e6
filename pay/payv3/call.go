package payv3

import (
	"bytes"
	"context"
	"encoding/json"
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
	maxAnswer = 8 << 20
	userAgent = "wetoken-payv3 (+https://github.com/wetoken/wetoken)"
)

// request is one call, ready to be sent more than once.
type request struct {
	op, method  string
	path        string // with its query, as given
	body        []byte
	meta        []byte // signed in place of body, of an upload
	contentType string // default application/json
	serial      string // of the WeChat key that the call names; default the present one
	number      string // our number that it names, such as "out_trade_no order-1"
	unsigned    bool   // whether the answer is

	// once reports whether a second try is refused where the first was not: a payment code works once.
	once bool

	url  *url.URL
	auth string
}

// repeatable reports whether the same bytes may be sent once more without doing it twice.
func (r *request) repeatable() bool {
	return r.number != "" || !r.writes() || r.method != http.MethodPost && r.method != http.MethodPatch
}

// writes reports whether the call may change something.
func (r *request) writes() bool { return r.method != http.MethodGet }

// prepare signs r.
func (w *wire) prepare(ctx context.Context, r *request) (err error) {
	if r.url, err = w.resolve(r.path); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("payv3: %s: not sent: %w", r.op, err)
	}
	if r.serial == "" && r.path != certificatesPath {
		if r.serial, _, err = w.theirKey(ctx); err != nil {
			return notSent(r, err)
		}
	}
	signed := r.body
	if r.meta != nil {
		signed = r.meta
	}
	r.auth, err = w.authorize(r.method, r.url.RequestURI(), signed)
	return err
}

// notSent returns the error of a call for whose answer there would be no key.
func notSent(r *request, err error) error {
	var e *pay.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("payv3: %s: not sent: %w", r.op, err)
	}
	cause := pay.ErrBusy
	if e.Cause == pay.ErrSettings {
		cause = e.Cause
	}
	return &pay.Error{Op: r.op, Cause: cause, Number: r.number, Err: fmt.Errorf("not sent, since its answer could not be verified: %w", withoutCause(err))}
}

// resolve returns the URL of a path with its query.
func (w *wire) resolve(path string) (*url.URL, error) {
	wrong := strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' })
	u, err := url.Parse(w.base + path)
	if wrong || err != nil || !strings.HasPrefix(path, "/") {
		return nil, &pay.FieldError{Field: "path", Reason: "is not a path of WeChat Pay with its values percent-encoded, such as /v3/certificates"}
	}
	return u, nil
}

// do sends r, and once more where that is safe and the first answer cannot be trusted. The answer is verified.
func (w *wire) do(ctx context.Context, r *request) ([]byte, error) {
	if err := w.prepare(ctx, r); err != nil {
		return nil, err
	}
	first := w.try(ctx, r, false)
	if first.doubt == nil {
		return first.result(r, false)
	}
	if !r.repeatable() || ctx.Err() != nil {
		return nil, first.unknown(r)
	}
	second := w.try(ctx, r, first.lost)
	if second.doubt != nil {
		return nil, second.unknown(r)
	}
	return second.result(r, r.writes())
}

// outcome is the result of one try.
type outcome struct {
	status int
	header http.Header
	body   []byte
	doubt  *pay.Error // the reason why it is not trusted
	lost   bool       // whether no answer came
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
	o := outcome{status: resp.StatusCode, header: resp.Header, body: body}
	if len(body) > maxAnswer {
		o.doubt = &pay.Error{Message: fmt.Sprintf("the answer has more than %d bytes", maxAnswer)}
	} else {
		o.doubt = w.doubt(ctx, r, o)
	}
	if o.doubt != nil {
		o.doubt.Status, o.doubt.RequestID = o.status, requestID(o.header)
	}
	return o
}

// send sends r to one of the hosts.
func (w *wire) send(ctx context.Context, r *request, backup bool) (*http.Response, error) {
	to, agent := *r.url, userAgent
	if backup {
		if u, err := url.Parse(w.backup); err == nil {
			to.Scheme, to.Host = u.Scheme, u.Host
		}
		agent += " (Retried-V1)"
	}
	req := (&http.Request{Method: r.method, URL: &to, Host: to.Host, Header: make(http.Header, 8)}).WithContext(ctx)
	if r.body != nil {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(r.body)), int64(len(r.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil }
	}
	req.Header.Set("Authorization", r.auth)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", agent)
	contentType := r.contentType
	if contentType == "" {
		contentType = "application/json"
	}
	req.Header.Set("Content-Type", contentType)
	if r.serial != "" {
		req.Header.Set("Wechatpay-Serial", r.serial)
	}
	return w.http.Do(req)
}

// lostAnswer returns the doubt of a call without an answer.
func lostAnswer(err error) *pay.Error {
	if u := (*url.Error)(nil); errors.As(err, &u) { // its text has the whole URL
		err = u.Err
	}
	return &pay.Error{Err: err}
}

// doubt returns nil for an answer that is trusted, and otherwise the reason. WeChat does not sign refusals.
func (w *wire) doubt(ctx context.Context, r *request, o outcome) *pay.Error {
	switch {
	case o.status >= 200 && o.status < 300:
		if r.unsigned {
			return nil
		}
		s, refusal := readStamp(o.header)
		if refusal != nil {
			refusal.Message = "the answer is not signed: " + refusal.Message
			return refusal
		}
		return w.verify(ctx, s, o.body, &w.certificates.answers, nil)
	case o.status >= 400 && o.status < 500 && o.status != http.StatusRequestTimeout:
		return nil
	}
	e := readError(o.body)
	if o.status == http.StatusInternalServerError {
		e.Advice = "WeChat says so of a wrong mchid, serial or openid too"
	}
	return e
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
	e.Op, e.Number, e.Cause = r.op, r.number, pay.ErrUnknown
	if !r.writes() && o.status > http.StatusInternalServerError {
		e.Cause = pay.ErrBusy
	}
	return &e
}

// result returns the body of an answer that is trusted, or its refusal. doubted reports whether the outcome of an
// earlier try is unknown: a refusal that does not concern the order itself leaves it unknown.
func (o outcome) result(r *request, doubted bool) ([]byte, error) {
	if o.status < 300 && o.status != http.StatusAccepted {
		return o.body, nil
	}
	e := readError(o.body)
	e.Op, e.Number, e.Status, e.RequestID = r.op, r.number, o.status, requestID(o.header)
	e.Cause = pay.CauseOf(e.Code, e.Message)
	switch {
	case o.status == http.StatusAccepted && e.Cause == "":
		e.Cause = pay.ErrPaying
	case o.status == http.StatusTooManyRequests && r.writes() && strings.HasPrefix(r.path, refundsPath):
		e.Cause = pay.ErrUnknown
	case o.status == http.StatusTooManyRequests:
		e.Cause = pay.ErrBusy
	case o.status == http.StatusUnauthorized:
		e.Advice = compareClocks(o.header)
	}
	if doubted && o.status != http.StatusAccepted {
		if r.once || !slices.Contains([]pay.Cause{pay.ErrPaid, pay.ErrClosed, pay.ErrChanged, pay.ErrNotFound}, e.Cause) {
			e.Cause, e.Err = pay.ErrUnknown, errors.New("a first try had no answer to be trusted, and the second was refused")
		}
	}
	return nil, e
}

// compareClocks returns a text on our clock where it is more than a minute from WeChat's, or "".
func compareClocks(h http.Header) string {
	theirs, err := http.ParseTime(h.Get("Date"))
	if skew := time.Since(theirs); err == nil && (skew > time.Minute || skew < -time.Minute) {
		if skew < 0 {
			return fmt.Sprintf("our clock is %s slow", (-skew).Round(time.Second))
		}
		return fmt.Sprintf("our clock is %s fast", skew.Round(time.Second))
	}
	return ""
}

func requestID(h http.Header) string { return printable(h.Get("Request-Id"), 80) }

// readError returns WeChat's code and message of a refusal. The body may be anything.
func readError(body []byte) *pay.Error {
	var said struct {
		Code    string          `json:"code"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	}
	_ = decode(body, &said) // a body that cannot be read has no code
	return &pay.Error{Code: printable(said.Code, 64), Message: printable(said.Message, 300), Detail: said.Detail}
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
