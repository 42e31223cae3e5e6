package message

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/internal/relay"
)

// maxCalls is how many call= a request may have.
const maxCalls = 16

// Calls returns what the Receiver serves, with one thing more: the query of the callback URL may name further backends
// for each message, as wechat-proxy has it:
//
//	https://wx.example.com/msg?call=crm.example.com/wx&call=/local
//
// They get the message in form, and the first reply in their order, after those of Forwarding, is the user's. An
// address may lack http://. One that begins with / is served by local, in this process; without a local there are none.
// A query is easily forged, so addresses must be on Forwarding.Hosts, unless AllowPrivate is set they are not dialled
// where they turn out not to be on the public internet, and there must be one of SignKeys, by which the backend knows
// what is ours. A request that names another one is answered 403.
func (in *Receiver) Calls(form Form, local http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in.serve(w, r, func(query url.Values) ([]backend, error) { return in.forward.calls(query["call"], form, local) })
	})
}

// calls turns what a request names into backends. The error is a Refusal.
func (f *forwarder) calls(addresses []string, form Form, local http.Handler) ([]backend, error) {
	if len(addresses) > maxCalls {
		return nil, fmt.Errorf("%w: there are more than %d", ErrBackend, maxCalls)
	}
	var list []backend
	for _, address := range addresses {
		sender := &relay.Sender{Key: f.sender.Key, PreviousKey: f.sender.PreviousKey}
		switch {
		case strings.HasPrefix(address, "/") && local != nil:
			address = "http://local" + address
			sender.HTTP = &http.Client{Transport: inProcess{local}}
		case f.sender.Key == "":
			return nil, fmt.Errorf("%w: a backend that a request names needs one of SignKeys (sign_key)", ErrBackend)
		default:
			if !strings.Contains(address, "://") {
				address = "http://" + address
			}
			u, err := hosts.Parse(address, f.hosts)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrBackend, err)
			}
			u.Fragment = ""
			address = u.String()
			if sender.Guarded = !f.allowPrivate; f.allowPrivate {
				sender.HTTP = f.sender.HTTP
			}
		}
		t, err := Backend{URL: address, Form: form, Answer: true}.ready(sender)
		if err != nil {
			return nil, fmt.Errorf("%w: its %s %s", ErrBackend, err.Field, err.Reason)
		}
		t.all = true
		list = append(list, t)
	}
	return list, nil
}

// inProcess serves a request by a handler of this process.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:0"
	w := &localAnswer{header: make(http.Header)}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- fmt.Errorf("the handler panicked: %v", v)
			}
		}()
		p.ServeHTTP(w, in)
		w.WriteHeader(http.StatusOK)
		done <- nil
	}()
	select {
	case err := <-done:
		if err != nil {
			return nil, err
		}
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: w.status, Header: w.header, Body: io.NopCloser(&w.body), Request: r}, nil
}

// localAnswer is an http.ResponseWriter that keeps what is written.
type localAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *localAnswer) Header() http.Header { return w.header }

func (w *localAnswer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *localAnswer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.body.Len() <= relay.MaxAnswer { // one write beyond is enough for the sender to refuse it
		w.body.Write(p)
	}
	return len(p), nil
}
