package message_test

import (
	"encoding/binary"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/message"
)

// FuzzEnvelope sends any body with any parameters, and then with valid signatures.
func FuzzEnvelope(f *testing.F) {
	w := official()
	sealed := w.encrypt(w.frame(hello))
	f.Add("signature=x&timestamp=1&nonce=2", hello, "a")
	f.Add("msg_signature=%zz&echostr=+", "<xml><Encrypt>"+sealed+"</Encrypt></xml>", sealed)
	f.Add("", `{"encrypt":"`+sealed+`"}`, sealed[:64])
	f.Add("nonce="+strings.Repeat("n", 200), "<xml><Encrypt/></xml>", "====")
	secure := w.newReceiver(f)
	config := w.config()
	config.Mode = message.Compatible
	compatible, err := message.New(config)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, query, body, encrypt string) {
		q, _ := url.ParseQuery(query)
		for _, in := range []*message.Receiver{secure, compatible} {
			_, err := in.Open(q, []byte(body))
			require.Error(t, err, "an unsigned message is not opened")
			_, err = in.VerifyURL(q)
			require.Error(t, err)
			check(t, in, w.plain(), body)
			check(t, in, w.sealed(encrypt), body)
			check(t, in, w.sealed(encrypt), "<xml><Encrypt><![CDATA["+encrypt+"]]></Encrypt></xml>")
			signed := w.sealed(encrypt)
			signed.Set("echostr", encrypt)
			_, err = in.VerifyURL(signed)
			refused(t, err)
		}
	})
}

// FuzzDecrypted encrypts with the right keys: any text, length, receiver and padding.
func FuzzDecrypted(f *testing.F) {
	w := official()
	f.Add(hello, w.id, int64(0), byte(0))
	f.Add(`{"MsgType":"text","MsgId":1}`, w.id, int64(0), byte(0))
	f.Add("", "", int64(-1), byte(1))
	f.Add(strings.Repeat(" ", 32), w.id, int64(1<<32-1), byte(32))
	f.Add("<xml>", "wx0", int64(1), byte(33))
	in := w.newReceiver(f)
	f.Fuzz(func(t *testing.T, text, receiver string, more int64, spoil byte) {
		w := w
		w.id = receiver
		frame := w.frame(text)
		binary.BigEndian.PutUint32(frame[16:], uint32(int64(len(text))+more))
		frame[len(frame)-1] += spoil
		sealed := w.encrypt(frame)
		check(t, in, w.sealed(sealed), "<xml><Encrypt>"+sealed+"</Encrypt></xml>")
	})
}

// FuzzXML compares accepted XML with encoding/xml.
func FuzzXML(f *testing.F) {
	for _, doc := range slices.Concat(acceptedXML, refusedXML[:len(refusedXML)-2], []string{textMessage, hello}) {
		f.Add(doc)
	}
	open := opener(f)
	f.Fuzz(func(t *testing.T, doc string) {
		m, err := open(doc)
		if err != nil {
			refused(t, err)
			return
		}
		if strings.TrimLeft(m.Raw, "\ufeff \t\r\n")[0] != '<' {
			return
		}
		if isLegal(doc) {
			require.Equal(t, doc, m.Raw)
		}
		want, err := parseWithEncodingXML(m.Raw)
		require.NoError(t, err, "%q", doc)
		requireSameTree(t, want, m.Root, doc)
	})
}

// FuzzJSON compares accepted JSON and its output with encoding/json.
func FuzzJSON(f *testing.F) {
	f.Add(`{"ToUserName":"gh_1","CreateTime":1,"MsgType":"event","List":[{"a":1.5e3},{"a":null,"a":true}],"x":{"y":[[1],"2"]}}`)
	f.Add(`{"MsgId":"9223372036854775808","":""}`)
	f.Add("{\"Content\":\"a\x14b\"}")
	open := opener(f)
	f.Fuzz(func(t *testing.T, doc string) {
		m, err := open(doc)
		if err != nil {
			refused(t, err)
			return
		}
		if doc = strings.TrimPrefix(doc, "\ufeff"); !strings.HasPrefix(strings.TrimLeft(doc, " \t\r\n"), "{") {
			return
		}
		require.True(t, json.Valid([]byte(strings.TrimPrefix(m.Raw, "\ufeff"))))
		again, err := m.MarshalJSON()
		require.NoError(t, err)
		require.True(t, json.Valid(again), "%s", again)
	})
}

// FuzzParseReply parses any response of a backend, and seals it.
func FuzzParseReply(f *testing.F) {
	f.Add(`{"MsgType":"news","Articles":[{"Item":{"Title":"t"}}]}`)
	f.Add("<xml><MsgType>video</MsgType><Video><MediaId>m</MediaId></Video></xml>")
	f.Add("success")
	w := official()
	in := w.newReceiver(f)
	f.Fuzz(func(t *testing.T, body string) {
		reply, err := message.ParseReply([]byte(body))
		if err != nil {
			return
		}
		query, sent := w.send(hello)
		m, err := in.Open(query, sent)
		require.NoError(t, err)
		out, err := in.Seal(m, reply)
		if _, raw := reply.(message.Raw); err != nil || raw || string(out) == "success" {
			return
		}
		again, err := message.ParseReply([]byte(w.read(t, out)))
		require.NoError(t, err)
		require.IsType(t, reply, again)
	})
}

// check opens a callback; if it is accepted, it can be written as JSON and answered.
func check(t *testing.T, in *message.Receiver, query url.Values, body string) {
	m, err := in.Open(query, []byte(body))
	if err != nil {
		refused(t, err)
		return
	}
	text, err := m.MarshalJSON()
	require.NoError(t, err)
	require.True(t, json.Valid(text), "%s", text)
	_, err = in.Seal(m, message.TransferCustomerService{KfAccount: m.FromUserName})
	require.NoError(t, err)
	var fields struct{ MsgID, MsgType, Content string }
	require.NoError(t, m.Decode(&fields))
}

func refused(t *testing.T, err error) {
	var refusal message.Refusal
	if err != nil {
		require.ErrorAs(t, err, &refusal)
	}
}
