package paytest

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// answer is the response to a call.
type answer struct {
	status int
	kind   string // Content-Type; default application/json
	header http.Header
	body   []byte
	stream func(io.Writer) error // in place of body
	cut    error                 // the connection ends with this error, without an answer
	v2     values                // in place of body: fields of v2, still to be signed

	// code and message are those of a refusal of v3, message empty for the usual one.
	code, message string
}

// fields is a JSON object.
type fields map[string]any

// toJSON writes v as WeChat does: nothing is escaped for HTML.
func toJSON(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("paytest: encode answer: " + err.Error()) // only of types that JSON does not know
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func done(v any) answer { return answer{status: http.StatusOK, body: toJSON(v)} }

func noContent() answer { return answer{status: http.StatusNoContent} }

// refuse returns the answer for a code, with the message given or the usual one.
func refuse(code, message string) answer { return refuseWith(code, message, nil) }

func refuseWith(code, message string, detail any) answer {
	w := wordingOf(code)
	body := fields{"code": code, "message": cmp.Or(message, w.message)}
	if detail != nil {
		body["detail"] = detail
	}
	return answer{status: w.status, body: toJSON(body), code: code, message: message}
}

func paramError(field, value, issue, message string) answer {
	return refuseWith("PARAM_ERROR", message, fields{"field": field, "value": value, "issue": issue, "location": "body"})
}

func missing(field string) answer {
	return paramError(field, "", "is required", "缺少必填参数："+field)
}

func (a answer) write(w http.ResponseWriter) {
	if a.cut != nil {
		breakOff(w, a.cut)
		return
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if len(a.body) > 0 || a.stream != nil {
		kind := a.kind
		if kind == "" {
			kind = "application/json; charset=utf-8"
		}
		w.Header().Set("Content-Type", kind)
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.stream == nil {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		if a.status == http.StatusNoContent {
			w.Header().Del("Content-Length")
		}
	}
	w.WriteHeader(a.status)
	if a.stream != nil {
		if err := a.stream(w); err != nil {
			panic(http.ErrAbortHandler)
		}
		return
	}
	_, _ = w.Write(a.body) // the caller may have closed the connection
}

// Signing is the way in which an answer or a notification is signed. The empty one is the true way.
type Signing string

const (
	Unsigned  Signing = "unsigned"  // without the four headers
	Forged    Signing = "forged"    // by no key, under WeChat's serial
	Probe     Signing = "probe"     // WeChat's own wrong signature (签名探测流量)
	Stale     Signing = "stale"     // truly, 10 minutes ago
	Unknown   Signing = "unknown"   // by a key that the merchant cannot have
	Altered   Signing = "altered"   // truly, but a byte of the body changed on the way
	Truncated Signing = "truncated" // truly, but half of the body is lost

	// Downgraded is of v2 alone: truly, but by MD5 where the call or order was signed by HMAC-SHA256, or the other way
	// round, and with a sign_type that says so.
	Downgraded Signing = "downgraded"
)

func (how Signing) valid() bool {
	switch how {
	case "", Unsigned, Forged, Probe, Stale, Unknown, Altered, Truncated, Downgraded:
		return true
	}
	return false
}

// sign adds WeChat's signature to a successful answer.
func (s *Server) sign(c *call, a answer, how Signing) answer {
	if a.cut != nil {
		return a
	}
	if c.route != nil && c.route.v2 != nil {
		return s.signV2(c, a, how)
	}
	header := make(http.Header)
	for name, values := range a.header {
		header[name] = values
	}
	header.Set("Request-Id", requestID())
	header.Set("Keep-Alive", "timeout=8")
	header.Set("Cache-Control", "no-cache, must-revalidate")
	header.Set("X-Content-Type-Options", "nosniff")
	a.header = header
	if a.status >= 300 || a.stream != nil || c.route == nil || c.route.bare {
		return a
	}
	from := c.from
	if from == nil { // a fault that answers before anything was checked
		from = s.claimed(c)
	}
	if from == nil {
		return a
	}
	now := time.Now()
	s.mu.Lock()
	key := from.answerKey(c.header.Get("Wechatpay-Serial"), now)
	s.mu.Unlock()
	a.body = key.signHeader(header, a.body, how, now)
	return a
}

// claimed returns the account that a call names, whether its signature is true or not.
func (s *Server) claimed(c *call) *account {
	return s.lookup(c.claims())
}

func (s *Server) lookup(mchID string) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[mchID]; a != nil && a.key != nil {
		return a
	}
	return nil
}

// signHeader sets the headers that sign body, and returns body as it is sent.
func (k *signingKey) signHeader(header http.Header, body []byte, how Signing, now time.Time) []byte {
	if how == Unsigned {
		return body
	}
	if how == Stale {
		now = now.Add(-10 * time.Minute)
	}
	stamp, nonce, serial := strconv.FormatInt(now.Unix(), 10), randomText(32), k.id
	var signature string
	switch how {
	case Probe:
		signature = probe()
	case Forged, Unknown:
		raw := make([]byte, k.key.Size())
		_, _ = rand.Read(raw) // never fails
		signature = base64.StdEncoding.EncodeToString(raw)
		if how == Unknown {
			serial = fmt.Sprintf("%X", raw[:20])
		}
	default:
		signature = k.sign(stamp + "\n" + nonce + "\n" + string(body) + "\n")
	}
	header.Set("Wechatpay-Timestamp", stamp)
	header.Set("Wechatpay-Nonce", nonce)
	header.Set("Wechatpay-Signature", signature)
	header.Set("Wechatpay-Serial", serial)
	header.Set("Wechatpay-Signature-Type", scheme)
	switch {
	case how == Altered && len(body) > 0:
		body = bytes.Clone(body)
		body[len(body)/2] ^= 1
	case how == Truncated:
		body = body[:len(body)/2]
	}
	return body
}

func requestID() string {
	return fmt.Sprintf("08%X", time.Now().Unix()) + randomText(12) + "-0"
}
