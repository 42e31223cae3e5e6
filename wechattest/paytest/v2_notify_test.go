package paytest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

func TestV2NotificationsAreRepeatedUntilXMLAcknowledgesThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []func(http.ResponseWriter){
			func(w http.ResponseWriter) { w.WriteHeader(204) },
			func(w http.ResponseWriter) { io.WriteString(w, "SUCCESS") },
			func(w http.ResponseWriter) { io.WriteString(w, `{"code":"SUCCESS"}`) },
			func(w http.ResponseWriter) { io.WriteString(w, strings.Replace(v2OK, "SUCCESS", "FAIL", 1)) },
			func(w http.ResponseWriter) { w.WriteHeader(500); io.WriteString(w, v2OK) },
			func(w http.ResponseWriter) { time.Sleep(6 * time.Second); io.WriteString(w, v2OK) },
		}
		in := &v2Inbox{answer: func(n int, w http.ResponseWriter) {
			if n < len(answers) {
				answers[n](w)
				return
			}
			io.WriteString(w, v2OK)
		}}
		s := newServer(t)
		s.Transport = paytest.InMemory(in)
		c := v2Shop(t, s)
		c.kind = "HMAC-SHA256"
		c.paid(s, "order-1", "100")
		time.Sleep(25 * time.Hour)
		list := in.all(t)
		require.Len(t, list, len(answers)+1)
		for i, wait := range []time.Duration{15, 15, 30, 180, 600} { // the sixth attempt itself takes longer
			require.Equal(t, wait*time.Second, in.at[i+1].Sub(in.at[i]))
		}
		note := list[0]
		require.Equal(t, note, list[len(list)-1])
		require.Equal(t, "HMAC-SHA256", note["sign_type"])
		require.Equal(t, signV2(note, "HMAC-SHA256", c.key), note["sign"])
		require.Equal(t, []string{"100", "order-1", payer, appID, mchID}, []string{note["total_fee"], note["out_trade_no"], note["openid"], note["appid"], note["mch_id"]})
		s.Close()
	})
}

func TestARefundInTheConsoleIsNotifiedInV2sForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := newClient(t, s, paytest.Merchant{MchID: mchID, AppIDs: []string{appID}, RefundURL: "https://shop.example/refunds"})
		c.do("POST", native, nativeOrder("order-1", 100))
		_, err := s.Pay(mchID, "order-1", payer)
		require.NoError(t, err)
		synctest.Wait()
		require.NotContains(t, s.Deliveries()[0].Body, "<xml>") // v3 placed it
		_, err = s.RefundInConsole(mchID, "order-1", 0)
		require.Error(t, err)
		no, err := s.RefundInConsole(mchID, "order-1", 40)
		require.NoError(t, err)
		require.NoError(t, s.SetAPIKey(mchID, strings.Repeat("k", 32)))
		require.NoError(t, s.FinishRefund(mchID, no, "SUCCESS"))
		synctest.Wait()
		last := s.Deliveries()[1]
		require.Equal(t, "REFUND.SUCCESS", last.Event)
		_, note := parseV2(t, []byte(last.Body))
		require.NotContains(t, note, "sign")
		inner := openRefund(t, strings.Repeat("k", 32), note["req_info"])
		require.Equal(t, []string{no, "40", "100", "SUCCESS", "VENDOR_PLATFORM"}, []string{inner["out_refund_no"], inner["refund_fee"], inner["total_fee"], inner["refund_status"], inner["refund_request_source"]})
		s.Close()
	})
}

func TestV2CodesComeOnDemand(t *testing.T) {
	s := newServer(t)
	c := v2Shop(t, s)
	in := texts{"out_trade_no": "nothing"}
	for _, code := range []string{"SYSTEMERROR", "BANKERROR", "BIZERR_NEED_RETRY", "NOTENOUGH", "TRADE_OVERDUE", "USERPAYING", "INVALID_REQ_TOO_MUCH", "FREQUENCY_LIMITED"} {
		s.AddFault(paytest.Fault{Path: queryV2, MchID: mchID, Code: code, Times: 1})
		c.refused(code, queryV2, in)
	}
	for _, code := range []string{"SIGNERROR", "XML_FORMAT_ERROR", "LACK_PARAMS", "FAIL"} {
		s.AddFault(paytest.Fault{Path: queryV2, Code: code, Times: 1})
		c.unread(queryV2, in)
	}
	s.AddFault(paytest.Fault{Path: queryV2, Code: "ORDER_CLOSED", Times: 1}) // the name in v3
	c.refused("ORDERCLOSED", queryV2, in)
	for _, how := range []paytest.Signing{paytest.Unsigned, paytest.Forged, paytest.Altered, paytest.Downgraded} {
		s.AddFault(paytest.Fault{Path: queryV2, Sign: how, Times: 1})
		_, got := parseV2(t, c.send(queryV2, in).body)
		require.NotEqual(t, signV2(got, "MD5", c.key), got["sign"], how)
		if how == paytest.Downgraded {
			require.Equal(t, signV2(got, got["sign_type"], c.key), got["sign"])
		}
	}
}

func TestTheSheetChecksV2sSecondSignature(t *testing.T) {
	bothSigns(t, func(t *testing.T, s *paytest.Server, c *v2Client) {
		id := c.do(unified, v2Order("order-1", "1"))["prepay_id"]
		kind := c.kind
		if kind == "" {
			kind = "MD5"
		}
		p := texts{"appId": appID, "timeStamp": "1414561699", "nonceStr": "n", "package": "prepay_id=" + id, "signType": kind}
		open := func(kind, sign string) error {
			_, err := s.OpenSheet(paytest.Entry{Params: &paytest.Params{AppID: appID, TimeStamp: "1414561699", NonceStr: "n", Package: p["package"], SignType: kind, PaySign: sign}})
			return err
		}
		require.NoError(t, open(kind, signV2(p, kind, c.key)))
		require.ErrorContains(t, open(kind, signV2(p.and("nonceStr", "o"), kind, c.key)), "支付验证签名失败")
		require.ErrorContains(t, open("RSA", signV2(p, kind, c.key)), "signType")
	})
}

// FuzzV2XML reads any XML. What is read is written and read again to the same fields.
func FuzzV2XML(f *testing.F) {
	f.Add([]byte("<xml><a>1</a><b><![CDATA[x]]></b></xml>"))
	f.Add([]byte("<?xml version=\"1.0\"?>\n<xml><a>&lt;]]&gt;</a></xml>\n"))
	f.Add([]byte("<!DOCTYPE xml [<!ENTITY a \"b\">]><xml><a>&a;</a></xml>"))
	f.Add([]byte("<xml><a><b/></a><a/></xml>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := paytest.ReadXML(body)
		if err != nil {
			return
		}
		again, err := paytest.ReadXML(paytest.WriteXML(v))
		require.NoError(t, err, "%q", body)
		for name, text := range v { // a carriage return is a line end in XML
			require.Equal(t, strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n"), again[name])
		}
		require.Len(t, again, len(v))
	})
}
