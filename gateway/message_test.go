package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/push"
)

// when decodes a When from JSON.
func when(t *testing.T, text string) (w gateway.When) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &w))
	return w
}

func TestAMessageIsAnsweredByABackendAndCopiedToAnother(t *testing.T) {
	copies := make(chan string, 8)
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/copy" {
			copies <- r.Header.Get("Wetoken-Signature") + " " + string(b)
			return
		}
		io.WriteString(w, `{"MsgType":"text","Content":"from the CRM"}`)
	}))
	defer crm.Close()
	d := openSides(t, func(c *gateway.Config) {
		set(c, "shop", func(a *gateway.App) {
			a.SignKey = "a-sign-key"
			a.Message = &gateway.Message{Token: tokenOf, AESKey: aesKeyOf, Forward: []gateway.Forward{
				{URL: crm.URL + "/copy", Form: "json", When: when(t, `{"type":"text","keyword":null}`)},
				{URL: crm.URL + "/ask", Answer: true, When: when(t, `{"type":["image","text"],"keyword":"price"}`)},
				{URL: crm.URL + "/ask", Answer: true, When: when(t, `{"event":"CLICK","event_key":["help","faq"]}`)},
			}}
		})
	})
	for _, path := range []string{"shop/message", shopID + "/message", "shop/message/"} {
		c := push.Callback{AppID: shopID, URL: d.public + "/app/" + path, Token: tokenOf, EncodingAESKey: aesKeyOf}
		require.NoError(t, c.Verify(t.Context()))
		for content, shown := range map[string]string{"the price?": "from the CRM", "hello": ""} {
			pushed, err := c.Push(t.Context(), push.Message{Content: content})
			require.NoError(t, err)
			require.Equal(t, shown, pushed.Shown, pushed.Fault)
			arrived := <-copies
			require.Contains(t, arrived, `"Content":"`+content+`"`)
			require.Regexp(t, `^t=\d+,v1=[0-9a-f]{64} `, arrived)
		}
		for key, shown := range map[string]string{"help": "from the CRM", "other": ""} {
			pushed, err := c.Push(t.Context(), push.Message{Event: "CLICK", EventKey: key})
			require.NoError(t, err)
			require.Equal(t, shown, pushed.Shown, pushed.Fault)
		}
		require.Empty(t, copies)
	}
}

func TestForgedMessagesGetTheSameReplyForAllApps(t *testing.T) {
	d := openSides(t, func(c *gateway.Config) {
		set(c, "shop", func(a *gateway.App) { a.Message = &gateway.Message{Token: tokenOf, AESKey: aesKeyOf} })
		set(c, "too", func(a *gateway.App) {
			a.Message = &gateway.Message{Token: tokenOf}
			a.Allow = []string{"/token"}
		})
		set(c, "gone", func(a *gateway.App) { a.Message = &gateway.Message{Token: tokenOf} })
	})
	forged := url.Values{"signature": {"x"}, "timestamp": {"1"}, "nonce": {"n"}, "echostr": {"hello"}}.Encode()
	sealed := "<xml><ToUserName>x</ToUserName><Encrypt>abcd</Encrypt></xml>"
	for _, ask := range []struct{ method, query, body string }{
		{"GET", "", ""}, {"GET", forged, ""}, {"HEAD", forged, ""}, {"PUT", forged, ""},
		{"POST", "", ""}, {"POST", forged, "<xml/>"}, {"POST", forged + "&msg_signature=x&encrypt_type=aes", sealed},
		{"POST", forged, "{}"}, {"POST", forged, strings.Repeat("x", 2<<20)},
	} {
		seen := make(map[string]string)
		for _, app := range []string{"shop/message", shopID + "/message", "none/message", "corp/message", "too/message", "gone/message",
			"wx0000000000000000/message", "shop/message/", "none/message/", "gone/message/"} {
			if ask.method == "PUT" && strings.HasSuffix(app, "/") {
				continue
			}
			req, err := http.NewRequestWithContext(t.Context(), ask.method, d.public+"/app/"+app+"?"+ask.query, strings.NewReader(ask.body))
			require.NoError(t, err)
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			b, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			resp.Header.Del("Date")
			h, err := json.Marshal(resp.Header)
			require.NoError(t, err)
			require.GreaterOrEqual(t, resp.StatusCode, 400)
			seen[resp.Status+string(h)+string(b)] = app
		}
		require.Len(t, seen, 1, "%s %s", ask.method, ask.query)
	}
}

func TestMessagesForFurtherIDsAreTakenWhereConfigured(t *testing.T) {
	for text, want := range map[string]map[string]int{
		`[]`:                        {shopID: 200, "wxplatform": 400},
		`["wxplatform"]`:            {shopID: 200, "wxplatform": 200},
		`["wxplatform",""]`:         {shopID: 200, "wxplatform": 200, "wxother": 400},
		`"any"`:                     {shopID: 200, "wxplatform": 200, "wxother": 200},
		`["wxplatform","wxsuite1"]`: {"wxsuite1": 200},
	} {
		var ids gateway.ReceiveIDs
		require.NoError(t, json.Unmarshal([]byte(text), &ids))
		d := openSides(t, func(c *gateway.Config) {
			set(c, "shop", func(a *gateway.App) {
				a.Message, a.ReceiveIDs = &gateway.Message{Token: tokenOf, AESKey: aesKeyOf}, ids
			})
		})
		for id, status := range want {
			c := push.Callback{AppID: id, URL: d.public + "/app/shop/message", Token: tokenOf, EncodingAESKey: aesKeyOf, Tries: 1}
			pushed, err := c.Push(t.Context(), push.Message{Content: "hello"})
			require.NoError(t, err)
			require.Equal(t, status, pushed.Tries[0].Status, "%s %q", text, id)
		}
	}
	for text, want := range map[string]string{
		`"wxplatform"`:   "receive_ids: want a list of ids, or any",
		`{"a":"secret"}`: "receive_ids: want a list of ids, or any",
		`[1]`:            "receive_ids: want a list of ids, or any",
	} {
		var ids gateway.ReceiveIDs
		require.EqualError(t, json.Unmarshal([]byte(text), &ids), want)
	}
	for want, change := range map[string]func(*gateway.App){
		"apps.shop.receive_ids: want any alone":        func(a *gateway.App) { a.ReceiveIDs = gateway.ReceiveIDs{"wx1", "any"} },
		"apps.shop.receive_ids: needs message.aes_key": func(a *gateway.App) { a.Message.AESKey, a.ReceiveIDs = "", gateway.ReceiveIDs{"wx1"} },
		"apps.shop.receive_ids: needs message":         func(a *gateway.App) { a.Message, a.ReceiveIDs = nil, gateway.ReceiveIDs{"wx1"} },
		"apps.shop.forward_signature: needs message":   func(a *gateway.App) { a.Message, a.ForwardSignature = nil, true },
	} {
		c := config()
		set(&c, "shop", func(a *gateway.App) {
			a.Message = &gateway.Message{Token: tokenOf, AESKey: aesKeyOf}
			change(a)
		})
		require.ErrorContains(t, c.Check(), want)
	}
}

func TestTheSignatureOfWeChatIsHandedOnWhereConfigured(t *testing.T) {
	queries := make(chan url.Values, 1)
	crm := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { queries <- r.URL.Query() }))
	defer crm.Close()
	for _, handed := range []bool{false, true} {
		d := openSides(t, func(c *gateway.Config) {
			set(c, "shop", func(a *gateway.App) {
				a.SignKey, a.ForwardSignature = "a-sign-key", handed
				a.Message = &gateway.Message{Token: tokenOf, AESKey: aesKeyOf, Forward: []gateway.Forward{{URL: crm.URL, Answer: true}}}
			})
		})
		c := push.Callback{AppID: shopID, URL: d.public + "/app/shop/message", Token: tokenOf, EncodingAESKey: aesKeyOf}
		_, err := c.Push(t.Context(), push.Message{Content: "hello"})
		require.NoError(t, err)
		require.Equal(t, handed, (<-queries).Has("signature"))
	}
}
