package payv3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/wetoken/wetoken/pay"
)

// Do makes any call of APIv3: it signs it, sends it, verifies the answer and decodes it. The path has its query, with
// values percent-encoded, and is sent as it is.
//
// in is nil, []byte (sent as it is), an [Upload], or a value that is sent as JSON, in which each [Secret] is encrypted. out
// is nil, *[]byte or an io.Writer for an answer as it came, or a pointer for JSON, in which each Secret is decrypted. The
// files that WeChat serves without a signature, such as /v3/billdownload/file, go to an io.Writer in a stream.
//
// A write without an answer that can be trusted is pay.ErrUnknown. Before that the same bytes are sent once more where they
// cannot take effect twice: where the body or the path has one of our numbers (out_trade_no, out_refund_no, out_bill_no,
// out_order_no, out_return_no, out_request_no, combine_out_trade_no), or the method is GET, PUT or DELETE. HTTP status 202 is
// pay.ErrPaying.
func (m *Merchant) Do(ctx context.Context, method, path string, in, out any) error {
	if m.invalid != nil {
		return m.invalid
	}
	to, isWriter := out.(io.Writer)
	if isWriter && method == http.MethodGet && isDownload(path) {
		return m.wire.download(ctx, path, to, false)
	}
	if v := reflect.ValueOf(out); out != nil && !isWriter && (v.Kind() != reflect.Pointer || v.IsNil()) {
		return &pay.FieldError{Field: "out", Reason: fmt.Sprintf("is a %T that cannot be set: want a pointer, an io.Writer or nil", out)}
	}
	r, err := m.newRequest(ctx, method, path, in)
	if err != nil {
		return err
	}
	body, err := m.do(ctx, r)
	if err != nil {
		return err
	}
	if err := m.wire.read(body, out); err != nil {
		return &pay.Error{Op: r.op, Cause: pay.ErrUnknown, Number: r.number, Err: fmt.Errorf("it was done, but its answer cannot be read: %w", err)}
	}
	return nil
}

// newRequest returns a call with a body.
func (m *Merchant) newRequest(ctx context.Context, method, path string, in any) (*request, error) {
	name, _, _ := strings.Cut(path, "?")
	r := &request{op: printable(method+" "+name, 200), method: method, path: path}
	if !isToken(method) {
		return nil, &pay.FieldError{Field: "method", Reason: "is not a method of HTTP in capitals"}
	}
	var err error
	switch v := in.(type) {
	case nil:
	case []byte:
		r.body = v
	case Upload:
		err = v.encode(r)
	case *Upload:
		if v == nil {
			return nil, &pay.FieldError{Field: "in", Reason: "is a nil *Upload"}
		}
		err = v.encode(r)
	default:
		err = m.wire.encodeSealed(ctx, r, v)
	}
	if errors.As(err, new(*pay.Error)) {
		return nil, notSent(r, err)
	}
	if err != nil {
		return nil, fmt.Errorf("payv3: %s: encode: %w", r.op, err)
	}
	if r.meta == nil {
		r.number = numberIn(path, r.body)
	}
	r.unsigned = method == http.MethodGet && isDownload(path)
	return r, nil
}

func isToken(method string) bool {
	return method != "" && strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// encodeSealed sets the body of r to v as JSON, with each Secret encrypted.
func (w *wire) encodeSealed(ctx context.Context, r *request, v any) error {
	var s sealer
	if holdsSecret(reflect.ValueOf(v), 0) {
		serial, key, err := w.theirKey(ctx)
		if err != nil {
			return err
		}
		r.serial, s.key = serial, key
		sealed, err := s.seal(reflect.ValueOf(v), 0)
		if err != nil {
			return err
		}
		v = sealed.Interface()
	}
	body, err := encode(v)
	r.body = body
	return err
}

// read stores an answer in out.
func (w *wire) read(body []byte, out any) error {
	switch to := out.(type) {
	case nil:
		return nil
	case *[]byte:
		*to = body
		return nil
	case io.Writer:
		_, err := to.Write(body)
		return err
	}
	if len(body) == 0 {
		return errors.New("it is empty")
	}
	if err := decodeStrictly(body, out); err != nil {
		return err
	}
	return w.openSecrets(reflect.ValueOf(out))
}

// decodeStrictly reads JSON into out, and returns an error for a value of another type, which it does not quote.
func decodeStrictly(body []byte, out any) error {
	err := json.Unmarshal(body, out)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		kind, _, _ := strings.Cut(wrong.Value, " ") // it is "number 123" for a number
		return fmt.Errorf("field %s is a %s: want %s", wrong.Field, kind, wrong.Type)
	}
	return err
}
