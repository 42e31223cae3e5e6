package message_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/wechattest/push"
)

func TestTooLongTextIsCutAtACharacter(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("a", 2048), strings.Repeat("a", 2049), strings.Repeat("你", 683), "a" + strings.Repeat("你", 683), "ab" + strings.Repeat("你", 700),
		strings.Repeat("💖", 600), "a" + strings.Repeat("💖", 600), strings.Repeat("]]>", 1000), strings.Repeat("\x01", 2000), strings.Repeat("\xff", 2048), strings.Repeat("x", 1<<20),
	} {
		var reply struct{ Content string }
		require.NoError(t, xml.Unmarshal([]byte(seal(t, message.Text(text))), &reply))
		require.LessOrEqual(t, len(reply.Content), 2048)
		require.Greater(t, len(reply.Content), 2048-utf8.UTFMax)
		require.True(t, utf8.ValidString(reply.Content))
		if utf8.ValidString(text) && text[0] >= ' ' {
			require.True(t, strings.HasPrefix(text, reply.Content))
			require.False(t, len(text) > 2048 && len(reply.Content) == len(text))
		}
		if len(text) <= 2048 && utf8.ValidString(text) && text[0] >= ' ' {
			require.Equal(t, text, reply.Content)
		}
	}
}

func TestBackendOfATooLongReplyIsLogged(t *testing.T) {
	long, err := json.Marshal(map[string]any{"MsgType": "text", "Content": strings.Repeat("你", 700)})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		reply string
		push  push.Message
		check func(p push.Result)
		warns string
	}{
		"text": {string(long), push.Message{Content: "hi"}, func(p push.Result) {
			require.Equal(t, strings.Repeat("你", 682), p.Shown, p.Fault)
		}, "text reply is cut"},
		"text of 2048": {replyJSON(strings.Repeat("a", 2048)), push.Message{Content: "hi"}, func(p push.Result) {
			require.Len(t, p.Shown, 2048, p.Fault)
		}, ""},
		"news": {`{"MsgType":"news","Articles":[{"Title":"first"},{"Title":"second"}]}`, push.Message{Content: "hi"}, func(p push.Result) {
			require.Contains(t, p.Reply, "<ArticleCount>1</ArticleCount>", p.Fault)
			require.Contains(t, p.Reply, "first")
			require.NotContains(t, p.Reply, "second")
		}, "news reply is cut"},
		"news to an event": {`{"MsgType":"news","Articles":[{"Title":"first"},{"Title":"second"}]}`, push.Message{Event: "subscribe"}, func(p push.Result) {
			require.Contains(t, p.Reply, "<ArticleCount>2</ArticleCount>", p.Fault)
		}, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := new(backends)
			b.set("a", respondAfter(0, c.reply))
			in, log := forwarding(t, b, ask(1))
			p := deliver(t, callback(in), c.push)
			c.check(p)
			if c.warns == "" {
				require.Empty(t, log.String(), name)
				return
			}
			require.Contains(t, log.String(), c.warns, name)
			require.Contains(t, log.String(), "from=a ", name)
			require.Contains(t, log.String(), "level=WARN", name)
			require.NotContains(t, log.String(), "你", name)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		in, log := receiver(t, func(*message.Config) {})
		in.Handle(message.Any, say(strings.Repeat("a", 2050)))
		require.Len(t, deliver(t, callback(in), push.Message{Content: "hi"}).Shown, 2048)
		require.Contains(t, log.String(), "from=handler ")
	})
}

func TestIncompleteReplyErrorNamesTheKey(t *testing.T) {
	const image = `Image.MediaId is missing: want {"MsgType":"image","Image":{"MediaId":"…"}}`
	for body, want := range map[string]string{
		`{"MsgType":"image","MediaId":"x"}`:                                  image,
		`<xml><MsgType>image</MsgType><MediaId>x</MediaId></xml>`:            image,
		`{"MsgType":"image","Image":{}}`:                                     image,
		`{"MsgType":"image","image":{"MediaId":"x"}}`:                        `Image.MediaId is missing, found image: want {"MsgType":"image"`,
		`{"MsgType":"image","Image":{"media_id":"x"}}`:                       `Image.MediaId is missing, found media_id: want {"MsgType":"image"`,
		`{"MsgType":"image","Image":{"MediaId":""}}`:                         `Image.MediaId is empty: want {"MsgType":"image"`,
		`{"MsgType":"voice"}`:                                                `Voice.MediaId is missing: want {"MsgType":"voice","Voice":{"MediaId":"…"}}`,
		`{"MsgType":"video","Video":"x"}`:                                    `Video.MediaId is missing: want {"MsgType":"video"`,
		`{"MsgType":"music","Title":"x"}`:                                    `Music is missing: want {"MsgType":"music","Music":{`,
		`{"MsgType":"news"}`:                                                 `Articles is missing: want {"MsgType":"news","Articles":[{"Title":`,
		`{"MsgType":"news","Articles":[]}`:                                   `Articles has no article: want {"MsgType":"news"`,
		`{"MsgType":"news","Articles":[{"title":"x","url":"y"}]}`:            `Articles.Title is missing, found title: want {"MsgType":"news"`,
		`{"MsgType":"news","Articles":[{"Item":{"Title":"x","url":"y"}}]}`:   `Articles.Url is missing, found url: want {"MsgType":"news"`,
		`{"MsgType":"news","Articles":[{"Title":"x"},{"Headline":"x"}]}`:     `Articles has none of Title, Description, PicUrl, Url: want {"MsgType":"news"`,
		`{"MsgType":"music","Music":{"Title":"x","musicUrl":"y"}}`:           `Music.MusicUrl is missing, found musicUrl: want {"MsgType":"music"`,
		`{"MsgType":"music","Music":"http://a.example.com/"}`:                `Music has none of Title, Description, MusicUrl`,
		`{"MsgType":"video","Video":{"MediaId":"x","title":"y"}}`:            `Video.Title is missing, found title: want {"MsgType":"video"`,
		`{"MsgType":"text"}`:                                                 `Content is missing: want {"MsgType":"text","Content":"…"}`,
		`{"MsgType":"text","content":"x"}`:                                   `Content is missing, found content: want {"MsgType":"text"`,
		`{"msgtype":"text","text":{"content":"x"}}`:                          `MsgType is missing, found msgtype: want {"MsgType":"text","Content":"…"}`,
		`{"msgtype":"image","image":{"media_id":"x"}}`:                       `MsgType is missing, found msgtype: want {"MsgType":"image"`,
		`{"msg_type":"text"}`:                                                `MsgType is missing, found msg_type: want {"MsgType":"text"`,
		`{"code":0,"msg":"ok"}`:                                              `MsgType is missing: want {"MsgType":"text"`,
		`{}`:                                                                 `MsgType is missing: want`,
		`{"MsgType":"Text","Content":"x"}`:                                   `MsgType "Text": want text, image,`,
		`<xml><MsgType>NEWS</MsgType></xml>`:                                 `MsgType "NEWS": want text, image,`,
		`{"MsgType":"link","Link":{}}`:                                       `invalid MsgType "link": want text, image,`,
		`<xml><return_code>SUCCESS</return_code></xml>`:                      `MsgType is missing: want`,
		`{"MsgType":"` + strings.Repeat("x", 1000) + `","Content":"hidden"}`: `invalid MsgType "xxx`,
	} {
		for _, p := range []push.Message{{Content: "hi"}, {Event: "subscribe"}} {
			if p.Event != "" && strings.HasPrefix(want, "invalid MsgType") {
				continue // an event may have another MsgType
			}
			synctest.Test(t, func(t *testing.T) {
				b := new(backends)
				b.set("a", respondAfter(0, body))
				b.set("b", respondAfter(0, replyJSON("good")))
				in, log := forwarding(t, b, ask(2))
				require.Equal(t, "good", deliver(t, callback(in), p).Shown, body)
				require.Contains(t, strings.ReplaceAll(log.String(), `\"`, `"`), want, body)
				require.Contains(t, log.String(), "backend=a ")
				require.NotContains(t, log.String(), "hidden")
				require.Less(t, log.b.Len(), 600)
			})
		}
	}
	for _, nothing := range []string{`{"MsgType":"text","Content":""}`, `{"MsgType":"text","Content":null}`, "<xml><MsgType>text</MsgType><Content/></xml>"} {
		reply, err := message.ParseReply([]byte(nothing))
		require.NoError(t, err)
		require.Equal(t, message.Text(""), reply)
	}
}

const robotText = `{"msgid":"CAIQz7","aibotid":"AIBOT","chattype":"single","from":{"userid":"zhangsan"},"msgtype":"text","text":{"content":"hello"}}`
const robotEvent = `{"msgid":"CAIQz8","aibotid":"AIBOT","from":{"userid":"zhangsan"},"msgtype":"event","event":{"eventtype":"enter_chat"}}`

// robot is WeCom for a smart robot.
func robot() wechat {
	w := official()
	w.id = ""
	return w
}

func (w wechat) sendRobot(text string) (string, []byte) {
	sealed := w.encrypt(w.frame(text))
	query := w.sealed(sealed)
	query.Del("signature")
	return query.Encode(), fmt.Appendf(nil, `{"encrypt":%q}`, sealed)
}

// readJSON decrypts a sealed JSON reply.
func (w wechat) readJSON(t testing.TB, body []byte) string {
	var e struct{ Encrypt, MsgSignature, Timestamp, Nonce string }
	decodeExact(t, body, &e, "encrypt", "msgsignature", "timestamp", "nonce")
	require.Equal(t, sign(w.token, e.Timestamp, e.Nonce, e.Encrypt), e.MsgSignature)
	text, receiver := w.decrypt(t, e.Encrypt)
	require.Equal(t, w.id, receiver)
	return text
}

func TestSmartRobotGetsItsOwnJSON(t *testing.T) {
	for _, c := range []struct {
		doc   string
		reply message.Reply
		want  string // "" is refused
	}{
		{robotText, message.Text(`say "hi"`), `^\{"msgtype":"stream","stream":\{"id":"[0-9a-f]{32}","finish":true,"content":"say \\"hi\\""\}\}$`},
		{robotText, message.Text(strings.Repeat("x", 5000)), strings.Repeat("x{1000}", 5)},
		{robotEvent, message.Text("welcome"), `^\{"msgtype":"text","text":\{"content":"welcome"\}\}$`},
		{robotText, message.Raw(`{"msgtype":"stream","stream":{}}`), `^\{"msgtype":"stream","stream":\{\}\}$`},
		{robotText, message.Image{MediaID: "m"}, ""},
		{robotText, message.News{{Title: "t"}}, ""},
		{robotText, message.Raw("<xml/>"), ""},
		{"<xml><From><UserId>z</UserId></From><MsgType>text</MsgType><Text><Content>hello</Content></Text></xml>", message.Text("hi"), ""},
	} {
		w := robot()
		in, log := receiver(t, func(c *message.Config) { c.ReceiveIDs = []string{""} })
		in.Handle(message.Any, func(context.Context, *message.Message) (message.Reply, error) { return c.reply, nil })
		query, body := w.sendRobot(c.doc)
		rec := post(in, mustQuery(t, query), body)
		if c.want == "" {
			require.Equal(t, 500, rec.Code, c.doc)
			require.NotContains(t, rec.Body.String(), "xml")
			require.Contains(t, log.String(), "message: reply with ")
			continue
		}
		require.Equal(t, 200, rec.Code, log)
		require.Equal(t, "application/json", rec.Header().Get("Content-Type"))
		text := w.readJSON(t, rec.Body.Bytes())
		require.True(t, json.Valid([]byte(text)), text)
		require.Regexp(t, c.want, text)
	}
}

func TestBackendRepliesToASmartRobot(t *testing.T) {
	for answer, want := range map[string]string{
		replyJSON("hi"): `"content":"hi"`,
		`{"msgtype":"template_card","template_card":{"card_type":"text_notice"}}`: `"card_type":"text_notice"`,
	} {
		synctest.Test(t, func(t *testing.T) {
			w, b := robot(), new(backends)
			b.set("a", respondAfter(0, answer))
			in, _ := forwarding(t, b, ask(1), func(c *message.Config) { c.ReceiveIDs = []string{""} })
			query, body := w.sendRobot(robotText)
			rec := post(in, mustQuery(t, query), body)
			require.Equal(t, 200, rec.Code)
			require.Contains(t, w.readJSON(t, rec.Body.Bytes()), want)
		})
	}
}

func TestMessageWithoutReceiveIDIsNotTakenForARobots(t *testing.T) {
	w := robot()
	in, _ := receiver(t, func(c *message.Config) { c.AnyReceiveID = true })
	in.Handle(message.Any, say("hi"))
	query, body := w.send(hello)
	require.Contains(t, w.read(t, post(in, query, body).Body.Bytes()), "<ToUserName><![CDATA[oUser]]></ToUserName>")
	w.id = "anyID-1_"
	query, body = w.send(strings.Replace(hello, "<MsgId>1<", "<MsgId>2<", 1))
	require.Contains(t, w.read(t, post(in, query, body).Body.Bytes()), "hi")
}
