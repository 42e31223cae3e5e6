package payv2_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
)

func TestAnswersThatCannotBeTrustedLeaveTheOutcomeUnknown(t *testing.T) {
	for _, fault := range []string{"lost", "unsigned", "forged", "other", "502"} {
		f := newFake(func(string, fields) (fields, string) { return ok(), fault })
		err := f.merchant(t).Close(t.Context(), "order-1")
		require.ErrorIs(t, err, pay.ErrUnknown, fault)
		require.Len(t, f.paths, 2, "%s: the same number was sent once more", fault)
		require.Equal(t, f.calls[0], f.calls[1])
		_, err = f.merchant(t).Do(t.Context(), "/tools/shorturl", fields{"long_url": "weixin://x"})
		require.ErrorIs(t, err, pay.ErrUnknown, fault)
		require.Len(t, f.paths, 3, "%s: it names no number", fault)
	}
	tries := 0
	f := newFake(func(string, fields) (fields, string) {
		if tries++; tries == 1 {
			return ok(), "lost"
		}
		return refused("NOTENOUGH", "balance"), ""
	})
	_, err := f.merchant(t).Do(t.Context(), "/secapi/pay/refund", fields{"out_refund_no": "r"})
	require.ErrorIs(t, err, pay.ErrUnknown, "the first may have been done")
}

func TestUnsignedRefusalsAreKnownByTheirText(t *testing.T) {
	for text, want := range map[string]pay.Cause{
		"签名错误": pay.ErrSettings, "参数格式校验错误": "", "缺少参数": "", "受理机构必须传入sub_mch_id": pay.ErrSettings,
		"系统繁忙": pay.ErrUnknown, "OK": pay.ErrUnknown, "": pay.ErrUnknown,
	} {
		f := newFake(func(string, fields) (fields, string) {
			return fields{"return_code": "FAIL", "return_msg": text}, "unsigned"
		})
		err := f.merchant(t).Close(t.Context(), "order-1")
		var e *pay.Error
		require.ErrorAs(t, err, &e, text)
		require.Equal(t, want, e.Cause, text)
	}
}

func TestCodesHaveTheCausesOfAPIv3(t *testing.T) {
	for code, want := range map[string]pay.Cause{
		"SYSTEMERROR": pay.ErrUnknown, "BIZERR_NEED_RETRY": pay.ErrBusy, "ORDERPAID": pay.ErrPaid, "ORDERCLOSED": pay.ErrClosed, "ORDERREVERSED": pay.ErrClosed,
		"ORDERNOTEXIST": pay.ErrNotFound, "OUT_TRADE_NO_USED": pay.ErrChanged, "NOTENOUGH": pay.ErrNotEnough, "SIGNERROR": pay.ErrSettings, "USERPAYING": pay.ErrPaying, "TRADE_OVERDUE": "",
	} {
		f := newFake(func(string, fields) (fields, string) { return refused(code, "text"), "" })
		err := f.merchant(t).Close(t.Context(), "order-1")
		var e *pay.Error
		require.ErrorAs(t, err, &e, code)
		require.Equal(t, []any{want, code, "text", "out_trade_no order-1"}, []any{e.Cause, e.Code, e.Message, e.Number})
	}
}

func TestAMissingCertificateIsRecognised(t *testing.T) {
	f := newFake(func(string, fields) (fields, string) { return nil, "html" })
	err := f.merchant(t).Reverse(t.Context(), "order-1")
	require.ErrorIs(t, err, pay.ErrSettings)
	require.ErrorContains(t, err, "No required SSL certificate was sent")
	require.Len(t, f.paths, 1)
}

func TestDoKeepsItsOwnFields(t *testing.T) {
	f := newFake(func(string, fields) (fields, string) { return ok(), "" })
	m := f.merchant(t)
	for name, value := range map[string]string{"sign": "x", "nonce_str": "x", "mch_id": "1", "appid": "wx1", "sign_type": "RSA", "a b": "1", "1": "1", "x": "\x00"} {
		_, err := m.Do(t.Context(), "/pay/x", fields{name: value})
		require.ErrorAs(t, err, new(*pay.FieldError), name)
	}
	for _, path := range []string{"", "pay", "/pay?x=1", "/pay/ x", "//[", "/pay#"} {
		_, err := m.Do(t.Context(), path, nil)
		require.ErrorAs(t, err, new(*pay.FieldError), path)
	}
	require.Empty(t, f.paths)
	_, err := m.Do(t.Context(), "/pay/x", fields{"sign_type": "MD5"})
	require.NoError(t, err)
	require.Equal(t, "MD5", f.calls[0]["sign_type"])
}

func TestPayoutsAreConfirmedByAQuery(t *testing.T) {
	const send, ask = "/mmpaymkttransfers/promotion/transfers", "/mmpaymkttransfers/gettransferinfo"
	found := func(status string) fields {
		return ok("partner_trade_no", "t1", "status", status, "payment_amount", "100", "reason", "余额不足")
	}
	none := refused("NOT_FOUND", "none")
	for name, c := range map[string]struct {
		sent, asked fields
		fault       string
		cause       pay.Cause
		code        string
	}{
		"done":               {sent: ok("partner_trade_no", "t1"), asked: found("SUCCESS")},
		"done, though lost":  {sent: ok(), fault: "lost", asked: found("PROCESSING")},
		"done, though FAIL":  {sent: refused("SYSTEMERROR", "x"), asked: found("SUCCESS")},
		"refused":            {sent: refused("NOTENOUGH", "x"), asked: none, cause: pay.ErrNotEnough, code: "NOTENOUGH"},
		"lost":               {sent: ok(), fault: "lost", asked: none, cause: pay.ErrUnknown},
		"SUCCESS of nothing": {sent: ok(), asked: none, cause: pay.ErrUnknown},
		"failed":             {sent: ok(), asked: found("FAILED"), code: "FAILED"},
		"another amount":     {sent: ok(), asked: ok("partner_trade_no", "t1", "status", "SUCCESS", "payment_amount", "1"), cause: pay.ErrChanged},
		"another number":     {sent: ok(), asked: ok("partner_trade_no", "t2", "status", "SUCCESS"), cause: pay.ErrUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(func(path string, in fields) (fields, string) {
				if path == ask {
					return c.asked, "unsigned"
				}
				if c.fault != "" {
					return nil, c.fault
				}
				return c.sent, "unsigned"
			})
			_, err := f.merchant(t).Do(t.Context(), send, fields{"partner_trade_no": "t1", "amount": "100", "openid": openID})
			if c.cause == "" && c.code == "" {
				require.NoError(t, err)
			} else {
				var e *pay.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, []any{c.cause, c.code}, []any{e.Cause, e.Code})
			}
			require.Equal(t, []string{appID, mchID, "", "", ""}, []string{f.calls[0]["mch_appid"], f.calls[0]["mchid"], f.calls[0]["appid"], f.calls[0]["mch_id"], f.calls[0]["sign_type"]})
			require.Equal(t, 1, f.certs[0])
		})
	}
	f := newFake(func(string, fields) (fields, string) { return ok(), "unsigned" })
	_, err := f.merchant(t).Do(t.Context(), "/mmpaysptrans/query_bank", fields{"partner_trade_no": "t1"})
	require.ErrorIs(t, err, pay.ErrUnknown, "an unsigned answer is accepted under /mmpaymkttransfers/ alone")
}

func TestSandboxesHaveKeysOfTheirOwn(t *testing.T) {
	for sandbox, paths := range map[payv2.Sandbox][]string{
		payv2.SandboxXDC: {"/xdc/apiv2getsignkey/sign/getsignkey", "/xdc/apiv2sandbox/pay/orderquery"},
		payv2.SandboxOld: {"/sandboxnew/pay/getsignkey", "/sandboxnew/pay/orderquery"},
	} {
		f := newFake(nil)
		f.answer = func(path string, in fields) (fields, string) {
			if path == paths[0] {
				f.key = newKey // of the calls that follow
				return fields{"return_code": "SUCCESS", "return_msg": "ok", "sandbox_signkey": newKey}, "unsigned"
			}
			return ok("out_trade_no", "order-1", "trade_state", "NOTPAY"), ""
		}
		m := f.merchant(t, func(c *payv2.Config) { c.Sandbox = sandbox })
		for range 2 {
			_, err := m.Query(t.Context(), "order-1")
			require.NoError(t, err)
		}
		require.Equal(t, append(paths, paths[1]), f.paths, "the key is downloaded once")
		require.Equal(t, "MD5", f.calls[1]["sign_type"])
	}
}

func TestBills(t *testing.T) {
	const table = "\ufeff交易时间,公众账号ID\r\n`2024-01-01 00:00:00,`wx1\r\n总交易单数\r\n`1\r\n"
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, table)
	z.Close()
	fail := func(text, code string) string {
		return fmt.Sprintf("<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[%s]]></return_msg><error_code><![CDATA[%s]]></error_code></xml>", text, code)
	}
	for name, c := range map[string]struct {
		answer string
		cause  pay.Cause
	}{
		"text": {table, ""}, "gzip": {zipped.String(), ""}, "cut off": {zipped.String()[:zipped.Len()-6], pay.ErrUnknown},
		"none": {fail("No Bill Exist", "20002"), pay.ErrNotFound}, "later": {fail("Bill Creating", "20003"), pay.ErrBusy}, "signature": {fail("SIGN ERROR", "1"), pay.ErrSettings},
		"html": {"<html>", pay.ErrUnknown}, "empty": {"", pay.ErrUnknown},
	} {
		cfg := config()
		var sent []byte
		cfg.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			sent, _ = io.ReadAll(r.Body)
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(c.answer)))}, nil
		})}
		var out bytes.Buffer
		err := newMerchant(t, cfg).Bill(t.Context(), "", time.Date(2024, 1, 1, 20, 0, 0, 0, time.UTC), &out)
		in, unread := payv2.Read(string(sent), "xml")
		require.NoError(t, unread)
		require.Equal(t, []string{"20240102", "ALL", "GZIP"}, []string{in["bill_date"], in["bill_type"], in["tar_type"]})
		if c.cause == "" {
			require.NoError(t, err, name)
			require.Equal(t, table, out.String())
			continue
		}
		require.ErrorIs(t, err, c.cause, name)
	}
}
