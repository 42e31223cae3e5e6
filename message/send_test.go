package message_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
	wire "github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

func TestSendWritesWeChatsFormat(t *testing.T) {
	wx := new(wechattest.Server)
	api := lateClient(t, wx)
	for want, r := range map[string]message.Reply{
		`{"touser":"o","msgtype":"text","text":{"content":"<a href=\"x\">1 & 2</a>"}}`:                                              message.Text(`<a href="x">1 & 2</a>`),
		`{"touser":"o","msgtype":"image","image":{"media_id":"m"}}`:                                                                 message.Image{MediaID: "m"},
		`{"touser":"o","msgtype":"voice","voice":{"media_id":"m"}}`:                                                                 message.Voice{MediaID: "m"},
		`{"touser":"o","msgtype":"video","video":{"media_id":"m","title":"t","description":"d"}}`:                                   message.Video{MediaID: "m", Title: "t", Description: "d"},
		`{"touser":"o","msgtype":"music","music":{"title":"t","description":"","musicurl":"u","hqmusicurl":""}}`:                    message.Music{Title: "t", MusicURL: "u"},
		`{"touser":"o","msgtype":"music","music":{"title":"","description":"","musicurl":"","hqmusicurl":"","thumb_media_id":"p"}}`: message.Music{ThumbMediaID: "p"},
		`{"touser":"o","msgtype":"news","news":{"articles":[{"title":"1","description":"d","url":"u","picurl":"p"}]}}`:              message.News{{Title: "1", Description: "d", URL: "u", PicURL: "p"}, {Title: "2"}},
	} {
		require.NoError(t, message.Send(t.Context(), api, "o", r))
		sent := wx.Sent()
		require.JSONEq(t, want, string(sent[len(sent)-1].Body))
		require.Equal(t, "/cgi-bin/message/custom/send", sent[len(sent)-1].Path)
	}
	require.NotContains(t, string(wx.Sent()[0].Body), `\u00`, "WeChat shows escapes unchanged")

	n := len(wx.Sent())
	for _, r := range []message.Reply{nil, message.Text(""), message.News{}, message.TransferCustomerService{}, message.Raw("<xml/>")} {
		require.ErrorContains(t, message.Send(t.Context(), api, "o", r), "message: send: ")
	}
	require.Len(t, wx.Sent(), n)
	require.ErrorIs(t, message.Send(t.Context(), api, "", message.Text("x")), wire.Code(40003))
	wx.AddFault(wechattest.Fault{Path: "/cgi-bin/message/custom/send", Code: 45015})
	require.ErrorIs(t, message.Send(t.Context(), api, "o", message.Text("x")), wire.ErrReplyWindow)
}

func TestWeComMessages(t *testing.T) {
	wx := new(wechattest.Server)
	api := client(t, wx, wechattest.App{ID: "ww1", Secret: "s", Kind: wechattest.Work, AgentID: 7})
	sent, err := message.SendWork(t.Context(), api, message.WorkMessage{AgentID: 7, ToUser: "a|b", Reply: message.Text("hi")})
	require.NoError(t, err)
	require.NotEmpty(t, sent.MsgID)
	require.JSONEq(t, `{"touser":"a|b","toparty":"","totag":"","agentid":7,"msgtype":"text","text":{"content":"hi"}}`, string(wx.Sent()[0].Body))
	_, err = message.SendWork(t.Context(), api, message.WorkMessage{AgentID: 7, ToTag: "1", Reply: message.News{{Title: "1"}, {Title: "2"}}})
	require.NoError(t, err)
	require.Contains(t, string(wx.Sent()[1].Body), `"title":"2"`)

	_, err = message.SendWork(t.Context(), api, message.WorkMessage{AgentID: 7, Reply: message.Text("hi")})
	require.ErrorContains(t, err, "no ToUser")
	_, err = message.SendWork(t.Context(), api, message.WorkMessage{AgentID: 7, ToUser: "a", Reply: message.Music{}})
	require.ErrorContains(t, err, "a message.Music cannot be sent in WeCom")
	_, err = message.SendWork(t.Context(), api, message.WorkMessage{AgentID: 8, ToUser: "a", Reply: message.Text("hi")})
	require.ErrorIs(t, err, wire.Code(40056))
}

func TestLateWeComReplyUsesTheAgentID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, wx := new(backends), new(wechattest.Server)
		b.set("a", respondAfter(20*time.Second, replyJSON("late")))
		w := official()
		in, err := message.New(message.Config{AppID: "ww1", Token: w.token, EncodingAESKey: w.key, Store: new(store.Memory),
			Forward: message.Forwarding{HTTP: b.client(), API: client(t, wx, wechattest.App{ID: "ww1", Secret: "s", Kind: wechattest.Work, AgentID: 7}),
				Backends: []message.Backend{{URL: "http://a/", Answer: true, Late: true, Timeout: time.Minute}}}})
		require.NoError(t, err)
		c := &push.Callback{AppID: "ww1", Kind: push.Work, AgentID: 7, Token: w.token, EncodingAESKey: w.key, Handler: in}
		p := deliver(t, c, push.Message{Content: "hi", From: "zhangsan"})
		require.Empty(t, p.Fault)
		<-time.After(time.Minute)
		require.Len(t, wx.Sent(), 1)
		require.JSONEq(t, `{"touser":"zhangsan","toparty":"","totag":"","agentid":7,"msgtype":"text","text":{"content":"late"}}`, string(wx.Sent()[0].Body))
	})
}

func TestFailedLateReplyIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, wx := new(backends), new(wechattest.Server)
		b.set("a", respondAfter(20*time.Second, replyJSON("late")))
		in, log := forwarding(t, b, []message.Backend{{Answer: true, Late: true, Timeout: time.Minute}}, func(c *message.Config) { c.Forward.API = lateClient(t, wx) })
		wx.AddFault(wechattest.Fault{Path: "/cgi-bin/message/custom/send", Code: 45047})
		deliver(t, callback(in), push.Message{Content: "hi"})
		<-time.After(time.Minute)
		require.Contains(t, log.String(), "late reply was not sent")
		require.Contains(t, log.String(), "45047")
		require.NotContains(t, log.String(), "late\"", "the content is not logged")
	})
}

func TestRequestWithoutAnEndTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		in, _ := receiver(t, func(*message.Config) {})
		in.Handle(message.Any, slow(14*time.Second, &runs))
		proxied := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			in.ServeHTTP(w, r.WithContext(t.Context()))
		})
		begun := time.Now()
		query, body := official().send(hello)
		require.Equal(t, 503, post(proxied, query, body).Code)
		require.Equal(t, 6*time.Second, time.Since(begun))
		<-time.After(time.Minute)
		require.EqualValues(t, 1, runs.Load())
	})
}
