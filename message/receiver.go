package message

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/internal/relay"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// Receiver receives the callbacks of one app: it verifies, decrypts and decodes them, gives them to the handlers and
// encrypts what these reply. It is an http.Handler, and a part to be mounted, with the routes
//
//	GET  /message   the check that WeChat makes when the URL is saved
//	POST /message   messages and events
//
// also with a slash at the end, so that under the prefix /wx the URL for WeChat's console is
// https://your.host/wx/message. A message that WeChat sends again, to this process or another with the same Store, is
// not handled again: see HandlerFunc. Copies for backends are delivered by Keep. Once its handlers are set a Receiver is
// safe for concurrent use.
type Receiver struct {
	mode       Mode
	mini       bool
	tokens     []string
	keys       []*aesKey
	receiveIDs []string
	anyID      bool // receiveIDs do not matter
	log        *slog.Logger
	complaints complaints
	rand       io.Reader
	routes     []route
	large      chan struct{} // of the large bodies that are being read

	appID, name  string
	prefix       string // of keys in the store
	store        store.Store
	targets      []target
	sender       *relay.Sender
	outbox       Outbox
	own          *outbox.Outbox // the same, if it is this Receiver's own
	api          *wechat.Client
	hosts        []string
	allowPrivate bool

	forwardSignature bool
}

// Bounds of what strangers send. The times of WeChat's own clock and its repeats lie well within maxAge.
const (
	maxBody  = 1 << 20
	maxAge   = 10 * time.Minute
	maxNonce = 128
	maxEcho  = 4096
)

// Echo answers the check that WeChat makes when a callback URL is saved (接入验证): given the query of the GET
// request, it returns the text to answer with. Official accounts and mini programs send it readable in every mode,
// WeCom encrypted. The text is the sender's: answer it as text/plain, never as a page. Errors are Refusals.
func (in *Receiver) Echo(query url.Values) (string, error) {
	text, _, err := in.echo(query)
	return text, err
}

// echo is Echo, and reports whether the text came encrypted, and so with a signature of its own.
func (in *Receiver) echo(query url.Values) (text string, wasSealed bool, err error) {
	stamp, nonce, echo := query.Get("timestamp"), query.Get("nonce"), query.Get("echostr")
	if len(nonce) > maxNonce || len(stamp) > maxNonce || len(echo) > maxEcho {
		return "", false, ErrSignature
	}
	sealed := ""
	if given := query.Get("msg_signature"); given != "" && len(in.keys) > 0 {
		text := strings.ReplaceAll(echo, " ", "+") // base64 whose '+' was not escaped
		if _, ok := signedBy(in.tokens, given, stamp, nonce, text); ok {
			sealed = text
		}
	}
	if sealed == "" {
		if _, ok := signedBy(in.tokens, query.Get("signature"), stamp, nonce); !ok {
			return "", false, ErrSignature
		}
	}
	if err := fresh(stamp); err != nil {
		return "", false, err
	}
	if sealed == "" {
		return echo, false, nil
	}
	b, _, _, err := in.unseal(sealed)
	return string(b), true, err
}

// Open verifies, decrypts and decodes one callback, given the query and the body of the POST request. Errors are
// Refusals. It is for callbacks that do not come over net/http; the handler uses it too, and looks besides whether the
// signature of a message in plain mode has come before with another body: see ErrReplay.
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
	m.fill()
	return m, nil
}

// verify parses m.Raw and checks its signature. It returns the encrypted part, if that is the one to believe. Nobody
// learns more than ErrSignature before having shown the token, whatever the body is.
func (in *Receiver) verify(m *Message, query url.Values) (sealed string, err error) {
	stamp, nonce, given := query.Get("timestamp"), query.Get("nonce"), query.Get("signature")
	if len(nonce) > maxNonce || len(stamp) > maxNonce {
		return "", ErrSignature
	}
	o := &m.origin
	m.Raw = withoutControls(m.Raw)
	m.Root, o.json, err = parse(&m.Raw)
	if in.mode != Plain && err == nil {
		if sealed = m.Root.Get("Encrypt"); sealed == "" && o.json {
			sealed = m.Root.Get("encrypt")
			o.small = sealed != ""
		}
	}
	stale := fresh(stamp)
	var ok bool
	if sealed != "" {
		o.token, ok = signedBy(in.tokens, query.Get("msg_signature"), stamp, nonce, sealed)
		o.work = given == "" // WeCom has no such parameter
		o.envelope = o.json
	} else {
		o.token, ok = signedBy(in.tokens, given, stamp, nonce)
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

// decrypt puts the sealed text in the place of its envelope. All its errors are ErrSeal: with different answers to a wrong
// padding, a wrong id and a wrong text, anyone who has the token could decrypt and forge messages without the key.
func (in *Receiver) decrypt(m *Message, sealed string) error {
	text, id, key, err := in.unseal(sealed)
	if err != nil {
		return err
	}
	m.origin.sealed, m.origin.key, m.origin.receiveID = true, key, id
	m.Raw = withoutControls(string(text))
	m.Root, m.origin.json, err = parse(&m.Raw)
	if err != nil {
		return fmt.Errorf("%w: %w: %v", ErrSeal, errText, err)
	}
	return nil
}

// Seal returns the body that answers m with r, encrypted if m was, with the token and the key that m came with. The
// body is XML when it begins with '<', JSON when it begins with '{', and otherwise the word success, which a nil r
// and an empty Text become: WeChat takes it as received, and shows the user nothing.
func (in *Receiver) Seal(m *Message, r Reply) ([]byte, error) {
	start := 0
	if m.origin.sealed {
		start = headerSize
	}
	room := 768
	switch r := r.(type) {
	case Text:
		room = len(r) + 384
	case Raw:
		room = len(r) + 128
	}
	e := encoder{buf: make([]byte, start, room), json: m.origin.json}
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
	buf, err := m.origin.key.seal(e.buf, m.origin.receiveID, in.rand)
	if err != nil {
		return nil, err
	}
	return m.origin.wrap(buf, time.Now()), nil
}

// unseal decrypts with the key that fits, and checks whom the text is for. Its errors are ErrSeal.
func (in *Receiver) unseal(sealed string) (text []byte, receiveID string, key *aesKey, err error) {
	for _, k := range in.keys {
		t, id, e := k.open(sealed)
		switch {
		case e != nil:
			if err == nil {
				err = e
			}
		case in.isFor(id):
			text, receiveID, key = t, string(id), k
		default: // this is the key, then
			err = fmt.Errorf("%w: %w: %s is neither Config.AppID nor one of ReceiveIDs", ErrSeal, errID, tellID(id))
		}
	}
	if key != nil {
		return text, receiveID, key, nil
	}
	return nil, "", nil, err
}

// isFor reports whether a text that ends with id is for this app.
func (in *Receiver) isFor(id []byte) bool {
	found := 0
	for _, want := range in.receiveIDs {
		found |= subtle.ConstantTimeCompare(id, []byte(want))
	}
	return found == 1 || in.anyID
}

// wrap writes the encrypted reply with its signature, and uses buf up.
func (o *origin) wrap(buf []byte, now time.Time) []byte {
	names := [...]string{"Encrypt", "MsgSignature", "TimeStamp", "Nonce"}
	if o.small {
		names = [...]string{"encrypt", "msgsignature", "timestamp", "nonce"}
	}
	size := base64.StdEncoding.EncodedLen(len(buf)) + len(o.nonce) + 256
	e := encoder{buf: make([]byte, 0, size), json: o.envelope}
	e.root()
	e.begin(names[0])
	start := len(e.buf)
	e.buf = base64.StdEncoding.AppendEncode(e.buf, buf)
	sealed := e.buf[start:]
	e.end(names[0])

	stamp := strconv.AppendInt(buf[:0], now.Unix(), 10)
	token := append(stamp[len(stamp):], o.token...)
	nonce := append(token[len(token):], o.nonce...)
	sum := signature(stamp, token, nonce, sealed)
	e.begin(names[1])
	e.buf = append(e.buf, sum[:]...)
	e.end(names[1])
	if o.small { // a string in WeCom's sample code
		e.begin(names[2])
		e.buf = append(e.buf, stamp...)
		e.end(names[2])
	} else {
		e.number(names[2], now.Unix())
	}
	e.text(names[3], o.nonce)
	e.endRoot()
	return e.buf
}

// parse reads a document of either kind, and cleans it. Its error is a Refusal.
func parse(doc *string) (root Element, json bool, err error) {
	start := trim(*doc)
	switch {
	case start == "":
		err = errEnd
	case start[0] == '<':
		*doc = clean(*doc)
		root, err = parseXML(*doc)
	case start[0] == '{':
		json = true
		root, err = parseJSON(start)
	default:
		return root, json, ErrMediaType
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrBody, err)
	}
	return root, json, err
}

// trim cuts what may stand around a document: blanks, and before them a byte order mark.
func trim(doc string) string { return strings.Trim(strings.TrimPrefix(doc, "\ufeff"), " \t\r\n") }

// fresh returns ErrStale unless a timestamp is near enough to our clock. It must be plain digits, as WeChat writes it: the
// signature sorts its parts and joins them, so that it stays right for digits moved from the nonce.
func fresh(stamp string) error {
	if stamp == "" || stamp[0] == '0' || strings.Trim(stamp, "0123456789") != "" || len(stamp) > 12 {
		return fmt.Errorf("%w: it is not the digits of a Unix time", ErrStale)
	}
	n, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return ErrStale
	}
	switch d := time.Since(time.Unix(n, 0)); {
	case d > maxAge:
		return fmt.Errorf("%w: it is %s behind", ErrStale, d.Round(time.Second))
	case d < -maxAge:
		return fmt.Errorf("%w: it is %s ahead", ErrStale, -d.Round(time.Second))
	}
	return nil
}
