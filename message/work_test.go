package message_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/message"
)

func TestWeComMessagesAreReadAndAnswered(t *testing.T) {
	w := official()
	w.id = "wx5823bf96d3bd56c7"
	in := w.newReceiver(t)
	sealed := w.encrypt(w.frame("<xml><ToUserName>wx5823bf96d3bd56c7</ToUserName><FromUserName>mycreate</FromUserName>" +
		"<CreateTime>1409659813</CreateTime><MsgType>text</MsgType><Content>hello</Content><MsgId>4561255354251345929</MsgId><AgentID>218</AgentID></xml>"))
	query := w.sealed(sealed)
	query.Del("signature")
	m, err := in.Open(query, []byte("<xml><ToUserName>x</ToUserName><AgentID>218</AgentID><Encrypt>"+sealed+"</Encrypt></xml>"))
	require.NoError(t, err)
	require.EqualValues(t, 218, m.AgentID)
	require.EqualValues(t, 4561255354251345929, m.MsgID)
	out, err := in.Seal(m, message.News{{Title: "1"}, {Title: "2"}})
	require.NoError(t, err)
	require.Contains(t, w.read(t, out), "<ArticleCount>2</ArticleCount>")
}

func TestWeComJSONIsLowerCase(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	sealed := w.encrypt(w.frame(`{"tousername":"ww1","fromusername":"zhang","createtime":1409659813,"msgtype":"text",` +
		`"content":"hello","msgid":"4561255354251345929","agentid":"218"}`))
	query := w.sealed(sealed)
	query.Del("signature")
	m, err := in.Open(query, fmt.Appendf(nil, `{"tousername":"ww1","encrypt":%q,"agentid":"218"}`, sealed))
	require.NoError(t, err)
	require.Equal(t, "hello", m.Content)
	require.Equal(t, "zhang", m.FromUserName)
	require.EqualValues(t, 4561255354251345929, m.MsgID)
	require.EqualValues(t, 218, m.AgentID)
	out, err := in.Seal(m, message.Text(`say "hi"`))
	require.NoError(t, err)
	var e struct{ Encrypt, MsgSignature, Timestamp, Nonce string }
	decodeExact(t, out, &e, "encrypt", "msgsignature", "timestamp", "nonce")
	require.Equal(t, sign(w.token, e.Timestamp, e.Nonce, e.Encrypt), e.MsgSignature)
	text, _ := w.decrypt(t, e.Encrypt)
	require.JSONEq(t, `{"ToUserName":"zhang","FromUserName":"ww1","CreateTime":`+e.Timestamp+
		`,"MsgType":"text","Content":"say \"hi\""}`, text)

	out, err = in.Seal(m, message.News{{Title: "1", URL: "u"}, {Title: "2"}})
	require.NoError(t, err)
	decodeExact(t, out, &e, "encrypt", "msgsignature", "timestamp", "nonce")
	text, _ = w.decrypt(t, e.Encrypt)
	require.JSONEq(t, `{"ToUserName":"zhang","FromUserName":"ww1","CreateTime":`+e.Timestamp+`,"MsgType":"news","ArticleCount":2,"Articles":[`+
		`{"Title":"1","Description":"","PicUrl":"","Url":"u"},{"Title":"2","Description":"","PicUrl":"","Url":""}]}`, text)
}
