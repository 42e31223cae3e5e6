package message

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/internal/relay"
)

// maxCalls is the most call= parameters of a request.
const maxCalls = 16

// Calls returns a handler like the Receiver that also accepts backends in the query of the callback URL, in the format
// of wechat-proxy:
//
//	https://wx.example.com/msg?call=crm.example.com/wx&call=/local
//
// These backends get the message in form, and may reply to the user, after those of Forwarding. The user receives the
// reply of the first whose response has status 200 and a body; the word success is a body that shows the user nothing.
// An address may lack http://. An address that begins with / is served by local in this process, or refused if local is
// nil. A query is easy to forge: an address must be on Forwarding.Hosts and public, unless AllowPrivate is set, and one
// of SignKeys or Signature is required, so that the backend can verify the request. Any other address in a request with
// a valid signature is refused with 403.
func (in *Receiver) Calls(form Form, local http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in.serve(w, r, func(query url.Values) ([]backend, error) { return in.forward.callBackends(query["call"], form, local) })
	})
}

// callBackends returns the backends that a request names. The error is a Refusal.
func (f *forwarder) callBackends(addresses []string, form Form, local http.Handler) ([]backend, error) {
	if len(addresses) > maxCalls {
		return nil, fmt.Errorf("%w: %d call= parameters: want at most %d", ErrBackend, len(addresses), maxCalls)
	}
	var list []backend
	for _, address := range addresses {
		sender := &relay.Sender{Key: f.sender.Key, PreviousKey: f.sender.PreviousKey, OnlyOK: true}
		switch {
		case strings.HasPrefix(address, "/") && local != nil:
			address = "http://local" + address
			sender.HTTP = &http.Client{Transport: relay.Local{Handler: local}}
		case f.sender.Key == "" && !f.signature:
			return nil, fmt.Errorf("%w: no SignKeys (sign_key): want one, or Signature (forward_signature), for a backend that a request names", ErrBackend)
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
		b, err := Backend{URL: address, Form: form, Answer: true}.prepare(sender)
		if err != nil {
			return nil, fmt.Errorf("%w: its %s %s", ErrBackend, err.Field, err.Reason)
		}
		b.named, b.fullQuery = true, true
		list = append(list, b)
	}
	return list, nil
}
