package compat_test

import (
	"cmp"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/gateway/compat"
	"github.com/wetoken/wetoken/wechattest/push"
)

const (
	messageToken = "messagetokenofthistest"
	unicodeName  = "公众号 一"
)

// proxyWorld is a gateway with the routes of wechat-proxy, whose public side is on a socket.
type proxyWorld struct {
	*world
	public string // base URL
}

// newProxyWorld returns a world in which the apps shop and unicodeName receive messages. hosts are those of shop.
func newProxyWorld(t *testing.T, hosts []string, change ...func(*gateway.Options)) *proxyWorld {
	t.Helper()
	w := newWorld(t, append([]func(*gateway.Options){func(o *gateway.Options) {
		o.Config.PublicURL = "https://wx.example.com"
		o.Config.Compat = gateway.Compat{Systems: []string{gateway.CompatProxy}, Examples: true}
		settings := gateway.Message{Token: messageToken, AESKey: aesKey, AllowPrivate: true}
		o.Config.Apps["shop"] = gateway.App{AppID: shopID, Secret: secret, Hosts: hosts, ForwardSignature: true, Message: &settings}
		o.Config.Apps[unicodeName] = gateway.App{AppID: freeID, Secret: secret, Message: &settings}
	}}, change...)...)
	p := &proxyWorld{world: w}
	p.public = p.openPublic()
	return p
}

// openPublic serves the public side of another process with the same stores.
func (w *proxyWorld) openPublic() (base string) {
	srv := httptest.NewServer(w.newGateway().Public())
	w.t.Cleanup(srv.Close)
	return srv.URL
}

func (w *proxyWorld) newGateway() *gateway.Gateway {
	o := w.options
	o.PrivateFallback, o.PublicFallback = compat.Private(o.Config.Compat), compat.Public(o.Config.Compat)
	g, err := gateway.New(o)
	require.NoError(w.t, err)
	return g
}

// callback returns WeChat's side of a path of shop, whose query in the console names calls.
func (w *proxyWorld) callback(path string, calls ...string) *push.Callback {
	return &push.Callback{
		AppID: shopID, URL: w.public + path + "?" + url.Values{"call": calls}.Encode(), Token: messageToken, EncodingAESKey: aesKey, Tries: 1,
	}
}

// send sends a message, and requires no fault of the callback.
func (w *proxyWorld) send(c *push.Callback, m push.Message) push.Result {
	w.t.Helper()
	out, err := c.Push(w.t.Context(), m)
	require.NoError(w.t, err)
	return out
}

// called is a request that a backend got.
type called struct {
	path, kind, body string
	query            url.Values
	header           http.Header
}

// oldBackend is a backend of an older time on 127.0.0.1.
type oldBackend struct {
	host string
	got  chan called
}

// newBackend serves a backend whose requests h answers; its body was read.
func newBackend(t *testing.T, h http.HandlerFunc) *oldBackend {
	b := &oldBackend{got: make(chan called, 100)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		b.got <- called{r.Method + " " + r.URL.Path, r.Header.Get("Content-Type"), string(body), r.URL.Query(), r.Header}
		if h != nil {
			h(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	b.host = strings.TrimPrefix(srv.URL, "http://")
	return b
}

func answering(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func replyText(content string) string {
	return "<xml><ToUserName>a</ToUserName><FromUserName>b</FromUserName><CreateTime>1</CreateTime><MsgType>text</MsgType><Content>" + content + "</Content></xml>"
}

func TestTheFirstAnswerInTheOrderOfCallsIsTheReply(t *testing.T) {
	secondAsked := make(chan struct{})
	backends := map[string]*oldBackend{
		"a": newBackend(t, answering(replyText("A"))),
		"b": newBackend(t, answering(replyText("B"))),
		"waits for second": newBackend(t, func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-secondAsked:
			case <-r.Context().Done():
			}
			_, _ = io.WriteString(w, replyText("slow A"))
		}),
		"second":  newBackend(t, func(w http.ResponseWriter, _ *http.Request) { close(secondAsked); answering(replyText("B"))(w, nil) }),
		"empty":   newBackend(t, nil),
		"success": newBackend(t, answering("success")),
		"failing": newBackend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); answering(replyText("500"))(w, nil) }),
		"missing": newBackend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); answering(replyText("404"))(w, nil) }),
		"created": newBackend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); answering(replyText("201"))(w, nil) }),
		"invalid": newBackend(t, answering("<html>not a reply</html>")),
		"hanging": newBackend(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
	}
	dead := httptest.NewServer(nil)
	dead.Close()
	backends["dead"] = &oldBackend{host: strings.TrimPrefix(dead.URL, "http://")}
	var hosts []string
	for _, b := range backends {
		hosts = append(hosts, b.host)
	}
	w := newProxyWorld(t, hosts)
	for _, c := range []struct {
		calls  []string
		shown  string
		status int
	}{
		{calls: []string{"a", "b"}, shown: "A"},
		{calls: []string{"b", "a"}, shown: "B"},
		{calls: []string{"waits for second", "second"}, shown: "slow A"},
		{calls: []string{"empty", "b"}, shown: "B"},
		{calls: []string{"failing", "b"}, shown: "B"},
		{calls: []string{"missing", "created", "invalid", "b"}, shown: "B"},
		{calls: []string{"dead", "empty", "a"}, shown: "A"},
		{calls: []string{"success", "b"}, shown: ""},
		{calls: []string{"hanging", "b"}, shown: "B"},
		{calls: []string{"empty", "created"}, shown: ""},
		{calls: nil, shown: ""},
		{calls: []string{"missing"}, shown: push.Unavailable, status: 500}, // WeChat sends the message again
	} {
		t.Run(strings.Join(c.calls, ","), func(t *testing.T) {
			t.Parallel()
			var calls []string
			for _, name := range c.calls {
				calls = append(calls, backends[name].host+"/wx?from=console")
			}
			got, err := w.callback("/app/shop/msg", calls...).Push(t.Context(), push.Message{Content: "hi"})
			require.NoError(t, err)
			require.Equal(t, c.shown, got.Shown)
			require.Equal(t, max(c.status, 200), got.Tries[0].Status)
		})
	}
}

func TestACallGetsTheMessageAsXMLOrJSONAndTheQueryOfWeChat(t *testing.T) {
	b := newBackend(t, nil)
	w := newProxyWorld(t, []string{b.host})
	at := time.Unix(1714112445, 0)
	for path, want := range map[string]struct{ kind, body string }{
		"/app/shop/msg": {"text/xml; charset=utf-8", "<xml><ToUserName><![CDATA[gh_wechattest]]></ToUserName>\n<FromUserName><![CDATA[oUser]]></FromUserName>\n" +
			"<CreateTime>1714112445</CreateTime>\n<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[hi]]></Content>\n<MsgId>7000000000000000001</MsgId>\n</xml>"},
		"/app/shop/msg/json/": {"application/json", `{"ToUserName":"gh_wechattest","FromUserName":"oUser","CreateTime":1714112445,"MsgType":"text",` +
			`"MsgId":7000000000000000001,"MsgIdStr":"7000000000000000001","Content":"hi"}`},
	} {
		id := int64(7000000000000000001)
		c := w.callback(path, "http://"+b.host+"/wx?from=console")
		from := "oUser"
		if strings.Contains(path, "json") { // another message than the one before
			from, want.body = "oOther", strings.Replace(want.body, `"oUser"`, `"oOther"`, 1)
		}
		require.Equal(t, 200, w.send(c, push.Message{From: from, Content: "hi", MsgID: id, Time: at}).Tries[0].Status)
		got := <-b.got
		require.Equal(t, "POST /wx", got.path)
		require.Equal(t, want.kind, got.kind)
		require.Equal(t, want.body, got.body)
		require.Equal(t, "console", got.query.Get("from"))
		require.Equal(t, shopID, got.query.Get("appid"))
		require.Equal(t, "aes", got.query.Get("encrypt_type"))
		for _, name := range []string{"signature", "timestamp", "nonce", "msg_signature"} {
			require.NotEmpty(t, got.query.Get(name), name)
		}
		require.False(t, got.query.Has("secret") || got.query.Has("call"))
	}

	w = newProxyWorld(t, []string{b.host}, func(o *gateway.Options) {
		a := o.Config.Apps["shop"]
		a.ForwardSignature, a.SignKey = false, "the-sign-key-of-this-test"
		o.Config.Apps["shop"] = a
	})
	w.send(w.callback("/app/shop/msg", b.host), push.Message{})
	got := <-b.got
	require.False(t, got.query.Has("signature"), "without forward_signature")
	require.NotEmpty(t, got.header.Get("Wetoken-Signature"))
}

func TestMessagesAndEventsAreJSONFieldByField(t *testing.T) {
	b := newBackend(t, nil)
	w := newProxyWorld(t, []string{b.host})
	const start, id = `{"ToUserName":"gh_wechattest","FromUserName":"oUser","CreateTime":1714112445,"MsgType":`, `"MsgId":9007199254740993,"MsgIdStr":"9007199254740993"`
	for name, c := range map[string]struct {
		message push.Message
		want    string
	}{
		"image":    {push.Message{MsgType: "image", Fields: fields{"PicUrl": "http://p/", "MediaId": "m"}}, `"image",` + id + `,"MediaId":"m","PicUrl":"http://p/"}`},
		"voice":    {push.Message{MsgType: "voice", Fields: fields{"MediaId": "m", "Format": "amr", "Recognition": "你好"}}, `"voice",` + id + `,"MediaId":"m","Format":"amr","Recognition":"你好"}`},
		"video":    {push.Message{MsgType: "video", Fields: fields{"MediaId": "m", "ThumbMediaId": "t"}}, `"video",` + id + `,"MediaId":"m","ThumbMediaId":"t"}`},
		"location": {push.Message{MsgType: "location", Fields: fields{"Location_X": 23.134521, "Location_Y": 113.358803, "Scale": 20, "Label": "家"}}, `"location",` + id + `,"Location_X":23.134521,"Location_Y":113.358803,"Scale":20,"Label":"家"}`},
		"link":     {push.Message{MsgType: "link", Fields: fields{"Title": "t", "Description": "d", "Url": "http://u/?a=1&b=2"}}, `"link",` + id + `,"Title":"t","Description":"d","Url":"http://u/?a=1&b=2"}`},
		"scan":     {push.Message{Event: "SCAN", EventKey: "7", Fields: fields{"Ticket": "gQ"}}, `"event","Event":"SCAN","EventKey":"7","Ticket":"gQ"}`},
		"position": {push.Message{Event: "LOCATION", Fields: fields{"Latitude": 23.137466, "Longitude": 113.352425, "Precision": 119.385040}}, `"event","Event":"LOCATION","Latitude":23.137466,"Longitude":113.352425,"Precision":119.38504}`},
		"card": {push.Message{Event: "user_get_card", Fields: fields{"CardId": "pC", "UserCardCode": "1231", "IsGiveByFriend": 0, "OuterId": 0}},
			`"event","Event":"user_get_card","CardId":"pC","IsGiveByFriend":"0","OuterId":"0","UserCardCode":"1231"}`},
		"beacon": {push.Message{Event: "ShakearoundUserShake", Fields: fields{"ChosenBeacon": fields{"Uuid": "u", "Major": 1}}},
			`"event","Event":"ShakearoundUserShake","ChosenBeacon":{"Major":"1","Uuid":"u"}}`},
		"wifi":   {push.Message{Event: "WifiConnected", Fields: fields{"ConnectTime": 0, "ShopId": "1", "DeviceNo": "d"}}, `"event","Event":"WifiConnected","ConnectTime":"0","DeviceNo":"d","ShopId":"1"}`},
		"verify": {push.Message{Event: "naming_verify_fail", Fields: fields{"FailTime": 1442401122, "FailReason": "by time"}}, `"event","Event":"naming_verify_fail","FailReason":"by time","FailTime":"1442401122"}`},
	} {
		c.message.Time = time.Unix(1714112445, 0)
		if c.message.Event == "" {
			c.message.MsgID = 9007199254740993
			c.message.From = "oUser" + name // each is another message
		}
		require.Equal(t, 200, w.send(w.callback("/app/shop/msg/json", b.host+"/"+name), c.message).Tries[0].Status, name)
		got := <-b.got
		require.JSONEq(t, strings.Replace(start+c.want, `"oUser"`, `"`+cmp.Or(c.message.From, "oUser")+`"`, 1), got.body, name)
		require.Contains(t, got.body, `"CreateTime":1714112445`)
		if c.message.Event == "" {
			require.Contains(t, got.body, id, "no digit is lost")
		}
	}
}

type fields = map[string]any

var createTime = regexp.MustCompile(`<CreateTime>\d+</CreateTime>`)

func TestAReplyInJSONBecomesWeChatsXML(t *testing.T) {
	replies := make(chan string, 1)
	b := newBackend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, <-replies) })
	w := newProxyWorld(t, []string{b.host})
	const head = `{"ToUserName":"someone","FromUserName":"else","CreateTime":12345,"MsgType":`
	article := "<item><Title><![CDATA[%s]]></Title><Description><![CDATA[d]]></Description><PicUrl><![CDATA[http://p/]]></PicUrl><Url><![CDATA[http://u/]]></Url></item>"
	for _, mode := range []string{"secure", "plain"} {
		if mode == "plain" {
			w = newProxyWorld(t, []string{b.host}, func(o *gateway.Options) {
				o.Config.Apps["shop"].Message.AESKey = ""
			})
		}
		for reply, want := range map[string]string{
			head + `"text","Content":"<a> & 你好"}`:     "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[<a> & 你好]]></Content>",
			head + `"image","Image":{"MediaId":"m"}}`: "<MsgType><![CDATA[image]]></MsgType><Image><MediaId><![CDATA[m]]></MediaId></Image>",
			head + `"voice","Voice":{"MediaId":"m"}}`: "<MsgType><![CDATA[voice]]></MsgType><Voice><MediaId><![CDATA[m]]></MediaId></Voice>",
			head + `"video","Video":{"MediaId":"m","Title":"t","Description":"d"}}`: "<MsgType><![CDATA[video]]></MsgType><Video><MediaId><![CDATA[m]]></MediaId>" +
				"<Title><![CDATA[t]]></Title><Description><![CDATA[d]]></Description></Video>",
			head + `"music","Music":{"Title":"t","Description":"d","MusicUrl":"http://m/","HQMusicUrl":"http://h/","ThumbMediaId":"i"}}`: "<MsgType><![CDATA[music]]></MsgType>" +
				"<Music><Title><![CDATA[t]]></Title><Description><![CDATA[d]]></Description><MusicUrl><![CDATA[http://m/]]></MusicUrl><HQMusicUrl><![CDATA[http://h/]]></HQMusicUrl><ThumbMediaId><![CDATA[i]]></ThumbMediaId></Music>",
			head + `"news","ArticleCount":2,"Articles":[{"Item":{"Title":"1","Description":"d","PicUrl":"http://p/","Url":"http://u/"}},{"Item":{"Title":"2","Description":"d","PicUrl":"http://p/","Url":"http://u/"}}]}`: "<MsgType><![CDATA[news]]></MsgType>" +
				"<ArticleCount>2</ArticleCount><Articles>" + strings.ReplaceAll(article, "%s", "1") + strings.ReplaceAll(article, "%s", "2") + "</Articles>",
		} {
			replies <- reply
			c := w.callback("/app/shop/msg/json", b.host)
			if c.Mode = mode; mode == "plain" {
				c.EncodingAESKey = ""
			}
			got := w.send(c, push.Message{Event: "CLICK", EventKey: strconv.Itoa(len(b.got)) + reply}) // news in reply to an event may have several
			require.Empty(t, got.Fault, "%s: %s", mode, reply)
			require.Equal(t, "<xml><ToUserName><![CDATA[oUser]]></ToUserName><FromUserName><![CDATA[gh_wechattest]]></FromUserName><CreateTime>0</CreateTime>"+want+"</xml>",
				createTime.ReplaceAllString(got.Reply, "<CreateTime>0</CreateTime>"))
		}
	}
}

func TestACallThatBeginsWithASlashIsServedInThisProcess(t *testing.T) {
	w := newProxyWorld(t, nil)
	require.Equal(t, "an echo", w.send(w.callback("/app/shop/msg", "/echo"), push.Message{Content: "an echo"}).Shown)
	require.Equal(t, "an echo", w.send(w.callback("/app/shop/msg/json", "/user", "/echo"), push.Message{Content: "an echo"}).Shown)
	got := w.send(w.callback("/app/shop/msg", "/user"), push.Message{Content: "hi"})
	require.Equal(t, "success", got.Tries[0].Body, "it did nothing, and does nothing")
	for _, call := range []string{"/app/shop/msg?call=/echo", "/app/shop/token", "/nowhere", "//" + strings.TrimPrefix(w.public, "http://") + "/echo"} {
		got := w.send(w.callback("/app/shop/msg", "/user", call), push.Message{Content: call})
		require.Empty(t, got.Shown, call)
		require.Equal(t, 200, got.Tries[0].Status)
	}

	w = newProxyWorld(t, nil, func(o *gateway.Options) { o.Config.Apps["shop"].Message.AESKey = "" })
	c := w.callback("/app/shop/msg", "/app/shop/msg?call=/echo", "/echo")
	c.EncodingAESKey = ""
	require.Equal(t, "hi", w.send(c, push.Message{Content: "hi"}).Shown)
	require.Contains(t, w.log.String(), "HTTP status 404", "the inner message would wait for the outer one, which is the same")
}

func TestWeChatsCheckOfTheURLIsVerified(t *testing.T) {
	w := newProxyWorld(t, nil)
	for _, path := range []string{"/app/shop/msg", "/app/shop/msg/", "/app/shop/msg/json", "/app/shop/msg/json/", "/app/" + shopID + "/msg", "/app/" + url.PathEscape(unicodeName) + "/msg"} {
		c := w.callback(path, "http://elsewhere.example/")
		require.NoError(t, c.Verify(t.Context()), path)
		c.Token = "anothertokenthantheapps"
		require.ErrorContains(t, c.Verify(t.Context()), "HTTP status 401", path)
	}
	resp, err := http.Get(w.public + "/app/shop/msg?echostr=%3Cscript%3E")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 401, resp.StatusCode)
	require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
}

func TestAnAppWithoutTheRouteIsNotFound(t *testing.T) {
	w := newProxyWorld(t, nil, func(o *gateway.Options) {
		shop := o.Config.Apps["shop"]
		shop.Allow = []string{"/msg/json", "/token"}
		o.Config.Apps["shop"] = shop
	})
	for path, status := range map[string]int{
		"/app/none/msg": 404, "/app/gone/msg": 404, "/app/shop/msg": 404, "/app/shop/msg/other": 404, "/msg": 404, "/msg/json": 404,
		"/app/shop/msg/json": 200, "/app/shop/msg/json/": 200, "/app/news/msg": 401, // without a message
	} {
		require.Equal(t, status, w.send(w.callback(path, "/user"), push.Message{}).Tries[0].Status, path)
	}
	got := w.send(w.callback("/app/none/msg"), push.Message{})
	require.Equal(t, `{"errcode": -10001, "errmsg": "not found"}`, got.Tries[0].Body)
	resp, err := http.Head(w.public + "/msg?call=http://127.0.0.1:1/")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 404, resp.StatusCode)
}

func TestAMessageThatIsSentAgainIsCalledOnce(t *testing.T) {
	b := newBackend(t, answering(replyText("once")))
	w := newProxyWorld(t, []string{b.host})
	other := w.openPublic()
	c := w.callback("/app/shop/msg", b.host)
	m := push.Message{Content: "hi", MsgID: 7000000000000000001, Duplicates: 5}
	for _, base := range []string{w.public, other} {
		c.Addresses = []string{strings.TrimPrefix(base, "http://")}
		got := w.send(c, m)
		require.Equal(t, "once", got.Shown)
		require.Len(t, got.Tries, 6)
		for _, try := range got.Tries {
			require.Equal(t, 200, try.Status, "each is answered, since WeChat reads any of them")
		}
	}
	require.Len(t, b.got, 1)
}
