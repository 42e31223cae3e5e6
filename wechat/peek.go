package wechat

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"github.com/wetoken/wetoken/internal/wirejson"
)

// notice is the part of an answer that is a refusal.
type notice struct {
	Code wirejson.Int    `json:"errcode"`
	Msg  json.RawMessage `json:"errmsg"`
}

// readNotice finds the refusal in a whole answer, or in the beginning of a long one, which is none.
func readNotice(b []byte) *notice {
	n := new(notice)
	if wirejson.Unmarshal(b, n) != nil || n.Code == 0 {
		return nil
	}
	return n
}

func (n *notice) refusal(op string, secrets []string) *Error {
	var msg string
	if json.Unmarshal(n.Msg, &msg) != nil {
		msg = string(n.Msg) // no text, and no reason to take the refusal for success
	}
	return refusal(op, int(n.Code), msg, secrets)
}

// peekRefusal returns the refusal of the token in an answer, or nil. The answer can be read as before.
func peekRefusal(resp *http.Response) *notice {
	if resp.Body == nil || resp.StatusCode == http.StatusSwitchingProtocols ||
		resp.StatusCode/100 == 2 && resp.Header.Get("Content-Disposition") != "" { // a user's file may look like a refusal
		return nil
	}
	p := &peeked{ReadCloser: resp.Body, start: make([]byte, 0, maxNotice)}
	resp.Body = p
	for len(p.start) < maxNotice && p.err == nil && mayBeJSON(p.start) {
		var n int
		n, p.err = p.ReadCloser.Read(p.start[len(p.start):maxNotice])
		p.start = p.start[:len(p.start)+n]
	}
	n := readNotice(p.start)
	if n == nil || !Code(n.Code).refusesToken() {
		return nil
	}
	return n
}

// mayBeJSON reports whether an answer that begins so may be a JSON object. A file need not be waited for.
func mayBeJSON(start []byte) bool {
	start = bytes.TrimLeft(start, "\xef\xbb\xbf \t\r\n") // a byte order mark may have come in part
	return len(start) == 0 || start[0] == '{'
}

// peeked is an answer of which the start was read already.
type peeked struct {
	io.ReadCloser
	start []byte
	err   error // behind start
}

func (p *peeked) Read(b []byte) (n int, err error) {
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
