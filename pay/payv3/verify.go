package payv3

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/wetoken/wetoken/pay"
)

const (
	maxSkew     = 5 * time.Minute
	probePrefix = "WECHATPAY/SIGNTEST/"
	signedBy    = "WECHATPAY2-SHA256-RSA2048"
)

// refuse returns the error of a message that is not trusted. The caller adds the operation.
func refuse(cause pay.Cause, format string, args ...any) *pay.Error {
	return &pay.Error{Cause: cause, Message: fmt.Sprintf(format, args...)}
}

// stamp has the headers that sign a body.
type stamp struct{ timestamp, nonce, signature, serial string }

// readStamp returns the headers that sign a body, all of which must be there.
func readStamp(h http.Header) (s stamp, refusal *pay.Error) {
	s = stamp{header(h, "Wechatpay-Timestamp"), header(h, "Wechatpay-Nonce"), header(h, "Wechatpay-Signature"), header(h, "Wechatpay-Serial")}
	missing := ""
	switch {
	case s.serial == "":
		missing = "Serial"
	case s.timestamp == "":
		missing = "Timestamp"
	case s.nonce == "":
		missing = "Nonce"
	case s.signature == "":
		missing = "Signature"
	}
	if missing != "" {
		return s, refuse(pay.ErrSignature, "header Wechatpay-%s is missing: is a proxy in between that drops it?", missing)
	}
	if by := header(h, "Wechatpay-Signature-Type"); by != "" && by != signedBy {
		return s, refuse(pay.ErrSignature, "it is signed by %.40q: only %s is built, and no 国密", by, signedBy)
	}
	return s, nil
}

// header returns a header however a framework spells its name.
func header(h http.Header, name string) string {
	if v := h.Get(name); v != "" {
		return strings.TrimSpace(v)
	}
	for key, values := range h {
		if len(values) > 0 && strings.EqualFold(key, name) {
			return strings.TrimSpace(values[0])
		}
	}
	return ""
}

// check returns the signature if everything that needs no key is valid.
func (s stamp) check() (signature []byte, refusal *pay.Error) {
	if strings.HasPrefix(s.signature, probePrefix) {
		return nil, refuse(pay.ErrProbe, "the signature begins with %s", probePrefix)
	}
	seconds, err := strconv.ParseInt(s.timestamp, 10, 64)
	if err != nil || seconds < 0 || len(s.timestamp) > 12 {
		return nil, refuse(pay.ErrSignature, "Wechatpay-Timestamp is %.20q: want seconds", s.timestamp)
	}
	if skew := time.Since(time.Unix(seconds, 0)); skew >= maxSkew || skew <= -maxSkew {
		return nil, refuse(pay.ErrClock, "it was signed %s", describeSkew(skew))
	}
	signature, err = base64.StdEncoding.DecodeString(s.signature)
	if err != nil || len(signature) < 256 || len(signature) > 1024 {
		return nil, refuse(pay.ErrSignature, "Wechatpay-Signature is not the base64 of a signature")
	}
	return signature, nil
}

// describeSkew returns a text on the time between a moment and our clock.
func describeSkew(skew time.Duration) string {
	if skew < 0 {
		return fmt.Sprintf("%s after our clock's time: our clock may be slow", (-skew).Round(time.Second))
	}
	return fmt.Sprintf("%s before our clock's time: it is old, or our clock is fast", skew.Round(time.Second))
}

// verify returns nil if WeChat signed body with s, and otherwise the reason of the refusal. For an unknown serial
// certificates are downloaded if wellFormed and r allow it.
func (w *wire) verify(ctx context.Context, s stamp, body []byte, r *ration, wellFormed func() bool) *pay.Error {
	signature, refusal := s.check()
	if refusal != nil {
		return refusal
	}
	key, refusal := w.keyOf(ctx, s.serial, r, wellFormed)
	if refusal != nil {
		return refusal
	}
	message := make([]byte, 0, len(s.timestamp)+len(s.nonce)+len(body)+3)
	message = append(append(message, s.timestamp...), '\n')
	message = append(append(message, s.nonce...), '\n')
	message = append(append(message, body...), '\n')
	sum := sha256.Sum256(message)
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) != nil {
		return refuse(pay.ErrSignature, "the signature of key %s does not fit%s", s.serial, suspect(body))
	}
	return nil
}

// keyOf returns the key with a serial.
func (w *wire) keyOf(ctx context.Context, serial string, r *ration, wellFormed func() bool) (*rsa.PublicKey, *pay.Error) {
	if w.publicKey != nil && serial == w.publicKeyID {
		return w.publicKey, nil
	}
	if strings.HasPrefix(serial, publicKeyPrefix) {
		return nil, refuse(pay.ErrSerial, "it is signed with public key %.64q, but held are: %s", serial, w.serials())
	}
	serial = strings.ToUpper(serial)
	if sameSerial(serial, w.serial) {
		return nil, refuse(pay.ErrSerial, "serial %s is that of our own certificate", serial)
	}
	if len(serial) > maxSerial || strings.Trim(serial, "0123456789ABCDEF") != "" {
		return nil, refuse(pay.ErrSerial, "serial %.64q is not in hex", serial)
	}
	var failure error
	if _, ok := w.certificates.set.Load().find(serial); !ok {
		if wellFormed != nil && !wellFormed() {
			return nil, refuse(pay.ErrSerial, "serial %s is not known, and the body is not that of a notification", serial)
		}
		failure = w.unknownSerial(ctx, serial, r)
	}
	w.refresh()
	set := w.certificates.set.Load()
	c, ok := set.find(serial)
	if !ok {
		e := refuse(pay.ErrSerial, "it is signed with platform certificate %s, but held are: %s", serial, w.serials())
		switch {
		case errors.As(failure, new(*pay.Error)):
			e.Err = withoutCause(failure)
		case failure != nil:
			e.Err = failure
		case set != nil:
			e.Err = set.none
		}
		return nil, e
	}
	if time.Now().After(c.NotAfter) {
		e := refuse(pay.ErrSerial, "platform certificate %s expired on %s", serial, c.NotAfter.Format(time.DateOnly))
		e.Advice = applyForPublicKey
		return nil, e
	}
	return c.PublicKey.(*rsa.PublicKey), nil
}

// suspect returns a guess why a signature does not fit. WeChat's JSON has no blanks between its values and ends with a brace.
func suspect(body []byte) string {
	text := string(body)
	switch {
	case text == "":
		return ": the body is empty: was it read before?"
	case strings.HasPrefix(text, "{\n") || strings.HasPrefix(text, "{\r") || strings.HasPrefix(text, "{ ") || strings.HasSuffix(text, "\n") ||
		strings.Contains(text, `": "`) || strings.Contains(text, `\u003c`) || strings.Contains(text, `\u0026`):
		return ": the body looks as though it had been decoded and encoded again; want the bytes as they came"
	case strings.HasPrefix(text, `{"create_time"`) || strings.HasPrefix(text, `{"event_type"`) || strings.HasPrefix(text, `{"associated_data"`):
		return ": the body's keys are sorted, as though it had been decoded and encoded again; want the bytes as they came"
	case !strings.HasSuffix(text, "}"):
		return ": the body is cut off"
	}
	return ": was the body changed on its way?"
}
