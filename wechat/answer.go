package wechat

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

const (
	maxJSON   = 8 << 20  // bytes of an answer that is to be JSON
	maxBinary = 64 << 20 // bytes of an answer that may be a file
	maxNotice = 4 << 10  // bytes within which a refusal stands, where a file was asked for
)

// answer is what came back for one request.
type answer struct {
	op      string
	status  int
	body    io.Reader
	secrets func() []string // asked for when there is an error to tell
}

func (a answer) read(out any) error {
	switch o := out.(type) {
	case *[]byte:
		var b bytes.Buffer
		if err := a.copy(&b); err != nil {
			return err
		}
		*o = b.Bytes()
		return nil
	case io.Writer:
		return a.copy(o)
	}
	b, err := readAll(a.body, maxJSON)
	if err != nil {
		return fmt.Errorf("wechat: %s: read answer: %w", a.op, withoutSecrets(err, a.secrets()))
	}
	if err := a.check(b); err != nil {
		return err
	}
	if !json.Valid(b) {
		return fmt.Errorf("wechat: %s: the answer is not JSON (HTTP status %d, %d bytes)", a.op, a.status, len(b))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("wechat: %s: read answer: %w", a.op, withoutSecrets(err, a.secrets()))
	}
	return nil
}

// copy writes a file to w, after a look at its beginning: WeChat answers a refusal in place of the file.
func (a answer) copy(w io.Writer) error {
	r := bufio.NewReaderSize(io.LimitReader(a.body, maxBinary+1), maxNotice)
	start, err := r.Peek(maxNotice)
	if err != nil && err != io.EOF {
		return fmt.Errorf("wechat: %s: read answer: %w", a.op, withoutSecrets(err, a.secrets()))
	}
	if err := a.check(start); err != nil {
		return err
	}
	n, err := io.Copy(w, r)
	if err == nil && n > maxBinary {
		err = fmt.Errorf("more than %d bytes", maxBinary)
	}
	if err != nil {
		return fmt.Errorf("wechat: %s: copy answer: %w", a.op, withoutSecrets(err, a.secrets()))
	}
	return nil
}

// check finds the refusal in a whole answer, or in the beginning of a long one, which is none.
func (a answer) check(b []byte) error {
	var notice struct {
		Code json.Number     `json:"errcode"`
		Msg  json.RawMessage `json:"errmsg"`
	}
	if b = bytes.TrimSpace(b); bytes.HasPrefix(b, []byte("{")) && json.Unmarshal(b, &notice) == nil {
		if code, err := notice.Code.Int64(); err == nil && code != 0 {
			var msg string
			if json.Unmarshal(notice.Msg, &msg) != nil {
				msg = string(notice.Msg) // no text, and no reason to take the refusal for success
			}
			return refusal(a.op, int(code), msg, a.secrets())
		}
	}
	if a.status < 200 || a.status > 299 {
		return fmt.Errorf("wechat: %s: HTTP status %d", a.op, a.status)
	}
	return nil
}
