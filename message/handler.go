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

// Routes returns the routes of a Receiver for wetoken.Bind.
func (in *Receiver) Routes() map[string]http.Handler {
	slash := http.HandlerFunc(in.serveTrailingSlash)
	return map[string]http.Handler{"GET /message": in, "POST /message": in, "GET /message/": slash, "POST /message/": slash}
}

// serveTrailingSlash serves the callback URL with a slash at the end, as WeChat follows no redirects.
func (in *Receiver) serveTrailingSlash(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/message/") {
		writeError(w, http.StatusNotFound, -40401, "message: unknown route")
		return
	}
	in.ServeHTTP(w, r)
}

// ServeHTTP serves WeChat's callbacks. A refused callback gets the status of the Refusal and
// {"errcode":…,"errmsg":"…"}, which is the same for all wrong signatures, and for all failures after decryption has
// begun. The log has the probable cause, Token, EncodingAESKey, receive id or clock, as a warning at most once a minute
// for each cause. A message whose handler fails gets 500, so that WeChat sends it again. The timestamp, and the
// signature of the query if there is one, are checked before the body is read. Reading the body may take 5 seconds.
func (in *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) { in.serve(w, r, nil) }

// serve serves a callback. named is nil or returns the backends that a request names.
func (in *Receiver) serve(w http.ResponseWriter, r *http.Request, named func(url.Values) ([]backend, error)) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		query := r.URL.Query()
		echo, sealed, err := in.verifyURL(query)
		if err == nil && in.mode == Plain && !sealed {
			err = in.checkReplay(r.Context(), query.Get("signature"), "GET "+echo) // so that its signature cannot be used for a message
		}
		if err != nil {
			in.refuse(w, r, err)
			return
		}
		writeResponse(w, http.StatusOK, []byte(echo), "text/plain; charset=utf-8")
	case http.MethodPost:
		in.serveMessage(w, r, named)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		writeError(w, http.StatusMethodNotAllowed, -40501, "message: want GET or POST")
	}
}

// bodyTimeout is the time for reading a body. WeChat hangs up after 5 seconds.
const bodyTimeout = 5 * time.Second

// serveMessage serves one message.
func (in *Receiver) serveMessage(w http.ResponseWriter, r *http.Request, named func(url.Values) ([]backend, error)) {
	arrived := time.Now()
	_ = http.NewResponseController(w).SetReadDeadline(arrived.Add(bodyTimeout)) // not supported by all ResponseWriters
	if c := r.Header.Get("Content-Encoding"); c != "" && c != "identity" {
		writeError(w, ErrMediaType.Status(), int(ErrMediaType), "message: compressed bodies are not accepted")
		return
	}
	query := r.URL.Query()
	if err := in.checkQuery(query); err != nil {
		in.refuse(w, r, err)
		return
	}
	body, err := in.readBody(w, r)
	if errors.Is(err, errBusy) {
		writeError(w, http.StatusServiceUnavailable, -1, "message: too many large bodies at once")
		return
	}
	if err != nil {
		refusal := ErrBody
		if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
			refusal = ErrTooLarge
		}
		writeError(w, refusal.Status(), int(refusal), refusal.Error())
		return
	}
	m, err := in.Open(query, body)
	if err == nil && !m.origin.sealed {
		err = in.checkReplay(r.Context(), m.origin.query.Get("signature"), "POST "+m.origin.body)
	}
	if err != nil {
		in.refuse(w, r, err)
		return
	}
	var backends []backend
	if named != nil {
		if backends, err = named(query); err != nil {
			in.refuse(w, r, err)
			return
		}
	}
	text, err := in.answerOnce(r.Context(), arrived, m, backends)
	if err == nil {
		body, err = in.Seal(m, Raw(text))
	}
	switch {
	case errors.Is(err, errHungUp):
		writeError(w, http.StatusServiceUnavailable, -1, "message: not answered yet") // WeChat has hung up
		return
	case err != nil:
		in.log.ErrorContext(r.Context(), "message: not answered, WeChat will send it again", "message", m.String(), "error", err)
		writeError(w, http.StatusInternalServerError, -1, "message: not answered")
		return
	}
	writeResponse(w, http.StatusOK, body, contentTypeOf(body))
}

// checkQuery refuses, before the body is read, a callback that no body can make valid: without a signature, with a
// wrong signature of the query, or with a stale timestamp. WeCom signs the body only.
func (in *Receiver) checkQuery(query url.Values) error {
	stamp, nonce, given := query.Get("timestamp"), query.Get("nonce"), query.Get("signature")
	switch {
	case len(nonce) > maxNonce || len(stamp) > maxNonce:
		return ErrSignature
	case given != "":
		if _, ok := findSigner(in.tokens, given, stamp, nonce); !ok {
			return ErrSignature
		}
	case in.mode == Plain || query.Get("msg_signature") == "":
		return ErrSignature
	}
	return checkTimestamp(stamp)
}

const (
	smallBody      = 64 << 10 // larger than nearly all callbacks, in bytes
	maxLargeBodies = 16       // larger bodies that are read at the same time
)

var errBusy = errors.New("message: too many large bodies at once")

// readBody reads a body. Anyone can send a body and stall, so only maxLargeBodies may use more memory than smallBody.
func (in *Receiver) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	from := http.MaxBytesReader(w, r.Body, maxBody)
	body, err := io.ReadAll(io.LimitReader(from, smallBody))
	if err != nil || len(body) < smallBody {
		return body, err
	}
	wait := time.NewTimer(bodyTimeout)
	defer wait.Stop()
	select {
	case in.largeBodies <- struct{}{}:
		defer func() { <-in.largeBodies }()
	case <-wait.C:
		return nil, errBusy
	case <-r.Context().Done():
		return nil, errBusy
	}
	rest, err := io.ReadAll(from)
	return append(body, rest...), err
}

// refuse responds to a callback that is not accepted, and logs the probable cause after the response is sent, so that
// the response time does not depend on it.
func (in *Receiver) refuse(w http.ResponseWriter, r *http.Request, err error) {
	refusal := ErrBody
	errors.As(err, &refusal)
	writeError(w, refusal.Status(), int(refusal), refusal.Error())
	_ = http.NewResponseController(w).Flush() // not supported by all ResponseWriters
	in.logRefusal(r.Context(), r.URL.Query(), err)
}

// writeError writes an error response. msg is written without escaping.
func writeError(w http.ResponseWriter, status, code int, msg string) {
	body := []byte(`{"errcode":` + strconv.Itoa(code) + `,"errmsg":"` + msg + `"}`)
	writeResponse(w, status, body, "application/json")
}

func writeResponse(w http.ResponseWriter, status int, body []byte, contentType string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff") // the sender chooses the text of a URL check
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(body)
}

func contentTypeOf(body []byte) string {
	switch {
	case len(body) > 0 && body[0] == '<':
		return "text/xml; charset=utf-8"
	case len(body) > 0 && body[0] == '{':
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}
