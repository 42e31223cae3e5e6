package message

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Routes returns what a Receiver serves, for wetoken.Bind.
func (in *Receiver) Routes() map[string]http.Handler {
	slash := http.HandlerFunc(in.serveSlash)
	return map[string]http.Handler{"GET /message": in, "POST /message": in, "GET /message/": slash, "POST /message/": slash}
}

// serveSlash serves the callback URL as some write it in WeChat's console, with a slash at the end: WeChat follows no
// redirect.
func (in *Receiver) serveSlash(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/message/") {
		fail(w, http.StatusNotFound, -40401, "message: there is no such route")
		return
	}
	in.ServeHTTP(w, r)
}

// ServeHTTP answers WeChat. A callback that is refused gets the Refusal's status and {"errcode":…,"errmsg":"…"}, the
// same for every wrong signature, and for everything that fails once decryption has begun. The log has the likely cause,
// Token, EncodingAESKey, receive id or clock, as a warning that comes at most once a minute for each cause. A message
// whose handler fails gets 500, so that WeChat sends it again. The timestamp, and the signature of the query where there is
// one, are checked before the body is read, which may take 5 seconds.
func (in *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) { in.serve(w, r, nil) }

// serve answers WeChat. named, if there is one, finds the targets that a request names itself.
func (in *Receiver) serve(w http.ResponseWriter, r *http.Request, named func(url.Values) ([]target, error)) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		query := r.URL.Query()
		echo, sealed, err := in.echo(query)
		if err == nil && in.mode == Plain && !sealed {
			err = in.original(r.Context(), query.Get("signature"), "GET "+echo) // or it could be used again for a message
		}
		if err != nil {
			in.refuse(w, r, err)
			return
		}
		respond(w, http.StatusOK, []byte(echo), "text/plain; charset=utf-8")
	case http.MethodPost:
		in.receive(w, r, named)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		fail(w, http.StatusMethodNotAllowed, -40501, "message: want GET or POST")
	}
}

// bodyTime is how long a body may take to arrive, and the rest of one that is refused. WeChat hangs up after 5 seconds.
const bodyTime = 5 * time.Second

// receive answers one message.
func (in *Receiver) receive(w http.ResponseWriter, r *http.Request, named func(url.Values) ([]target, error)) {
	arrived := time.Now()
	_ = http.NewResponseController(w).SetReadDeadline(arrived.Add(bodyTime)) // where there is a connection to set it on
	if c := r.Header.Get("Content-Encoding"); c != "" && c != "identity" {
		fail(w, ErrMediaType.Status(), int(ErrMediaType), "message: compressed bodies are not accepted")
		return
	}
	query := r.URL.Query()
	if err := in.admit(query); err != nil {
		in.refuse(w, r, err)
		return
	}
	body, err := in.readBody(w, r)
	if errors.Is(err, errBusy) {
		fail(w, http.StatusServiceUnavailable, -1, "message: too many large bodies at once")
		return
	}
	if err != nil {
		refusal := ErrBody
		if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
			refusal = ErrTooLarge
		}
		fail(w, refusal.Status(), int(refusal), refusal.Error())
		return
	}
	m, err := in.Open(query, body)
	if err == nil && !m.origin.sealed {
		err = in.original(r.Context(), m.origin.query.Get("signature"), "POST "+m.origin.body)
	}
	if err != nil {
		in.refuse(w, r, err)
		return
	}
	var targets []target
	if named != nil {
		if targets, err = named(query); err != nil {
			in.refuse(w, r, err)
			return
		}
	}
	text, err := in.once(r.Context(), arrived, m, targets)
	if err == nil {
		body, err = in.Seal(m, Raw(text))
	}
	switch {
	case errors.Is(err, errGone):
		fail(w, http.StatusServiceUnavailable, -1, "message: not answered yet") // nobody reads it
		return
	case err != nil:
		in.log.ErrorContext(r.Context(), "message: not answered, WeChat will send it again", "message", m.String(), "error", err)
		fail(w, http.StatusInternalServerError, -1, "message: not answered")
		return
	}
	respond(w, http.StatusOK, body, contentType(body))
}

// admit refuses, before its body is read, a callback that no body could make right: it has no signature, a signature of
// the query that is wrong, or a stale timestamp. WeCom does not sign the query, but the body alone.
func (in *Receiver) admit(query url.Values) error {
	stamp, nonce, given := query.Get("timestamp"), query.Get("nonce"), query.Get("signature")
	switch {
	case len(nonce) > maxNonce || len(stamp) > maxNonce:
		return ErrSignature
	case given != "":
		if _, ok := signedBy(in.tokens, given, stamp, nonce); !ok {
			return ErrSignature
		}
	case in.mode == Plain || query.Get("msg_signature") == "":
		return ErrSignature
	}
	return fresh(stamp)
}

const (
	smallBody = 64 << 10 // bytes that hardly any callback has
	largeMax  = 16       // bodies beyond that which are read at a time
)

var errBusy = errors.New("message: too many large bodies at once")

// readBody reads a body as it arrives. As anybody can send one, and stall, few may have more than smallBody in memory.
func (in *Receiver) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	from := http.MaxBytesReader(w, r.Body, maxBody)
	body, err := io.ReadAll(io.LimitReader(from, smallBody))
	if err != nil || len(body) < smallBody {
		return body, err
	}
	wait := time.NewTimer(bodyTime)
	defer wait.Stop()
	select {
	case in.large <- struct{}{}:
		defer func() { <-in.large }()
	case <-wait.C:
		return nil, errBusy
	case <-r.Context().Done():
		return nil, errBusy
	}
	rest, err := io.ReadAll(from)
	return append(body, rest...), err
}

// refuse answers a callback that was not accepted, and logs the likely cause once the answer is on its way, so that the
// time it takes says nothing of the cause.
func (in *Receiver) refuse(w http.ResponseWriter, r *http.Request, err error) {
	refusal := ErrBody
	errors.As(err, &refusal)
	fail(w, refusal.Status(), int(refusal), refusal.Error())
	_ = http.NewResponseController(w).Flush() // where it can be flushed
	in.complain(r.Context(), r.URL.Query(), err)
}

// fail answers with an error whose text needs no escaping.
func fail(w http.ResponseWriter, status, code int, msg string) {
	body := []byte(`{"errcode":` + strconv.Itoa(code) + `,"errmsg":"` + msg + `"}`)
	respond(w, status, body, "application/json")
}

func respond(w http.ResponseWriter, status int, body []byte, contentType string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff") // the text of a check is the sender's
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(body)
}

func contentType(body []byte) string {
	switch {
	case len(body) > 0 && body[0] == '<':
		return "text/xml; charset=utf-8"
	case len(body) > 0 && body[0] == '{':
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}
