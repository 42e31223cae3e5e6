package paytest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// driver calls the Server as a test in another language does.
type driver struct {
	t    *testing.T
	base string
}

func (d driver) call(status int, method, name, body string) object {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.base+"/_paytest/"+name, strings.NewReader(body))
	require.NoError(d.t, err)
	res, err := http.DefaultClient.Do(r)
	require.NoError(d.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(d.t, err)
	require.Equal(d.t, status, res.StatusCode, "%s %s: %s", name, body, b)
	var v any
	require.NoError(d.t, json.Unmarshal(b, &v))
	if list, ok := v.([]any); ok {
		return object{"list": list}
	}
	return v.(object)
}

func TestItIsDrivenOverHTTP(t *testing.T) {
	notified := make(chan string, 10)
	hooks := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		notified <- string(b)
	}))
	defer hooks.Close()
	s := newServer(t)
	s.Transport = nil // over sockets
	server := httptest.NewServer(s)
	defer server.Close()
	d := driver{t, server.URL}
	made := d.call(200, "POST", "merchants", `{"mchid":"1900000001","mode":"switching","balance":1000,"subs":[{"mchid":"1900000002"}]}`)
	require.Equal(t, made, d.call(200, "GET", "merchant?mchid=1900000001", ""))
	d.call(200, "POST", "merchants", `{"mchid":"1900000001","mode":"switching","balance":1000}`)
	m, err := s.Merchant(mchID)
	require.NoError(t, err)
	c := &client{t: t, http: server.Client(), base: server.URL, m: m, now: time.Now}

	c.do("POST", native, with(nativeOrder("order-1", 100), "notify_url", hooks.URL))
	shown := d.call(200, "GET", "order?mchid=1900000001&out_trade_no=order-1", "")
	require.Equal(t, "NOTPAY", shown["state"])
	require.Equal(t, shown, d.call(200, "GET", "prepaid?id="+shown["prepay_id"].(string), ""))
	d.call(200, "POST", "start_paying", `{"mchid":"1900000001","out_trade_no":"order-1"}`)
	d.call(200, "POST", "cancel_paying", `{"mchid":"1900000001","out_trade_no":"order-1"}`)
	require.NotEmpty(t, d.call(200, "POST", "pay", `{"mchid":"1900000001","out_trade_no":"order-1","openid":"o1"}`)["transaction_id"])
	require.Contains(t, <-notified, "TRANSACTION.SUCCESS")
	require.Len(t, d.call(200, "GET", "orders?mchid=1900000001", "")["list"], 1)
	c.do("POST", refunds, with(refund("r1", "order-1", 100, 100), "notify_url", hooks.URL))
	d.call(200, "POST", "refund", `{"mchid":"1900000001","out_refund_no":"r1","status":"ABNORMAL"}`)
	require.Contains(t, <-notified, "REFUND.ABNORMAL")
	c.do("POST", transfers, with(transfer("t1", 10), "notify_url", hooks.URL))
	d.call(200, "POST", "transfer", `{"mchid":"1900000001","out_bill_no":"t1","state":"FAIL","fail_reason":"X"}`)
	require.Contains(t, <-notified, "MCHTRANSFER.BILL.FINISHED")
	require.NotEmpty(t, d.call(200, "POST", "pay_code", `{"openid":"o1","asks":true}`)["auth_code"])
	d.call(200, "POST", "complain", `{"mchid":"1900000001","out_trade_no":"order-1","detail":"d","phone":"1"}`)
	require.Len(t, d.call(200, "GET", "complaints?mchid=1900000001", "")["list"], 1)
	d.call(200, "POST", "bill", `{"mchid":"1900000001","kind":"tradebill","date":"2020-01-01","text":"a bill"}`)
	require.Equal(t, "a bill", string(c.download(c.do("GET", "/v3/bill/tradebill?bill_date=2020-01-01", nil)).body))
	d.call(200, "POST", "disturb", `{"mchid":"1900000001","event_type":"A","times":1,"copies":1,"sign":"probe","attempts":1,"delay":0.001,"apart":0.001}`)
	d.call(200, "POST", "notify", `{"mchid":"1900000001","url":"`+hooks.URL+`","event_type":"A","original_type":"a","summary":"s","plain":{"a":1}}`)
	require.Equal(t, <-notified, <-notified)
	require.Eventually(t, func() bool { return len(d.call(200, "GET", "deliveries", "")["list"].([]any)) == 5 }, 5*time.Second, time.Millisecond)
	require.EqualValues(t, 1, d.call(200, "GET", "calls?path="+native, "")["calls"])

	d.call(200, "POST", "fail", `{"path":"/v3/pay/*/native","method":"POST","mchid":"1900000001","times":1,"code":"SYSTEM_ERROR","delay":0.001,"after_work":true}`)
	c.refused(500, "SYSTEM_ERROR", "POST", native, nativeOrder("order-2", 1))
	d.call(200, "POST", "fail", `{"status":502}`)
	d.call(200, "POST", "heal", "")
	require.Equal(t, "NOTPAY", c.state("order-2"))
	require.NotEmpty(t, d.call(200, "POST", "rotate", `{"mchid":"1900000001","after":1}`)["serial_no"])
	d.call(200, "POST", "mode", `{"mchid":"1900000001","mode":"switching","percent":50}`)
	d.call(200, "POST", "api_v3_key", `{"mchid":"1900000001","key":"12345678901234567890123456789012"}`)
	require.EqualValues(t, 996, d.call(200, "POST", "deposit", `{"mchid":"1900000001","fen":-4}`)["balance"])

	for call, status := range map[string]int{
		"POST nothing {}": 404, "GET pay {}": 404, "POST pay ": 400, "POST pay {}": 400, "POST pay {} {}": 400, `POST pay {"a":1}`: 400,
		`POST fail {"status":1}`: 400, `POST fail {"times":-1}`: 400, `POST fail {"sign":"x"}`: 400, `POST fail {"path":"["}`: 400,
		`POST disturb {"lost":-1}`: 400, `POST disturb {"sign":"x"}`: 400, `POST bill {"date":"x"}`: 400, `POST merchants {}`: 400,
		"GET order? ": 400, "GET prepaid?id=x ": 400, "GET merchant? ": 400, `POST refund {"mchid":"1"}`: 400, `POST deposit {"mchid":"1"}`: 400,
	} {
		method, rest, _ := strings.Cut(call, " ")
		name, body, _ := strings.Cut(rest, " ")
		require.Contains(t, d.call(status, method, name, body)["error"], "", call)
	}
}

func TestDrivingCallsAreServedToThisMachineAlone(t *testing.T) {
	s := newServer(t)
	s.ControlHosts = []string{"wechat"}
	for host, want := range map[string]int{
		"127.0.0.1:1": 200, "[::1]:1": 200, "localhost": 200, "WeChat:8099": 200, "evil.example": 403, "api.mch.weixin.qq.com": 403, "": 403,
	} {
		r := httptest.NewRequest(http.MethodGet, "/_paytest/deliveries", nil)
		r.Host = host
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		require.Equal(t, want, w.Code, host)
	}
	r := httptest.NewRequest(http.MethodPost, "/_paytest/heal", nil)
	r.Host = "localhost"
	r.Header.Set("Origin", "https://evil.example")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	require.Equal(t, http.StatusForbidden, w.Code)
	require.Equal(t, 0, s.Calls("/v3/x"))
}
