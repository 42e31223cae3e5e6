package wechat

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"github.com/wetoken/wetoken/internal/wirejson"
)

// refusalBody is the JSON of a refusal.
type refusalBody struct {
	Code wirejson.Int    `json:"errcode"`
	Msg  json.RawMessage `json:"errmsg"`
}

// parseRefusal returns the refusal in an answer, or nil. b is a whole answer, or the beginning of a long one, which is
// no refusal.
func parseRefusal(b []byte) *refusalBody {
	n := new(refusalBody)
	if wirejson.Unmarshal(b, n) != nil || n.Code == 0 {
		return nil
	}
	return n
}

func (n *refusalBody) newError(op string, secrets []string) *Error {
	var msg string
	if json.Unmarshal(n.Msg, &msg) != nil {
		msg = string(n.Msg) // not text, but still a refusal
	}
	return newError(op, int(n.Code), msg, secrets)
}

// peekRefusal returns the refusal of the token in an answer, or nil. The answer can still be read from its beginning.
func peekRefusal(resp *http.Response) *refusalBody {
	if resp.Body == nil || resp.StatusCode == http.StatusSwitchingProtocols ||
		resp.StatusCode/100 == 2 && resp.Header.Get("Content-Disposition") != "" { // the file of a user may look like a refusal
		return nil
	}
	p := &peekedBody{ReadCloser: resp.Body, start: make([]byte, 0, maxRefusal)}
	resp.Body = p
	for len(p.start) < maxRefusal && p.err == nil && mayBeJSON(p.start) {
		var n int
		n, p.err = p.ReadCloser.Read(p.start[len(p.start):maxRefusal])
		p.start = p.start[:len(p.start)+n]
	}
	n := parseRefusal(p.start)
	if n == nil || !Code(n.Code).refusesToken() {
		return nil
	}
	return n
}

// mayBeJSON reports whether an answer that begins with start may be a JSON object.
func mayBeJSON(start []byte) bool {
	start = bytes.TrimLeft(start, "\xef\xbb\xbf \t\r\n") // a byte order mark may be incomplete
	return len(start) == 0 || start[0] == '{'
}

// peekedBody is an answer whose start was already read.
type peekedBody struct {
	io.ReadCloser
	start []byte
	err   error // returned after start
}

func (p *peekedBody) Read(b []byte) (n int, err error) {
	switch {
	case len(p.start) > 0:
		n = copy(b, p.start)
		p.start = p.start[n:]
		return n, nil
	case p.err != nil:
		return 0, p.err
	}
	return p.ReadCloser.Read(b)
}
