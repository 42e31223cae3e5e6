package message

import (
	"context"
	"errors"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/wetoken/wetoken/internal/relay"
)

// postWithRetry posts a message to a backend until it responds or its Timeout is over, and sends the progress to
// results.
func (f *forwarder) postWithRetry(ctx context.Context, m *Message, b *backend, i int, request outgoing, results chan<- result) {
	ctx, cancel := context.WithTimeout(ctx, b.Timeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil { // a panic must not end the process
			f.log.ErrorContext(ctx, "message: request to a backend panicked", "backend", host(b.URL), "panic", v, "stack", string(debug.Stack()))
			results <- result{i: i, progress: finished, err: errors.New("panic")}
		}
	}()
	for try := 1; ; try++ {
		body, err := b.sender.Deliver(ctx, request.id, withQuery(request.url, request.query), request.contentType, request.body)
		if err == nil {
			reply, err := f.readBackendReply(ctx, m, b, body)
			if err != nil {
				f.log.WarnContext(ctx, "message: invalid reply of a backend", "backend", host(b.URL), "message", m.String(), "error", err)
			}
			results <- result{i: i, progress: finished, reply: reply}
			return
		}
		if relay.Temporary(err) {
			if try == 1 {
				results <- result{i: i, progress: retrying}
			}
			if waitRetry(ctx) {
				continue
			}
		}
		f.log.WarnContext(ctx, "message: request to a backend failed", "backend", host(b.URL), "message", m.String(), "error", err)
		results <- result{i: i, progress: finished, err: err}
		return
	}
}

// waitRetry waits for retryInterval, and reports whether ctx has not ended.
func waitRetry(ctx context.Context) bool {
	timer := time.NewTimer(retryInterval)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// readBackendReply parses the response of a backend, and returns an error if it is not a valid reply to m.
func (f *forwarder) readBackendReply(ctx context.Context, m *Message, b *backend, body []byte) (Reply, error) {
	doc := trimDocument(string(body))
	switch {
	case doc == "success" && b.named:
		return Text(""), nil
	case doc == "", doc == "success":
		return nil, nil
	}
	doc, err := f.decryptReply(doc)
	if err != nil {
		return nil, err
	}
	r, err := ParseReply([]byte(doc))
	if err != nil || r == nil {
		return nil, err
	}
	if _, ok := r.(Raw); ok {
		if err := validateRaw(m, doc); err != nil {
			return nil, err
		}
	}
	r = cutReply(ctx, f.log, m, r, host(b.URL))
	text, err := encodeReply(m, r)
	if err != nil {
		if _, sendable := toAPIMessage(r, m.origin.work); sendable && b.Late {
			return r, nil
		}
		return nil, err
	}
	if text == "" {
		return nil, nil
	}
	return r, nil
}

// decryptReply returns a reply decrypted, if a backend that has the app's key encrypted it.
func (f *forwarder) decryptReply(doc string) (string, error) {
	var root Element
	if _, err := parseDocument(&doc, &root); err != nil {
		return "", err
	}
	if root.Name != "xml" {
		return "", errors.New("invalid root element: want xml")
	}
	sealed := root.Get("Encrypt")
	if sealed == "" {
		sealed = root.Get("encrypt")
	}
	if sealed == "" {
		return doc, nil
	}
	text, _, _, err := f.keys.decrypt(sealed)
	if err != nil {
		return "", err
	}
	return trimDocument(string(text)), nil
}

// validateRaw returns nil if doc looks like a reply that only some events have: ErrCode for the xpay and trade events of
// mini programs, a MsgType such as update_button for cards of WeCom, a msgtype for smart robots of WeCom.
func validateRaw(m *Message, doc string) error {
	var root Element
	_, err := parseDocument(&doc, &root)
	switch {
	case err != nil:
		return err
	case m.isEvent() && (root.Child("ErrCode") != nil || root.Get("MsgType") != ""):
		return nil
	case m.isForRobot() && root.Get("msgtype") != "":
		return nil
	}
	return unknownReplyError(&root)
}

// host returns the host of a backend's URL, for the log.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "?"
	}
	return u.Host
}
