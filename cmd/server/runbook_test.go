package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
	"github.com/wetoken/wetoken/wechattest/paytest"
	"github.com/wetoken/wetoken/wechattest/push"
)

// runBeside takes step 1, and requires that no token of either side dies.
func (b *runbook) runBeside(t *testing.T, system string) {
	t.Helper()
	all := strings.Split(strings.TrimSpace(b.block(t, "sh", `curl -s "$OLD_TOKEN"`)), "\n")
	require.Len(t, all, 3)
	token := func(text string) string {
		var got struct {
			Token string `json:"access_token"`
		}
		require.NoError(t, json.Unmarshal([]byte(text), &got), text)
		require.NotEmpty(t, got.Token, text)
		return got.Token
	}
	alive := func(value string) {
		out := b.bash(t, system, all[2], "TOKEN="+value)
		require.NotContains(t, out[0], "errcode")
		require.Contains(t, out[0], "ip_list")
	}
	out := b.bash(t, system, all[0]+"\n"+all[1])
	out = append(out[:1], out[len(out)-1])
	older, newer := token(out[0]), token(out[1])
	require.NotEqual(t, older, newer, "the old system uses cgi-bin/token")
	alive(older)
	alive(newer)
	for range 3 { // the old system renews
		require.NoError(t, b.tokens.fetch(guideApp, guideSecret))
		alive(b.tokens.token.Load().(string))
		alive(newer)
	}
	status, _, got := b.server.send(t, "POST", "/app/"+guideApp+"/token", `{"refused":"`+newer+`"}`) // and so does this one
	require.Equal(t, http.StatusOK, status, got)
	require.NotEqual(t, newer, got["access_token"])
	alive(got["access_token"].(string))
	alive(b.tokens.token.Load().(string))
}

// put writes app.json, in which a person has set what a block of the guide says, or a file.
func (b *runbook) put(t *testing.T, system, file string, set ...string) {
	t.Helper()
	commands := strings.Split(strings.TrimSpace(b.block(t, "sh", "before.json")), "\n")
	require.Len(t, commands, 3)
	if len(set) == 0 {
		commands[2] = strings.Replace(commands[2], "@app.json", file, 1)
	} else {
		app := make(map[string]any)
		if _, err := os.Stat(filepath.Join(b.dir, "app.json")); err != nil {
			b.bash(t, system, commands[0])
			b.bash(t, system, strings.Split(commands[1], " # ")[0])
		}
		text, err := os.ReadFile(filepath.Join(b.dir, "app.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &app))
		delete(app, "allow") // as the guide says of wechat-proxy
		for _, one := range set {
			require.NoError(t, json.Unmarshal([]byte(b.replace.Replace(one)), &app))
		}
		text, err = json.Marshal(app)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(b.dir, "app.json"), text, 0o600))
	}
	require.Contains(t, b.bash(t, system, commands[2])[0], `"app_id"`)
}

// moveCallbacks takes step 2 and its way back.
func (b *runbook) moveCallbacks(t *testing.T, system string) {
	t.Helper()
	name := "app-" + strings.TrimPrefix(guideApp, "wx")
	if system == "wechat-proxy" {
		name = "shop"
	}
	c := &push.Callback{AppID: guideApp, URL: b.front.URL + "/app/shop/msg", Token: "tokenofthistest", EncodingAESKey: wholeAESKey}
	says := func(p push.Message, want string, received map[string][]string) {
		t.Helper()
		got, err := c.Push(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, want, got.Shown)
		require.Len(t, got.Tries, 1, "WeChat had to send it once")
		require.Equal(t, received, b.takeTexts())
	}
	text, image := push.Message{Content: "hello"}, push.Message{MsgType: "image", Fields: map[string]any{"MediaId": "m", "PicUrl": "http://p"}}
	oldText, oldImage := map[string][]string{"old": {"texthello"}}, map[string][]string{"old": {"image"}}
	says(text, "from the old one", oldText)

	first := b.block(t, "json", `"message"`)
	b.put(t, system, "app.json", first)
	line := strings.Replace(strings.TrimSpace(b.block(t, "nginx", "/app/shop/message")), "/app/shop/message", "/app/"+name+"/message", 1)
	path := b.proxy(t, line)
	require.NoError(t, c.Verify(t.Context()), "WeChat's check of the URL")
	says(text, "from the old one", oldText)
	b.put(t, system, "app.json", b.block(t, "json", "10.0.0.6:9000/wx"))
	says(text, "from the new one", map[string][]string{"new": {"texthello"}})
	says(image, "from the old one", oldImage)

	b.put(t, system, "app.json", first) // the way back of one backend
	says(text, "from the old one", oldText)
	b.unproxy(path) // and of the step
	b.put(t, system, "@before.json")
	says(text, "from the old one", oldText)
	require.NoError(t, c.Verify(t.Context()))
}

// movePayments takes step 3 with an order that other software has placed.
func (b *runbook) movePayments(t *testing.T, system string, set ...string) {
	t.Helper()
	line := b.line(t, "nginx", "pay_notify", system)
	m := regexp.MustCompile(`^location = (\S+)`).FindStringSubmatch(line)
	if len(set) > 0 {
		b.put(t, system, "app.json", set...)
	}
	other, err := payv2.New(payv2.Config{AppID: guideApp, MchID: payMchID, APIKey: apiV2Key, SignType: payv2.MD5, NotifyURL: b.front.URL + m[1], HTTP: b.pay.Client()})
	require.NoError(t, err)
	for _, no := range []string{"older-1", "older-2"} {
		_, err = other.Prepay(t.Context(), pay.Order{Trade: pay.Native, OutTradeNo: no, Fen: 1200, Description: "socks", ClientIP: "1.2.3.4"})
		require.NoError(t, err)
	}
	path := b.proxy(t, line)
	require.Equal(t, m[1], path)
	queries := b.pay.Calls("/pay/orderquery")
	id, err := b.pay.Pay(payMchID, "older-1", "o1")
	require.NoError(t, err)
	waitUntil(t, 10*time.Second, "the payment is handed over", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.payments) > 0
	})
	b.unproxy(path) // the way back
	_, err = b.pay.Pay(payMchID, "older-2", "o1")
	require.NoError(t, err)
	waitUntil(t, 10*time.Second, "the old system is notified", func() bool { return len(b.takeTexts()["old"]) > 0 })
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Len(t, b.paymentsByOrder, 1)
	require.Equal(t, "false", b.payments[0].Get("Wetoken-Known"))
	require.Equal(t, "TRANSACTION.SUCCESS", b.payments[0].Get("Wetoken-Event"))
	require.Contains(t, b.paymentsByOrder["older-1"], `"transaction_id":"`+id+`"`)
	require.Contains(t, b.paymentsByOrder["older-1"], `"total_fee":"1200"`)
	require.Greater(t, b.pay.Calls("/pay/orderquery"), queries, "WeChat was asked")
}

// An old system that was changed to stable_token has the same token, which a forced renewal ends for both.
func TestTheRunbookFindsAnOldSystemWithStableTokens(t *testing.T) {
	t.Parallel()
	b := newRunbook(t)
	body := `{"grant_type":"client_credential","appid":"` + guideApp + `","secret":"` + guideSecret + `"}`
	resp, err := http.Post(b.tokens.wx.URL+stablePath, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	var got struct {
		Token string `json:"access_token"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&got))
	file := filepath.Join(b.dir, "config.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"appId":"`+guideApp+`","appSecret":"`+guideSecret+`"}`), 0o600))
	b.run(t, 0, "accesstoken", file, "-verify")
	b.startServer(t)
	_, answer := b.server.ask(t, "/app/"+guideApp+"/token")
	require.Contains(t, answer, `"`+got.Token+`"`)
	status, _, renewed := b.server.send(t, "POST", "/app/"+guideApp+"/token", `{"refused":"`+got.Token+`"}`)
	require.Equal(t, http.StatusOK, status, renewed)
	require.NotEqual(t, got.Token, renewed["access_token"])
	use, err := http.Get(b.tokens.wx.URL + "/cgi-bin/get_api_domain_ip?access_token=" + got.Token)
	require.NoError(t, err)
	defer use.Body.Close()
	said, err := io.ReadAll(use.Body)
	require.NoError(t, err)
	require.Contains(t, string(said), "40001")
}

func TestTheRunbookHasTheSameLinesOnBothPages(t *testing.T) {
	t.Parallel()
	var pages [2]string
	for i, heading := range []string{"migrating.md\n## Step by step\n", "migrating.zh-CN.md\n## 分步迁移\n"} {
		name, heading, _ := strings.Cut(heading, "\n")
		page, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
		if os.IsNotExist(err) {
			skip(t, "this is no checkout of the repository")
		}
		require.NoError(t, err)
		_, section, _ := strings.Cut(string(page), "\n"+heading)
		section, _, _ = strings.Cut(section, "\n## ")
		for _, block := range regexp.MustCompile("(?s)\n```.*?\n```").FindAllString(section, -1) {
			pages[i] += regexp.MustCompile(` +# .*`).ReplaceAllString(block, "")
		}
	}
	require.NotEmpty(t, pages[0])
	require.Equal(t, pages[0], pages[1])
}

func TestTheRunbookOfWetoken(t *testing.T) {
	t.Parallel()
	b := newRunbook(t)
	db := newMariaDB(t)
	source := makeWetoken(t, db, "old", "")
	require.NoError(t, db.execute(t.Context(), "INSERT INTO old.wechat_app_info (appid, secret, token, aes_key, mchid, pay_key, sub_appid, sub_mchid) VALUES ('"+guideApp+"', '"+guideSecret+"', 'tok', '"+wholeAESKey[:32]+"', '', '', '', '')"))
	b.run(t, 0, "wetoken", source, "-verify")
	b.startServer(t)
	b.runBeside(t, "wetoken")
	status, body := b.server.ask(t, "/"+guideApp+"/wechat/token/get") // clients keep their path
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `"errcode":0`)
	b.moveCallbacks(t, "wetoken")
}

func TestTheRunbookOfWechatAccesstoken(t *testing.T) {
	t.Parallel()
	b := newRunbook(t)
	file := filepath.Join(b.dir, "config.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"appId":"`+guideApp+`","appSecret":"`+guideSecret+`"}`), 0o600))
	b.run(t, 0, "accesstoken", file, "-verify")
	b.startServer(t)
	b.runBeside(t, "wechat-accesstoken")
	status, body := b.server.ask(t, "/apis/v1/wx/mp/access_token/"+guideApp)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `"accessToken":"`)
}

func TestTheRunbookOfWechatProxy(t *testing.T) {
	t.Parallel()
	b := newRunbook(t)
	b.pay.AddMerchant(paytest.Merchant{MchID: payMchID, APIKey: apiV2Key})
	b.run(t, 0, "proxy", makeProxy(t, `INSERT INTO wx_apps VALUES ('shop', '`+guideApp+`', '`+guideSecret+`', 'tokenofthistest', '`+wholeAESKey+`', '`+payMchID+`', '`+apiV2Key+`', '10.0.0.1', '', NULL)`), "-verify")
	b.startServer(t)
	b.runBeside(t, "wechat-proxy")
	b.moveCallbacks(t, "wechat-proxy")
	b.movePayments(t, "wechat-proxy", b.block(t, "json", `"pay"`))
}

func TestTheRunbookOfWechatPayment(t *testing.T) {
	t.Parallel()
	b := newRunbook(t)
	b.pay.AddMerchant(paytest.Merchant{MchID: payMchID, APIKey: apiV2Key})
	app, file := filepath.Join(b.dir, "app.json.old"), filepath.Join(b.dir, "config.json")
	require.NoError(t, os.WriteFile(app, []byte(`{"appId":"`+guideApp+`","appSecret":"`+guideSecret+`"}`), 0o600))
	require.NoError(t, os.WriteFile(file, []byte(`{"type":"普通商户","appId":"`+guideApp+`","mchId":"`+payMchID+`","notifyUrl":"https://pay.example.com/apis/v1/wepay/pay_notify","partnerKey":"`+apiV2Key+`","cbNotifyUrl":"`+b.backend.URL+`/paid"}`), 0o600))
	b.run(t, 0, "accesstoken", app)
	require.Contains(t, b.run(t, 0, "payment", file, "-verify"), "/apis/v1/wepay/pay_notify", "it prints the old notify URL")
	b.startServer(t)
	b.movePayments(t, "wechat-payment")
}
