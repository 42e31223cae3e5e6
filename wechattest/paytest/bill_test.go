package paytest_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

// download fetches a bill as its answer says.
func (c *client) download(r *result) *result {
	c.t.Helper()
	url := r.text("download_url")
	require.Contains(c.t, url, c.base+"/v3/billdownload/file?token=")
	file := c.try("GET", strings.TrimPrefix(url, c.base), nil)
	require.Empty(c.t, file.header.Get("Wechatpay-Signature"))
	return file
}

func TestABillListsItsDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t) // it is 2000-01-01T08:00+08:00
		c := shop(t, s)
		c.do("POST", jsapi, order("unpaid", 1))
		id := c.paid(s, "order-1", 1234)
		c.paid(s, "order-2", 5)
		c.do("POST", refunds, refund("r1", "order-1", 200, 1234))
		c.do("POST", codepay, codeOrder("order-3", s.PayCode("", false)))
		c.do("POST", byNo+"order-3/reverse", object{"appid": appID, "mchid": mchID})
		const bill = "/v3/bill/tradebill?bill_date=2000-01-01"
		c.refused(400, "PARAM_ERROR", "GET", bill, nil)
		time.Sleep(16 * time.Hour)
		c.refused(400, "STATEMENT_CREATING", "GET", bill, nil)
		time.Sleep(10 * time.Hour)
		c.refused(400, "NO_STATEMENT_EXIST", "GET", "/v3/bill/tradebill?bill_date=1999-12-31", nil)

		r := c.do("GET", bill, nil)
		require.Equal(t, "SHA1", r.text("hash_type"))
		file := c.download(r)
		require.Equal(t, r.text("hash_value"), fmt.Sprintf("%x", sha1.Sum(file.body)))
		lines := strings.Split(string(file.body), "\r\n")
		require.True(t, strings.HasPrefix(lines[0], "\ufeff交易时间,公众账号ID,商户号,"))
		require.Len(t, lines, 1+5+2+1)
		for i, line := range lines[1:6] {
			require.Len(t, strings.Split(line, ",`"), len(strings.Split(lines[0], ",")), i)
		}
		require.Contains(t, lines[1], "`"+id+",`order-1,`"+payer+",`JSAPI,`SUCCESS,`OTHERS,`CNY,`12.34,")
		require.Contains(t, lines[3], ",`r1,`2.00,`0.00,`ORIGINAL,`PROCESSING,")
		require.Equal(t, "`5,`12.44,`2.05,`0.00,`0.00000,`12.44,`2.05", lines[7])

		zipped := c.do("GET", bill+"&tar_type=GZIP", nil)
		require.Equal(t, r.text("hash_value"), zipped.text("hash_value"), "of what is in it")
		reader, err := gzip.NewReader(bytes.NewReader(c.download(zipped).body))
		require.NoError(t, err)
		text, err := io.ReadAll(reader)
		require.NoError(t, err)
		require.Equal(t, file.body, text)
		require.NotContains(t, string(c.download(c.do("GET", bill+"&bill_type=SUCCESS", nil)).body), "r1")
		require.NotContains(t, string(c.download(c.do("GET", bill+"&bill_type=REFUND", nil)).body), "order-2")
		flow := c.download(c.do("GET", "/v3/bill/fundflowbill?bill_date=2000-01-01", nil))
		require.Contains(t, string(flow.body), "`5,`3,`12.44,`2,`2.05")
		c.refused(400, "NO_STATEMENT_EXIST", "GET", "/v3/bill/fundflowbill?bill_date=2000-01-01&account_type=FEES", nil)
		for _, query := range []string{"?bill_date=20000101", "", "?bill_date=2000-01-01&bill_type=X", "?bill_date=2000-01-01&tar_type=ZIP"} {
			c.refused(400, "PARAM_ERROR", "GET", "/v3/bill/tradebill"+query, nil)
		}
		c.refused(400, "PARAM_ERROR", "GET", "/v3/bill/fundflowbill?bill_date=2000-01-01&account_type=X", nil)

		other := newClient(t, s, paytest.Merchant{MchID: "1900000009"})
		require.Equal(t, 403, other.download(r).status)
		unsigned := *c
		unsigned.tamper = replace("signature", "sign")
		require.Equal(t, 401, unsigned.download(r).status)
		time.Sleep(30 * time.Second)
		require.Equal(t, 200, c.download(r).status)
		time.Sleep(time.Second)
		require.Equal(t, 400, c.download(r).status)
		time.Sleep(100 * 24 * time.Hour)
		c.refused(400, "PARAM_ERROR", "GET", bill, nil)
	})
}

func TestAProvidersBillIsOfItsShops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		const provider = "1900000100"
		c := newClient(t, s, paytest.Merchant{MchID: provider, Subs: []paytest.Sub{{MchID: "1900000101"}, {MchID: "1900000102"}}})
		for _, sub := range []string{"1900000101", "1900000102"} {
			c.do("POST", "/v3/pay/partner/transactions/native", object{
				"sp_appid": appID, "sp_mchid": provider, "sub_mchid": sub, "description": "a", "out_trade_no": "of-" + sub, "notify_url": hook, "amount": object{"total": 5},
			})
			_, err := s.Pay(sub, "of-"+sub, "")
			require.NoError(t, err)
		}
		time.Sleep(48 * time.Hour)
		const bill = "/v3/bill/tradebill?bill_date=2000-01-01"
		all := string(c.download(c.do("GET", bill, nil)).body)
		require.Contains(t, all, "of-1900000101")
		require.Contains(t, all, "of-1900000102")
		one := string(c.download(c.do("GET", bill+"&sub_mchid=1900000101", nil)).body)
		require.NotContains(t, one, "of-1900000102")
		c.refused(403, "NO_AUTH", "GET", bill+"&sub_mchid=1", nil)
	})
}

func TestAnAddedBillIsStreamed(t *testing.T) {
	s := newServer(t)
	server := httptest.NewServer(s)
	defer server.Close()
	c := shop(t, s)
	c.http, c.base = server.Client(), server.URL
	const size = 8 << 20
	line := bytes.Repeat([]byte("`1,"), 1024)
	day := time.Now()
	b := paytest.Bill{MchID: mchID, Kind: "tradebill", Day: day, Write: func(w io.Writer) error {
		for n := 0; n < size; n += len(line) {
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		return nil
	}}
	require.NoError(t, s.AddBill(b))
	path := "/v3/bill/tradebill?bill_date=" + day.In(time.FixedZone("", 8*3600)).Format(time.DateOnly)
	r := c.do("GET", path, nil)
	file := c.download(r)
	require.Equal(t, r.text("hash_value"), fmt.Sprintf("%x", sha1.Sum(file.body)))
	require.GreaterOrEqual(t, len(file.body), size)

	b.WrongHash = true
	require.NoError(t, s.AddBill(b))
	require.NotEqual(t, r.text("hash_value"), c.do("GET", path, nil).text("hash_value"))
	b.Write = func(w io.Writer) error { return errors.New("no") }
	require.NoError(t, s.AddBill(b))
	c.refused(500, "SYSTEM_ERROR", "GET", path, nil)
	require.Error(t, s.AddBill(paytest.Bill{MchID: mchID, Kind: "tradebill"}))
	require.Error(t, s.AddBill(paytest.Bill{MchID: "1", Kind: "tradebill", Write: b.Write}))
	require.True(t, json.Valid(r.body))
}
