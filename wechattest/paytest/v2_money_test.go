package paytest_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

const (
	refundV2  = "/secapi/pay/refund"
	refundsV2 = "/pay/refundquery"
)

func v2RefundOf(no, refundNo, total, fee string) texts {
	return texts{"out_trade_no": no, "out_refund_no": refundNo, "total_fee": total, "refund_fee": fee}
}

func TestV2RefundsNeedTheMerchantsOwnCertificate(t *testing.T) {
	s := newServer(t)
	c := v2Shop(t, s)
	other := newV2(t, s, paytest.Merchant{MchID: "1900000002", AppIDs: []string{appID}})
	c.paid(s, "order-1", "100")
	in := v2RefundOf("order-1", "r1", "100", "30")
	transfer := texts{"appid": "", "mch_id": "", "mch_appid": appID, "mchid": mchID, "partner_trade_no": "g1", "openid": payer, "check_name": "NO_CHECK", "amount": "30", "desc": "d"}

	own := c.http
	c.http = s.Client()
	for _, path := range []string{refundV2, "/secapi/pay/reverse", "/mmpaymkttransfers/promotion/transfers", "/pay/downloadfundflow"} {
		r := c.send(path, in)
		require.Equal(t, 400, r.status)
		require.Equal(t, "text/html", r.header.Get("Content-Type"))
		require.Contains(t, string(r.body), "No required SSL certificate was sent")
	}
	c.http = other.http
	c.refused("CERT_ERROR", refundV2, in)
	_, got := parseV2(t, c.send("/mmpaymkttransfers/promotion/transfers", transfer).body)
	require.Equal(t, "CA_ERROR", got["err_code"])
	c.http = own
	s.AddMerchant(paytest.Merchant{MchID: mchID, AppIDs: []string{appID}, APIKey: c.key}) // with another certificate
	r := c.send(refundV2, in)
	require.Equal(t, 400, r.status)
	require.Contains(t, string(r.body), "The SSL certificate error")
}

func TestV2RefundsFollowWeChatsRules(t *testing.T) {
	s := newServer(t)
	c := v2Shop(t, s)
	id := c.paid(s, "order-1", "100")
	in := v2RefundOf("order-1", "r1", "100", "30")
	require.Equal(t, "invalid refund_fee", c.unread(refundV2, in.and("refund_fee", "101")))
	c.unread(refundV2, in.and("refund_fee", "0"))
	c.unread(refundV2, in.and("refund_account", "POCKET"))
	c.unread(refundV2, in.and("out_refund_no", "r 1"))
	c.unread(refundV2, in.and("out_trade_no", "-"))
	c.refused("ERROR", refundV2, in.and("total_fee", "99"))
	c.refused("ORDERNOTEXIST", refundV2, in.and("out_trade_no", "nothing"))
	c.refused("REFUNDNOTEXIST", refundsV2, texts{"out_refund_no": "r1"})
	c.refused("REFUNDNOTEXIST", refundsV2, texts{"out_trade_no": "order-1"})

	got := c.do(refundV2, in)
	require.Equal(t, id, got["transaction_id"])
	require.Equal(t, got["refund_id"], c.do(refundV2, in)["refund_id"])
	c.refused("REFUND_FEE_MISMATCH", refundV2, in.and("refund_fee", "31"))
	c.refused("FREQUENCY_LIMITED", refundV2, v2RefundOf("order-1", "r2", "100", "30"))
	require.Equal(t, "REFUND", c.do(queryV2, texts{"out_trade_no": "order-1"})["trade_state"])
	require.Equal(t, "PROCESSING", c.do(refundsV2, texts{"refund_id": got["refund_id"]})["refund_status_0"])
	require.NoError(t, s.FinishRefund(mchID, "r1", "ABNORMAL"))
	require.Equal(t, "CHANGE", c.do(refundsV2, texts{"out_refund_no": "r1"})["refund_status_0"])
	require.NoError(t, s.FinishRefund(mchID, "r1", "SUCCESS"))
	row := c.do(refundsV2, texts{"transaction_id": id})
	require.Equal(t, []string{"1", "r1", "30", "SUCCESS", "支付用户零钱"}, []string{row["refund_count"], row["out_refund_no_0"], row["refund_fee_0"], row["refund_status_0"], row["refund_recv_accout_0"]})
	require.NotEmpty(t, row["refund_success_time_0"])
}

func TestV2BillsAreTextAndTheirRefusalsXML(t *testing.T) {
	s := newServer(t)
	c := v2Shop(t, s)
	day := time.Date(2019, 6, 11, 12, 0, 0, 0, time.UTC)
	const text = "\ufeff交易时间\r\n`1\r\n"
	require.NoError(t, s.AddBill(paytest.Bill{MchID: mchID, Kind: "tradebill", Day: day, Write: func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}}))
	in := texts{"bill_date": "20190611"}
	require.Equal(t, text, string(c.send("/pay/downloadbill", in).body))
	zip, err := gzip.NewReader(bytes.NewReader(c.send("/pay/downloadbill", in.and("tar_type", "GZIP")).body))
	require.NoError(t, err)
	plain, err := io.ReadAll(zip)
	require.NoError(t, err)
	require.Equal(t, text, string(plain))
	for _, test := range []struct {
		in         texts
		text, code string
	}{
		{in.and("bill_date", "20190612"), "No Bill Exist", "20002"},
		{in.and("bill_date", "2019-06-11"), "data format error", "20001"},
		{in.and("bill_date", "-"), "missing parameter", "20001"},
		{in.and("bill_type", "SOME"), "invalid bill_type", "20001"},
	} {
		_, got := parseV2(t, c.send("/pay/downloadbill", test.in).body)
		require.Equal(t, texts{"return_code": "FAIL", "return_msg": test.text, "error_code": test.code}, got)
	}
	_, got := parseV2(t, c.post("POST", "/pay/downloadbill", writeV2(c.signed(in).and("sign", "0"))).body)
	require.Equal(t, "SIGN ERROR", got["return_msg"])
	_, got = parseV2(t, c.send("/pay/downloadfundflow", in.and("account_type", "Basic")).body)
	require.Equal(t, "SIGN ERROR", got["return_msg"]) // not by MD5
}

func TestV2XMLAndSignaturesAreReadAsWeChatReadsThem(t *testing.T) {
	c := v2Shop(t, newServer(t))
	whole := writeV2(c.signed(texts{"out_trade_no": "nothing"}))
	inner := strings.TrimSuffix(strings.TrimPrefix(whole, "<xml>"), "</xml>")
	for name, test := range map[string]struct{ body, text string }{
		"empty":          {"", "post数据为空"},
		"no XML":         {`{"appid":"a"}`, "XML格式错误"},
		"truncated":      {whole[:len(whole)-3], "XML格式错误"},
		"another root":   {"<root>" + inner + "</root>", "XML格式错误"},
		"twice":          {"<xml>" + inner + "<appid>" + appID + "</appid></xml>", "XML格式错误"},
		"nested":         {"<xml>" + inner + "<a><b>1</b></a></xml>", "XML格式错误"},
		"two roots":      {whole + whole, "XML格式错误"},
		"an entity":      {`<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml>` + inner + "<a>&a;</a></xml>", "XML格式错误"},
		"laughs":         {`<!DOCTYPE xml [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><xml><a>&b;</a></xml>`, "XML格式错误"},
		"another code":   {strings.Replace(whole, "nothing", "\xb2\xe2\xca\xd4", 1), "编码格式错误"},
		"changed":        {strings.Replace(whole, "nothing", "nothinh", 1), "签名错误"},
		"trimmed":        {strings.Replace(whole, "nothing", "nothing ", 1), "签名错误"},
		"a wrong type":   {writeV2(c.signed(texts{"out_trade_no": "nothing", "sign_type": "SHA1"})), "签名错误"},
		"another type":   {writeV2(c.signed(texts{"out_trade_no": "nothing"}).and("sign_type", "HMAC-SHA256")), "签名错误"},
		"small letters":  {writeV2(c.signed(texts{"out_trade_no": "nothing"}).and("sign", "0123456789abcdef0123456789abcdef")), "签名错误"},
		"no sign at all": {writeV2(c.signed(texts{"out_trade_no": "nothing"}).and("sign", "-")), "缺少参数：sign"},
	} {
		require.Equal(t, test.text, c.unreadAnswer(c.post("POST", queryV2, test.body)), name)
	}
	require.Equal(t, "请使用post方法", c.unreadAnswer(c.post("GET", queryV2, "")))
	for name, body := range map[string]string{
		"a declaration": `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + whole,
		"blanks":        "<xml>\n  " + inner + "\n</xml>\n",
		"CDATA":         strings.Replace(whole, "nothing", "<![CDATA[nothing]]>", 1),
	} {
		_, got := parseV2(t, c.post("POST", queryV2, body).body)
		require.Equal(t, "ORDERNOTEXIST", got["err_code"], name)
	}
}
