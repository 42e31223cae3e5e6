package message_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/wechattest/push"
)

// seal answers a plain text message, or another document.
func seal(t testing.TB, r message.Reply, docs ...string) string {
	doc := hello
	for _, d := range docs {
		doc = d
	}
	w := official()
	w.key = ""
	in := w.newReceiver(t)
	m, err := in.Open(w.plain(), []byte(doc))
	require.NoError(t, err)
	body, err := in.Seal(m, r)
	require.NoError(t, err)
	return string(body)
}

func TestRepliesHaveWeChatsFormat(t *testing.T) {
	articles := message.News{{Title: "t1", Description: "d1", PicURL: "p1", URL: "u1"}, {Title: "t2"}}
	for _, c := range []struct {
		reply message.Reply
		want  string
	}{
		{message.Text("hi\n你好"), "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hi\n你好]]></Content>"},
		{message.Image{MediaID: "m"}, "<MsgType><![CDATA[image]]></MsgType><Image><MediaId><![CDATA[m]]></MediaId></Image>"},
		{message.Voice{MediaID: "m"}, "<MsgType><![CDATA[voice]]></MsgType><Voice><MediaId><![CDATA[m]]></MediaId></Voice>"},
		{message.Video{MediaID: "m"}, "<MsgType><![CDATA[video]]></MsgType><Video><MediaId><![CDATA[m]]></MediaId></Video>"},
		{message.Video{MediaID: "m", Title: "t", Description: "d"}, "<MsgType><![CDATA[video]]></MsgType><Video><MediaId><![CDATA[m]]></MediaId>" +
			"<Title><![CDATA[t]]></Title><Description><![CDATA[d]]></Description></Video>"},
		{message.Music{Title: "t", MusicURL: "u"}, "<MsgType><![CDATA[music]]></MsgType><Music><Title><![CDATA[t]]></Title><MusicUrl><![CDATA[u]]></MusicUrl></Music>"},
		{message.Music{Title: "t", Description: "d", MusicURL: "u", HQMusicURL: "h", ThumbMediaID: "m"},
			"<MsgType><![CDATA[music]]></MsgType><Music><Title><![CDATA[t]]></Title><Description><![CDATA[d]]></Description><MusicUrl><![CDATA[u]]></MusicUrl>" +
				"<HQMusicUrl><![CDATA[h]]></HQMusicUrl><ThumbMediaId><![CDATA[m]]></ThumbMediaId></Music>"},
		{articles, "<MsgType><![CDATA[news]]></MsgType><ArticleCount>1</ArticleCount><Articles><item><Title><![CDATA[t1]]></Title>" +
			"<Description><![CDATA[d1]]></Description><PicUrl><![CDATA[p1]]></PicUrl><Url><![CDATA[u1]]></Url></item></Articles>"},
		{message.TransferCustomerService{}, "<MsgType><![CDATA[transfer_customer_service]]></MsgType>"},
		{message.TransferCustomerService{KfAccount: "a@b"}, "<MsgType><![CDATA[transfer_customer_service]]></MsgType><TransInfo><KfAccount><![CDATA[a@b]]></KfAccount></TransInfo>"},
	} {
		synctest.Test(t, func(t *testing.T) {
			got := seal(t, c.reply)
			require.Equal(t, fmt.Sprintf("<xml><ToUserName><![CDATA[oUser]]></ToUserName><FromUserName><![CDATA[gh_1]]></FromUserName>"+
				"<CreateTime>%d</CreateTime>%s</xml>", time.Now().Unix(), c.want), got)
		})
	}
}

func TestNilReplyIsSuccess(t *testing.T) {
	w := official()
	for _, r := range []message.Reply{nil, message.Text(""), message.Raw("")} {
		require.Equal(t, "success", seal(t, r))
		require.Equal(t, "success", seal(t, r, `{"MsgType":"event"}`))
		in := w.newReceiver(t)
		query, body := w.send(hello)
		m, err := in.Open(query, body)
		require.NoError(t, err)
		out, err := in.Seal(m, r)
		require.NoError(t, err)
		require.Equal(t, "success", string(out), "success is not encrypted")
	}
}

func TestTextIsEscaped(t *testing.T) {
	for _, text := range []string{"]]>", "a]]>b]]>", "]]]]>>", "]]]]><![CDATA[>", "<b>&amp;</b>", "tab\tline\nend", "💖"} {
		var reply struct {
			Content string
		}
		require.NoError(t, xml.Unmarshal([]byte(seal(t, message.Text(text))), &reply))
		require.Equal(t, text, reply.Content)
	}
	for text, want := range map[string]string{"a\x00b": "a\ufffdb", "\x1b[0m": "\ufffd[0m", "\xff": "\ufffd", "\uffff\ufffe": "\ufffd\ufffd"} {
		var reply struct {
			Content string
		}
		require.NoError(t, xml.Unmarshal([]byte(seal(t, message.Text(text))), &reply))
		require.Equal(t, want, reply.Content, "illegal XML characters are replaced")
	}
	var reply struct{ ToUserName string }
	require.NoError(t, xml.Unmarshal([]byte(seal(t, message.Text("x"), "<xml><FromUserName>a]]&gt;&lt;b</FromUserName><MsgType>text</MsgType></xml>")), &reply))
	require.Equal(t, "a]]><b", reply.ToUserName)
}

func TestEventReplyHasUpToEightArticles(t *testing.T) {
	news := make(message.News, 10)
	for i := range news {
		news[i].Title = fmt.Sprint("article ", i)
	}
	got := seal(t, news, "<xml><MsgType>event</MsgType><Event>CLICK</Event></xml>")
	require.Contains(t, got, "<ArticleCount>8</ArticleCount>")
	require.Equal(t, 8, strings.Count(got, "<item>"))
	require.Contains(t, got, "article 7")
	got = seal(t, news)
	require.Contains(t, got, "<ArticleCount>1</ArticleCount>")
	require.Equal(t, 1, strings.Count(got, "<item>"))
}

func TestReplyWithoutContentIsAnError(t *testing.T) {
	in := official().newReceiver(t)
	for want, r := range map[string]message.Reply{
		"image: MediaID is empty": message.Image{},
		"voice: MediaID is empty": message.Voice{},
		"video: MediaID is empty": message.Video{Title: "t"},
		"news: no article":        message.News{},
		"want '<'":                message.Raw(`{"a":1}`),
	} {
		_, err := in.Seal(&message.Message{}, r)
		require.ErrorContains(t, err, want)
	}
}

func TestWeComRefusesMusicAndCustomerService(t *testing.T) {
	for _, r := range []message.Reply{message.Music{Title: "t"}, message.TransferCustomerService{}} {
		synctest.Test(t, func(t *testing.T) {
			in := official().newReceiver(t)
			in.Handle(message.Any, func(context.Context, *message.Message) (message.Reply, error) { return r, nil })
			c := callback(in)
			c.Kind = push.Work
			p := deliver(t, c, push.Message{Content: "hi"})
			require.Equal(t, 500, p.Tries[0].Status, "a reply that WeCom does not accept is not sent")
		})
	}
}

func TestMiniProgramTakesOnlyCustomerService(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	sealed := w.encrypt(w.frame(`{"ToUserName":"gh_1","FromUserName":"oUser","MsgType":"text","Content":"hello"}`))
	m, err := in.Open(w.sealed(sealed), fmt.Appendf(nil, `{"ToUserName":"gh_1","Encrypt":%q}`, sealed))
	require.NoError(t, err)
	for _, r := range []message.Reply{message.Text("hi"), message.Image{MediaID: "m"}, message.Video{MediaID: "m"}, message.Music{}, message.News{{}}} {
		_, err := in.Seal(m, r)
		require.ErrorContains(t, err, "/cgi-bin/message/custom/send")
	}
	out, err := in.Seal(m, message.TransferCustomerService{KfAccount: "a@b"})
	require.NoError(t, err)
	var e struct {
		Encrypt, MsgSignature, Nonce string
		TimeStamp                    int64
	}
	decodeExact(t, out, &e, "Encrypt", "MsgSignature", "TimeStamp", "Nonce")
	text, _ := w.decrypt(t, e.Encrypt)
	require.JSONEq(t, fmt.Sprintf(`{"ToUserName":"oUser","FromUserName":"gh_1","CreateTime":%d,"MsgType":"transfer_customer_service","TransInfo":{"KfAccount":"a@b"}}`, e.TimeStamp), text)
	require.Equal(t, sign(w.token, fmt.Sprint(e.TimeStamp), e.Nonce, e.Encrypt), e.MsgSignature)
}

func TestSealIsRandom(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	query, body := w.send(hello)
	m, err := in.Open(query, body)
	require.NoError(t, err)
	a, err := in.Seal(m, message.Text("hi"))
	require.NoError(t, err)
	b, err := in.Seal(m, message.Text("hi"))
	require.NoError(t, err)
	require.NotEqual(t, string(a), string(b))
	require.Equal(t, w.read(t, a), w.read(t, b))
}

func TestSealFailsWithoutRandomBytes(t *testing.T) {
	w := official()
	config := w.config()
	config.Rand = strings.NewReader("short")
	in, err := message.New(config)
	require.NoError(t, err)
	query, body := w.send(hello)
	m, err := in.Open(query, body)
	require.NoError(t, err)
	_, err = in.Seal(m, message.Text("hi"))
	require.ErrorContains(t, err, "random bytes")
}

func TestRepliesOfAllLengthsAreSealed(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	query, body := w.send(hello)
	m, err := in.Open(query, body)
	require.NoError(t, err)
	for n := range 70 {
		text := "<a>" + strings.Repeat("x", n) + "</a>"
		out, err := in.Seal(m, message.Raw(text))
		require.NoError(t, err)
		require.Equal(t, text, w.read(t, out))
	}
	text := "<a>" + strings.Repeat("x", 1<<20) + "</a>"
	out, err := in.Seal(m, message.Raw(text))
	require.NoError(t, err)
	require.Equal(t, text, w.read(t, out))
}

func TestParseReply(t *testing.T) {
	one := message.Article{Title: "t", Description: "d", PicURL: "p", URL: "u"}
	const json = `{"Title":"t","Description":"d","PicUrl":"p","Url":"u"}`
	const xml = `<Title>t</Title><Description>d</Description><PicUrl>p</PicUrl><Url>u</Url>`
	for body, want := range map[string]message.Reply{
		"":          nil,
		" \n":       nil,
		"success":   nil,
		"success\n": nil,
		"\ufeff<xml><MsgType>text</MsgType><Content>a</Content></xml>":                                                                 message.Text("a"),
		`{"MsgType":"text","Content":"a","CreateTime":1}`:                                                                              message.Text("a"),
		`{"MsgType":"image","Image":{"MediaId":"m"}}`:                                                                                  message.Image{MediaID: "m"},
		`{"MsgType":"voice","Voice":{"MediaId":"m"}}`:                                                                                  message.Voice{MediaID: "m"},
		`{"MsgType":"video","Video":{"MediaId":"m","Title":"t","Description":"d"}}`:                                                    message.Video{MediaID: "m", Title: "t", Description: "d"},
		`<WxReply><MsgType>music</MsgType><Music><Title>t</Title><HQMusicUrl>h</HQMusicUrl></Music></WxReply>`:                         message.Music{Title: "t", HQMusicURL: "h"},
		`{"MsgType":"news","ArticleCount":1,"Articles":[{"Item":` + json + `},{"Item":` + json + `}]}`:                                 message.News{one, one},
		`{"MsgType":"news","Articles":[` + json + `,` + json + `]}`:                                                                    message.News{one, one},
		`{"MsgType":"news","Articles":` + json + `}`:                                                                                   message.News{one},
		`{"MsgType":"news","Articles":{"item":[` + json + `,` + json + `]}}`:                                                           message.News{one, one},
		`<xml><MsgType>news</MsgType><Articles><item>` + xml + `</item><item>` + xml + `</item></Articles></xml>`:                      message.News{one, one},
		`<xml><MsgType>news</MsgType><Articles><Item>` + xml + `</Item></Articles><Articles><Item>` + xml + `</Item></Articles></xml>`: message.News{one, one},
		`<xml><MsgType>transfer_customer_service</MsgType><TransInfo><KfAccount>a@b</KfAccount></TransInfo></xml>`:                     message.TransferCustomerService{KfAccount: "a@b"},
		`<xml><MsgType>update_button</MsgType><Button><ReplaceName>x</ReplaceName></Button></xml>`:                                     message.Raw(`<xml><MsgType>update_button</MsgType><Button><ReplaceName>x</ReplaceName></Button></xml>`),
		`{"ErrCode":0,"ErrMsg":"success"}`:                                                                                             message.Raw(`{"ErrCode":0,"ErrMsg":"success"}`),
	} {
		got, err := message.ParseReply([]byte(body))
		require.NoError(t, err, body)
		require.Equal(t, want, got, body)
	}
	for _, body := range []string{"SUCCESS", "<xml>", "{", "ok", strings.Repeat(" ", 10) + "<html><br></html>", "<xml>" + strings.Repeat("x", 1<<20) + "</xml>"} {
		_, err := message.ParseReply([]byte(body))
		require.ErrorContains(t, err, "message: parse reply: ", body[:min(len(body), 20)])
	}
}

func TestParseReplyReadsTheOutputOfSeal(t *testing.T) {
	for _, r := range []message.Reply{message.Text("a]]>b"), message.Image{MediaID: "m"}, message.Voice{MediaID: "m"},
		message.Video{MediaID: "m", Title: "t"}, message.Music{Title: "t", ThumbMediaID: "x"}, message.News{{Title: "t", URL: "u"}},
		message.TransferCustomerService{}, message.TransferCustomerService{KfAccount: "a@b"}} {
		got, err := message.ParseReply([]byte(seal(t, r)))
		require.NoError(t, err)
		require.Equal(t, r, got)
	}
}
