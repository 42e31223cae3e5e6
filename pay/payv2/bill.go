package payv2

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/wetoken/wetoken/pay"
)

// maxBill bounds a bill, decompressed.
const maxBill = 8 << 30

// accounts has WeChat's account_type of each kind of fund flow bill.
var accounts = map[string]string{"BASIC": "Basic", "OPERATION": "Operation", "FEES": "Fees"}

// Bill writes the bill of a day to w as WeChat sends it, decompressed: CSV in UTF-8 behind a byte order mark, with amounts in
// yuan, and a back-quote before each value. A fund flow bill needs Config.Certificate. APIv2 does not sign a bill: its gzip checksum
// shows that it is whole. WeChat keeps 3 months.
//
// pay.ErrNotFound means that the day has no bill, pay.ErrBusy that the bill is not ready.
func (m *Merchant) Bill(ctx context.Context, kind string, day time.Time, w io.Writer) error {
	if m.invalid != nil {
		return m.invalid
	}
	fields := m.party(m.appID)
	fields.add("bill_date", day.In(beijing).Format("20060102"))
	fields.add("tar_type", "GZIP")
	var r *request
	if account := accounts[kind]; account != "" {
		fields.add("account_type", account)
		r = newRequest(fundFlowPath, fields)
		r.by = HMACSHA256
	} else {
		fields.add("bill_type", firstOf(kind, "ALL"))
		r = newRequest(billPath, fields)
	}
	if err := m.wire.prepare(ctx, r); err != nil {
		return err
	}
	resp, err := m.wire.send(ctx, r, false)
	if err != nil && ctx.Err() == nil {
		resp, err = m.wire.send(ctx, r, true)
	}
	if err != nil {
		return outcome{doubt: lostAnswer(err)}.unknown(r)
	}
	defer resp.Body.Close()
	return copyBill(w, r, resp)
}

// copyBill copies the bill in an answer, or returns the refusal.
func copyBill(to io.Writer, r *request, resp *http.Response) error {
	in, err := unzip(resp.Body)
	if err != nil {
		return outcome{doubt: &pay.Error{Err: err}}.unknown(r)
	}
	head, err := in.Peek(16)
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	if resp.StatusCode != http.StatusOK || bytes.HasPrefix(head, []byte("<")) || len(head) == 0 {
		return refusedBill(r, resp, in, err)
	}
	n, err := io.Copy(to, io.LimitReader(in, maxBill+1))
	if err == nil && n > maxBill {
		err = errors.New("the bill is too large")
	}
	if err != nil {
		return outcome{doubt: &pay.Error{Err: err}}.unknown(r)
	}
	return nil
}

// refusedBill returns the error of an answer that is no bill. It is not signed.
func refusedBill(r *request, resp *http.Response, in io.Reader, failure error) error {
	o := outcome{status: resp.StatusCode}
	body, err := io.ReadAll(io.LimitReader(in, maxAnswer))
	if err == nil && len(body) == 0 && failure != nil && !errors.Is(failure, io.EOF) {
		err = failure
	}
	switch fields, unread := readMessage(string(body), "xml"); {
	case err != nil:
		o.doubt = &pay.Error{Err: err}
	case o.status != http.StatusOK:
		o.judgeStatus(body)
	case unread == nil && readRefusal(fields) != nil:
		o.refusal = readRefusal(fields)
	default:
		o.doubt = &pay.Error{Message: "the answer is not a bill"}
	}
	for _, e := range []*pay.Error{o.doubt, o.refusal} {
		if e != nil {
			e.Status = o.status
		}
	}
	if o.doubt != nil {
		return o.unknown(r)
	}
	return o.result(r, false)
}

// unzip returns a reader of a file, decompressed where it is compressed.
func unzip(file io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReader(file)
	if magic, _ := in.Peek(2); string(magic) != "\x1f\x8b" {
		return in, nil
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	return bufio.NewReader(z), nil
}
