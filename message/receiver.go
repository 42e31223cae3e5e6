package message

import (
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/logline"
	"github.com/wetoken/wetoken/store"
)

// Receiver receives the callbacks of one app: it verifies, decrypts and decodes them, calls the handlers and encrypts
// the replies. It is an http.Handler, and a part for wetoken.Bind with the routes
//
//	GET  /message   WeChat's check when the URL is saved
//	POST /message   messages and events
//
// also with a slash at the end. Under the prefix /wx the URL for WeChat's console is https://your.host/wx/message. A
// message that WeChat sends again, to this process or another with the same Store, is not handled again: see
// HandlerFunc. Run delivers copies to backends. A Receiver is safe for concurrent use once its handlers are set.
type Receiver struct {
	mode        Mode
	mini        bool
	tokens      []string
	keys        keyring
	log         *slog.Logger
	logLimit    logline.Limiter[cause]
	rand        io.Reader
	routes      []route
	largeBodies chan struct{} // has an element for each large body that is read
	prefix      string        // of keys in the store
	store       store.Store
	forward     *forwarder

	redacted
}

// Bounds of input from the network. maxAge covers the repeats by WeChat and the difference between its clock and ours.
const (
	maxBody  = 1 << 20
	maxAge   = 10 * time.Minute
	maxNonce = 128
	maxEcho  = 4096
)

// VerifyURL answers WeChat's check of a callback URL (接入验证): it takes the query of the GET request and returns the text
// of the response. Official accounts and mini programs send the text unencrypted in every mode. WeCom encrypts it, and
// then it is up to 64 letters, digits, - and _. The sender chooses the text: respond with text/plain, never with HTML.
// Errors are Refusals.
func (in *Receiver) VerifyURL(query url.Values) (string, error) {
	text, _, err := in.verifyURL(query)
	return text, err
}

// verifyURL is VerifyURL, and reports whether the text was encrypted, and so covered by a signature.
func (in *Receiver) verifyURL(query url.Values) (text string, wasSealed bool, err error) {
	stamp, nonce, echo := query.Get("timestamp"), query.Get("nonce"), query.Get("echostr")
	if len(nonce) > maxNonce || len(stamp) > maxNonce || len(echo) > maxEcho {
		return "", false, ErrSignature
	}
	sealed := ""
	if given := query.Get("msg_signature"); given != "" && len(in.keys.keys) > 0 {
		text := strings.ReplaceAll(echo, " ", "+") // base64 in which '+' was not escaped
		if _, ok := findSigner(in.tokens, given, stamp, nonce, text); ok {
			sealed = text
		}
	}
	if sealed == "" {
		if _, ok := findSigner(in.tokens, query.Get("signature"), stamp, nonce); !ok {
			return "", false, ErrSignature
		}
	}
	if err := checkTimestamp(stamp); err != nil {
		return "", false, err
	}
	if sealed == "" {
		return echo, false, nil
	}
	b, _, _, err := in.keys.decrypt(sealed)
	if err == nil && !isWord(b) { // otherwise a sender with the token could decrypt messages
		err = fmt.Errorf("%w: %w: it is not the text of a URL check", ErrSeal, errText)
	}
	if err != nil {
		return "", true, err
	}
	return string(b), true, nil
}

// Open verifies, decrypts and decodes one callback, given the query and the body of the POST request. Errors are
// Refusals. It is for callbacks that do not come over net/http. ServeHTTP uses it, and also refuses a signature of
// plain mode that was used with another body: see ErrReplay.
func (in *Receiver) Open(query url.Values, body []byte) (*Message, error) {
	if len(body) > maxBody {
		return nil, ErrTooLarge
	}
	m := &Message{Raw: string(body)}
	m.origin.body, m.origin.query, m.origin.mini = m.Raw, query, in.mini
	sealed, err := in.verify(m, query)
	if err != nil {
		return nil, err
	}
	if sealed != "" {
		if err := in.decrypt(m, sealed); err != nil {
			return nil, err
		}
		m.origin.nonce = query.Get("nonce")
	}
	m.setFields()
	return m, nil
}

// verify parses m.Raw and checks its signature. It returns the encrypted part if that is the one to use. Without a
// valid signature the error is always ErrSignature, whatever the body is.
func (in *Receiver) verify(m *Message, query url.Values) (sealed string, err error) {
	stamp, nonce, given := query.Get("timestamp"), query.Get("nonce"), query.Get("signature")
	if len(nonce) > maxNonce || len(stamp) > maxNonce {
		return "", ErrSignature
	}
	o := &m.origin
	m.Raw = dropControls(m.Raw)
	o.json, err = parseDocument(&m.Raw, &m.Root)
	if in.mode != Plain && err == nil {
		if sealed = m.Root.Get("Encrypt"); sealed == "" && o.json {
			sealed = m.Root.Get("encrypt")
			o.lowerCase = sealed != ""
		}
	}
	stale := checkTimestamp(stamp)
	var ok bool
	if sealed != "" {
		o.token, ok = findSigner(in.tokens, query.Get("msg_signature"), stamp, nonce, sealed)
		o.work = given == "" // WeCom does not send this parameter
		o.jsonEnvelope = o.json
	} else {
		o.token, ok = findSigner(in.tokens, given, stamp, nonce)
	}
	switch {
	case !ok:
		return "", ErrSignature
	case stale != nil:
		return "", stale
	case err != nil:
		return "", err
	case sealed == "" && in.mode != Plain:
		return "", ErrPlaintext
	case sealed == "" && m.Root.Get("MsgType") == "" && m.Root.Get("Encrypt") != "":
		return "", fmt.Errorf("%w: %w", ErrSeal, errMode)
	}
	return sealed, nil
}

// decrypt replaces the envelope in m by the decrypted document. The error is always ErrSeal: different errors for a
// wrong padding, a wrong id and a wrong text would let a sender with the token decrypt and forge messages.
func (in *Receiver) decrypt(m *Message, sealed string) error {
	text, id, key, err := in.keys.decrypt(sealed)
	if err != nil {
		return err
	}
	m.origin.sealed, m.origin.key, m.origin.receiveID = true, key, id
	m.Raw = dropControls(string(text))
	m.origin.json, err = parseDocument(&m.Raw, &m.Root)
	if err != nil {
		return fmt.Errorf("%w: %w: %v", ErrSeal, errText, err)
	}
	return nil
}

// Seal returns the body of the response to m with the reply r. It is encrypted if m was, with the token and the key of
// m. The body is XML if it begins with '<', JSON if it begins with '{', and otherwise the word success, for a nil r and
// an empty Text: WeChat takes the message as received and shows the user nothing.
func (in *Receiver) Seal(m *Message, r Reply) ([]byte, error) {
	start := 0
	if m.origin.sealed {
		start = headerSize
	}
	size := 768
	switch r := r.(type) {
	case Text:
		size = len(r) + 384
	case Raw:
		size = len(r) + 128
	}
	e := encoder{buf: make([]byte, start, size), json: m.origin.json}
	if r != nil {
		if err := r.encode(&e, m); err != nil {
			return nil, err
		}
	}
	switch {
	case len(e.buf) == start:
		return []byte("success"), nil
	case !m.origin.sealed:
		return e.buf, nil
	}
	buf, err := m.origin.key.encrypt(e.buf, m.origin.receiveID, in.rand)
	if err != nil {
		return nil, err
	}
	return m.origin.writeEnvelope(buf, time.Now()), nil
}

// writeEnvelope returns the encrypted reply in buf with its signature. It overwrites buf.
func (o *origin) writeEnvelope(buf []byte, now time.Time) []byte {
	names := [...]string{"Encrypt", "MsgSignature", "TimeStamp", "Nonce"}
	if o.lowerCase {
		names = [...]string{"encrypt", "msgsignature", "timestamp", "nonce"}
	}
	size := base64.StdEncoding.EncodedLen(len(buf)) + len(o.nonce) + 256
	e := encoder{buf: make([]byte, 0, size), json: o.jsonEnvelope}
	e.openRoot()
	e.openText(names[0])
	start := len(e.buf)
	e.buf = base64.StdEncoding.AppendEncode(e.buf, buf)
	sealed := e.buf[start:]
	e.closeText(names[0])

	stamp := strconv.AppendInt(buf[:0], now.Unix(), 10)
	token := append(stamp[len(stamp):], *o.token...)
	nonce := append(token[len(token):], o.nonce...)
	sum := sign(stamp, token, nonce, sealed)
	e.openText(names[1])
	e.buf = append(e.buf, sum[:]...)
	e.closeText(names[1])
	if o.lowerCase { // WeCom's sample code has a string
		e.openText(names[2])
		e.buf = append(e.buf, stamp...)
		e.closeText(names[2])
	} else {
		e.writeNumber(names[2], now.Unix())
	}
	e.writeText(names[3], o.nonce)
	e.closeRoot()
	return e.buf
}

// checkTimestamp returns ErrStale unless a timestamp is near our clock. It must be plain digits, as WeChat writes it:
// the signature covers the sorted and joined parts, so that it would stay valid for digits moved from the nonce.
func checkTimestamp(stamp string) error {
	if stamp == "" || stamp[0] == '0' || strings.Trim(stamp, "0123456789") != "" || len(stamp) > 12 {
		return fmt.Errorf("%w: want a Unix time in digits", ErrStale)
	}
	n, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return ErrStale
	}
	switch d := time.Since(time.Unix(n, 0)); {
	case d > maxAge:
		return fmt.Errorf("%w: %s behind", ErrStale, d.Round(time.Second))
	case d < -maxAge:
		return fmt.Errorf("%w: %s ahead", ErrStale, -d.Round(time.Second))
	}
	return nil
}
