package message_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/message/notify"
	"github.com/wetoken/wetoken/wechattest"
)

func TestJSONMessageWithControlCharactersIsRead(t *testing.T) {
	const doc = "{\r\n\t\"MsgType\":\"text\",\"Content\":\"a\x14\\\"b\x00\",\"MsgId\":1}"
	m := open(t, "\ufeff"+doc)
	require.Equal(t, `a"b`, m.Content)
	require.EqualValues(t, 1, m.MsgID)
	require.True(t, json.Valid([]byte(m.Raw)), "%q", m.Raw)

	w := official()
	query, body := w.send(doc)
	m, err := w.newReceiver(t).Open(query, body)
	require.NoError(t, err, "sealed")
	require.Equal(t, `a"b`, m.Content)
}

func TestInvalidJSONMessageErrorHasTheOffset(t *testing.T) {
	_, err := opener(t)("{\"Content\":\"\x14\",\"b\":hidden}")
	require.ErrorIs(t, err, message.ErrBody)
	require.ErrorContains(t, err, "JSON syntax error at offset 20 of 26 bytes")
	require.NotContains(t, err.Error(), "hidden")
}

func TestBackendReplyIsStrictJSON(t *testing.T) {
	_, err := message.ParseReply([]byte("{\"MsgType\":\"text\",\"Content\":\"two\nlines\"}"))
	require.Error(t, err, "dropping the line end would change the text")
}

func TestMsgIDOfASentMessageIsReadInEachForm(t *testing.T) {
	wx := new(wechattest.Server)
	api := lateClient(t, wx)
	for written, want := range map[string]int64{`9007199254740993`: 9007199254740993, `"9007199254740993"`: 9007199254740993, `7.0`: 7, `null`: 0} {
		wx.ClearFaults()
		wx.AddFault(wechattest.Fault{Body: `{"errcode":"0","errmsg":"ok","msgid":` + written + `}`, Path: "/cgi-bin/message/template/send"})
		id, err := notify.SendTemplate(t.Context(), api, notify.Template{ToUser: "o", TemplateID: "T", Data: map[string]string{"a": "b"}})
		require.NoError(t, err, written)
		require.Equal(t, want, id)
	}
	for written, want := range map[string]string{`"m1"`: "m1", `7`: "7", `9007199254740993`: "9007199254740993", `null`: ""} {
		wx.ClearFaults()
		wx.AddFault(wechattest.Fault{Body: `{"errcode":0,"invaliduser":"u","msgid":` + written + `}`, Path: "/cgi-bin/message/send"})
		sent, err := message.SendWork(t.Context(), api, message.WorkMessage{AgentID: 1, ToUser: "u", Reply: message.Text("x")})
		require.NoError(t, err, written)
		require.Equal(t, message.WorkResult{MsgID: want, InvalidUser: "u"}, sent)
	}
}
