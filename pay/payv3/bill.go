package payv3

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/pay"
)

// maxBill bounds a bill, decompressed.
const maxBill = 8 << 30

// Bill writes the bill of a day to w as WeChat sends it, decompressed: CSV in UTF-8 behind a byte order mark, with
// amounts in yuan. It holds little of it in memory, and compares its hash at the end, so that the bytes written must not be
// used after an error. WeChat keeps 3 months. See https://pay.weixin.qq.com/doc/v3/merchant/4012556654 (申请交易账单).
//
// pay.ErrNotFound means that the day has no bill, pay.ErrBusy that the bill is not ready.
func (m *Merchant) Bill(ctx context.Context, kind string, day time.Time, w io.Writer) error {
	path, query := "/v3/bill/tradebill", url.Values{"bill_date": {day.In(beijing).Format(time.DateOnly)}, "tar_type": {"GZIP"}}
	switch {
	case slices.Contains([]string{"BASIC", "OPERATION", "FEES"}, kind):
		path = "/v3/bill/fundflowbill"
		query.Set("account_type", kind)
	default:
		query.Set("bill_type", firstOf(kind, "ALL"))
	}
	if m.sub.mchID != "" {
		query.Set("sub_mchid", m.sub.mchID)
	}
	var bill struct {
		HashType    string `json:"hash_type"`
		HashValue   string `json:"hash_value"`
		DownloadURL string `json:"download_url"`
	}
	if err := m.Do(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &bill); err != nil {
		return err
	}
	op := "GET " + path
	if !strings.EqualFold(bill.HashType, "SHA1") {
		return &pay.Error{Op: op, Cause: pay.ErrUnknown, Message: fmt.Sprintf("the hash of the bill is of type %.20q: want SHA1", bill.HashType)}
	}
	from, err := url.Parse(bill.DownloadURL)
	if err != nil || !strings.HasPrefix(from.Path, "/") {
		return &pay.Error{Op: op, Cause: pay.ErrUnknown, Message: "the answer has no download_url"}
	}
	hash := sha1.New()
	if err := m.wire.download(ctx, from.RequestURI(), io.MultiWriter(w, hash), true); err != nil {
		return err
	}
	if !strings.EqualFold(hex.EncodeToString(hash.Sum(nil)), bill.HashValue) {
		return &pay.Error{Op: op, Cause: pay.ErrUnknown, Message: "the bill does not have the hash that WeChat says"}
	}
	return nil
}

// downloads are the paths whose answers WeChat does not sign.
var downloads = []string{
	"/v3/billdownload/file", "/v3/transferdownload/elecvoucherfile", "/v3/transferdownload/signfile",
	"/v3/new-tax-control-fapiao/download", "/v3/statements", "/v3/global/statements",
}

const imagesPath = "/v3/merchant-service/images/"

// isDownload reports whether the answer of a path is a file without a signature.
func isDownload(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	id, image := strings.CutPrefix(path, imagesPath)
	return slices.Contains(downloads, path) || image && id != "upload" && !strings.Contains(id, "/")
}

// download writes the file of a path to w, unzipped if unzip is set and it is zipped.
func (w *wire) download(ctx context.Context, path string, to io.Writer, unzip bool) error {
	name, _, _ := strings.Cut(path, "?") // the query holds a token
	r := &request{op: "GET " + name, method: http.MethodGet, path: path, unsigned: true}
	if err := w.prepare(ctx, r); err != nil {
		return err
	}
	resp, err := w.send(ctx, r, false)
	if err != nil && ctx.Err() == nil {
		resp, err = w.send(ctx, r, true)
	}
	if err != nil {
		return outcome{doubt: lostAnswer(err)}.unknown(r)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusedDownload(r, resp)
	}
	if err := copyFile(to, resp.Body, unzip); err != nil {
		return outcome{doubt: &pay.Error{Err: err}}.unknown(r)
	}
	return nil
}

// refusedDownload returns the error of an answer that is no file.
func refusedDownload(r *request, resp *http.Response) error {
	o := outcome{status: resp.StatusCode, header: resp.Header}
	o.body, _ = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if o.status >= 400 && o.status < 500 {
		_, err := o.result(r, false)
		return err
	}
	o.doubt = readError(o.body)
	o.doubt.Status, o.doubt.RequestID = o.status, requestID(o.header)
	return o.unknown(r)
}

// copyFile copies a file, unzipped where it is zipped and unzip is set.
func copyFile(to io.Writer, from io.Reader, unzip bool) error {
	in := bufio.NewReader(from)
	from = in
	if magic, _ := in.Peek(2); unzip && string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		from = z
	}
	n, err := io.Copy(to, io.LimitReader(from, maxBill+1))
	if err == nil && n > maxBill {
		err = errors.New("the file is too large")
	}
	return err
}
