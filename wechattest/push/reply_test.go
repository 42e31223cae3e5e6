package push_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/push"
)

func TestAMalformedReplyIsRefusedAndTheUserReadsSo(t *testing.T) {
	good := textReply("hi")
	message := push.Message{Content: "x"}
	for _, c := range []struct {
		body, fault string
		push        push.Message
	}{
		{body: "ok", fault: "not well-formed"},
		{body: `{"errcode":0}`, fault: "not well-formed"},
		{body: "<html></html>", fault: "root is not xml"},
		{body: strings.Replace(good, "</xml>", "", 1), fault: "not well-formed"},
		{body: strings.Replace(good, "oUser", "oOther", 1), fault: "ToUserName"},
		{body: strings.Replace(good, "gh_wechattest", "gh_x", 1), fault: "FromUserName"},
		{body: strings.Replace(good, "<CreateTime>1", "<CreateTime>now", 1), fault: "CreateTime"},
		{body: strings.Replace(good, ">text<", ">txt<", 1), fault: "invalid MsgType"},
		{body: textReply(""), fault: "Content is missing"},
		{body: strings.Replace(good, ">text<", ">image<", 1), fault: "Image.MediaId is missing"},
		{body: strings.NewReplacer(">text<", ">music<", "<Content>hi</Content>", "<Music><ThumbMediaId></ThumbMediaId></Music>").Replace(good), fault: "ThumbMediaId is empty"},
		{body: strings.NewReplacer(">text<", ">news<", "<Content>hi</Content>", "<ArticleCount>2</ArticleCount><Articles><item></item></Articles>").Replace(good), fault: "ArticleCount"},
		{body: strings.NewReplacer(">text<", ">news<", "<Content>hi</Content>", "<ArticleCount>1</ArticleCount><Articles><Item></Item></Articles>").Replace(good), fault: "an element other than item"},
	} {
		p, err := plainCallback(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, c.body) }).Push(t.Context(), message)
		require.NoError(t, err)
		require.Contains(t, p.Fault, c.fault, c.body)
		require.Equal(t, push.Unavailable, p.Shown)
		require.Len(t, p.Tries, 1, "an answer is an answer")
	}

	for body, fault := range map[string]string{
		good:                              "is not encrypted",
		"<xml><Encrypt>x</Encrypt></xml>": "TimeStamp",
		"<xml><Encrypt>x</Encrypt><MsgSignature>y</MsgSignature><TimeStamp>1</TimeStamp><Nonce>n</Nonce></xml>":                                 "MsgSignature is wrong",
		"<xml><Encrypt>x</Encrypt><MsgSignature>" + sha("tok", "1", "n", "x") + "</MsgSignature><TimeStamp>1</TimeStamp><Nonce>n</Nonce></xml>": "want base64",
	} {
		c := plainCallback(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
		c.EncodingAESKey = pushKey
		p, err := c.Push(t.Context(), message)
		require.NoError(t, err)
		require.Contains(t, p.Fault, fault)
	}
	c := plainCallback(func(w http.ResponseWriter, _ *http.Request) {
		sealed, _ := sealReply(t, good, "another app")
		fmt.Fprintf(w, "<xml><Encrypt>%s</Encrypt><MsgSignature>%s</MsgSignature><TimeStamp>1</TimeStamp><Nonce>n</Nonce></xml>", sealed, sha("tok", "1", "n", sealed))
	})
	c.EncodingAESKey = pushKey
	p, err := c.Push(t.Context(), message)
	require.NoError(t, err)
	require.Contains(t, p.Fault, "for another app")
}

func TestNewsShowsOneArticleToAMessageAndAllToAnEvent(t *testing.T) {
	body := strings.NewReplacer(">text<", ">news<", "<Content>hi</Content>",
		"<ArticleCount>2</ArticleCount><Articles><item><Title>one</Title></item><item><Title>two</Title></item></Articles>").Replace(textReply("hi"))
	c := plainCallback(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
	p, err := c.Push(t.Context(), push.Message{Content: "x"})
	require.NoError(t, err)
	require.Equal(t, "one", p.Shown)
	p, err = c.Push(t.Context(), push.Message{Event: "CLICK"})
	require.NoError(t, err)
	require.Equal(t, "one\ntwo", p.Shown)
}

func TestATextOver2048BytesShowsTheFaultPage(t *testing.T) {
	for text, want := range map[string]string{
		strings.Repeat("a", 2048):       strings.Repeat("a", 2048),
		strings.Repeat("字", 682) + "aa": strings.Repeat("字", 682) + "aa",
		strings.Repeat("a", 2049):       push.Faulty,
		strings.Repeat("字", 683):        push.Faulty,
	} {
		p, err := plainCallback(answering(textReply(text))).Push(t.Context(), push.Message{Content: "x"})
		require.NoError(t, err)
		require.Equal(t, want, p.Shown)
		require.Equal(t, want == push.Faulty, strings.Contains(p.Fault, "2048 bytes"))
	}
}

func TestWeComCutsATextOver2048Bytes(t *testing.T) {
	c := &push.Callback{AppID: "ww1", Token: "tok", EncodingAESKey: pushKey, Kind: push.Work, AgentID: 7}
	c.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		sealed, signature := sealReply(t, strings.Replace(textReply(strings.Repeat("字", 700)), "gh_wechattest", "ww1", 1), "ww1")
		fmt.Fprintf(w, "<xml><Encrypt>%s</Encrypt><MsgSignature>%s</MsgSignature><TimeStamp>1700000000</TimeStamp><Nonce>nonce</Nonce></xml>", sealed, signature)
	})
	p, err := c.Push(t.Context(), push.Message{Content: "x"})
	require.NoError(t, err)
	require.Empty(t, p.Fault)
	require.Equal(t, strings.Repeat("字", 682), p.Shown)
}
