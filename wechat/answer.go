package wechat

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/wetoken/wetoken/internal/wirejson"
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
	header  http.Header
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
	case *Download:
		return a.download(o)
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
	if out == nil {
		err = wirejson.Check(b)
	} else {
		err = wirejson.Unmarshal(b, out)
	}
	if syntax := (*wirejson.SyntaxError)(nil); errors.As(err, &syntax) {
		return fmt.Errorf("wechat: %s: the answer is not JSON (HTTP status %d): %w", a.op, a.status, syntax)
	}
	if err != nil {
		return fmt.Errorf("wechat: %s: read answer: %w", a.op, withoutSecrets(err, a.secrets()))
	}
	return nil
}

// copy writes a file to w.
func (a answer) copy(w io.Writer) error {
	r, _, err := a.start()
	if err != nil {
		return err
	}
	return a.copyTo(w, r)
}

// start looks at the beginning of what may be a file: WeChat answers a refusal in place of the file.
func (a answer) start() (r *bufio.Reader, start []byte, err error) {
	r = bufio.NewReaderSize(io.LimitReader(a.body, maxBinary+1), maxNotice)
	start, err = r.Peek(maxNotice)
	if err != nil && err != io.EOF {
		return nil, nil, fmt.Errorf("wechat: %s: read answer: %w", a.op, withoutSecrets(err, a.secrets()))
	}
	return r, start, a.check(start)
}

func (a answer) copyTo(w io.Writer, r io.Reader) error {
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
	if n := readNotice(b); n != nil {
		return n.refusal(a.op, a.secrets())
	}
	if a.status < 200 || a.status > 299 {
		return fmt.Errorf("wechat: %s: HTTP status %d", a.op, a.status)
	}
	return nil
}
