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
	maxJSON    = 8 << 20  // bytes of an answer in JSON
	maxBinary  = 64 << 20 // bytes of an answer that may be a file
	maxRefusal = 4 << 10  // bytes of a refusal that is answered instead of a file
)

// answer is the answer to one request.
type answer struct {
	op      string
	status  int
	header  http.Header
	body    io.Reader
	secrets func() []string // called when an error may contain them
}

func (a answer) read(out any) error {
	switch o := out.(type) {
	case *[]byte:
		var b bytes.Buffer
		if err := a.copyFile(&b); err != nil {
			return err
		}
		*o = b.Bytes()
		return nil
	case *Download:
		return a.readDownload(o)
	case io.Writer:
		return a.copyFile(o)
	}
	b, err := readAll(a.body, maxJSON)
	if err != nil {
		return fmt.Errorf("wechat: %s: read answer: %w", a.op, withoutSecrets(err, a.secrets()))
	}
	if err := a.checkRefusal(b); err != nil {
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

// copyFile writes a file to w.
func (a answer) copyFile(w io.Writer) error {
	r, _, err := a.peekFile()
	if err != nil {
		return err
	}
	return a.copyTo(w, r)
}

// peekFile returns the beginning of an answer that may be a file, or the refusal that was answered instead.
func (a answer) peekFile() (r *bufio.Reader, peekFile []byte, err error) {
	r = bufio.NewReaderSize(io.LimitReader(a.body, maxBinary+1), maxRefusal)
	peekFile, err = r.Peek(maxRefusal)
	if err != nil && err != io.EOF {
		return nil, nil, fmt.Errorf("wechat: %s: read answer: %w", a.op, withoutSecrets(err, a.secrets()))
	}
	return r, peekFile, a.checkRefusal(peekFile)
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

// checkRefusal returns the refusal in an answer, if b is one. b is a whole answer, or the beginning of a long one,
// which is no refusal.
func (a answer) checkRefusal(b []byte) error {
	if n := parseRefusal(b); n != nil {
		return n.newError(a.op, a.secrets())
	}
	if a.status < 200 || a.status > 299 {
		return fmt.Errorf("wechat: %s: HTTP status %d", a.op, a.status)
	}
	return nil
}
