package message_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/message"
)

type vector struct {
	Name   string
	Inputs struct {
		Token, Timestamp, Nonce, Echostr, Encrypt string
		Key                                       string `json:"encoding_aes_key"`
		ReceiveID                                 string `json:"receive_id"`
		QuerySignature                            string `json:"query_signature"`
		RawQuery                                  string `json:"raw_query"`
	}
	Expected struct {
		Signature, Msg string
		ReplyBody      string `json:"reply_body"`
		MsgSignature   string `json:"msg_signature"`
		Random         string `json:"random16"`
	}
}

// readVector returns a test vector, from WeChat's documentation or another source, and the query of its request.
func readVector(t *testing.T, name string) (vector, url.Values) {
	data, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var file struct{ Vectors []vector }
	require.NoError(t, json.Unmarshal(data, &file))
	for _, v := range file.Vectors {
		if v.Name == name {
			q := url.Values{"timestamp": {v.Inputs.Timestamp}, "nonce": {v.Inputs.Nonce}}
			if v.Expected.MsgSignature != "" {
				q.Set("msg_signature", v.Expected.MsgSignature)
			} else {
				q.Set("signature", v.Expected.Signature)
			}
			return v, q
		}
	}
	require.Fail(t, "no such vector", name)
	return vector{}, nil
}

// newReceiver returns a Receiver for the vector's app that uses the vector's random bytes.
func (v vector) newReceiver(t *testing.T) *message.Receiver {
	in, err := message.New(message.Config{AppID: "wx0", Token: v.Inputs.Token, EncodingAESKey: v.Inputs.Key,
		ReceiveIDs: []string{v.Inputs.ReceiveID}, Rand: strings.NewReader(v.Expected.Random)})
	require.NoError(t, err)
	return in
}

// runAt runs f in a bubble whose clock begins at a timestamp.
func runAt(t *testing.T, timestamp string, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		n, err := strconv.ParseInt(timestamp, 10, 64)
		require.NoError(t, err)
		<-time.After(time.Until(time.Unix(n, 0))) // of the bubble: takes no time
		f(t)
	})
}

func TestDocumentedURLCheckIsAnswered(t *testing.T) {
	v, query := readVector(t, "cb-verify-official")
	query.Set("echostr", v.Inputs.Echostr)
	runAt(t, v.Inputs.Timestamp, func(t *testing.T) {
		echo, err := v.newReceiver(t).VerifyURL(query)
		require.NoError(t, err)
		require.Equal(t, v.Expected.ReplyBody, echo)
	})
}

func TestDocumentedPlainSignatureIsAccepted(t *testing.T) {
	v, query := readVector(t, "cb-plain-official")
	runAt(t, v.Inputs.Timestamp, func(t *testing.T) {
		m, err := v.newReceiver(t).Open(query, []byte("<xml><MsgType>text</MsgType></xml>"))
		require.NoError(t, err)
		require.Equal(t, "text", m.MsgType)
	})
}

func TestDocumentedSimpleSignatureIsValidButStale(t *testing.T) {
	v, query := readVector(t, "cb-simple")
	_, err := v.newReceiver(t).Open(query, []byte("<xml></xml>"))
	require.ErrorIs(t, err, message.ErrStale, "the time is checked after the signature")
	query.Set("signature", strings.Repeat("0", 40))
	_, err = v.newReceiver(t).Open(query, []byte("<xml></xml>"))
	require.ErrorIs(t, err, message.ErrSignature)
}

func TestDocumentedEncryptedJSONMessageIsOpened(t *testing.T) {
	v, query := readVector(t, "msg-official-push-json")
	query.Set("signature", v.Inputs.QuerySignature)
	body := fmt.Sprintf(`{"ToUserName":"gh_97417a04a28d","Encrypt":%q}`, v.Inputs.Encrypt)
	runAt(t, v.Inputs.Timestamp, func(t *testing.T) {
		m, err := v.newReceiver(t).Open(query, []byte(body))
		require.NoError(t, err)
		require.Equal(t, v.Expected.Msg, m.Raw)
		require.Equal(t, "gh_97417a04a28d", m.ToUserName)
		require.Equal(t, "debug_demo", m.Event)
		require.Equal(t, "hello world", m.Root.Get("debug_str"))
		require.Equal(t, v.Inputs.Timestamp, strconv.FormatInt(m.CreateTime.Unix(), 10))
	})
}

func TestDocumentedEncryptedReplyIsReproduced(t *testing.T) {
	v, _ := readVector(t, "msg-official-reply")
	w := wechat{id: v.Inputs.ReceiveID, token: v.Inputs.Token, key: v.Inputs.Key, nonce: v.Inputs.Nonce}
	runAt(t, v.Inputs.Timestamp, func(t *testing.T) {
		in := v.newReceiver(t)
		sealed := w.encrypt(w.frame(`{"MsgType":"event","Event":"debug_demo"}`))
		m, err := in.Open(w.sealed(sealed), fmt.Appendf(nil, `{"ToUserName":"gh_97417a04a28d","Encrypt":%q}`, sealed))
		require.NoError(t, err)
		body, err := in.Seal(m, message.Raw(v.Expected.Msg))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf(`{"Encrypt":%q,"MsgSignature":%q,"TimeStamp":%s,"Nonce":%q}`,
			v.Inputs.Encrypt, v.Expected.MsgSignature, v.Inputs.Timestamp, v.Inputs.Nonce), string(body))
	})
}

func TestWeComURLCheckIsDecrypted(t *testing.T) {
	v, _ := readVector(t, "msg-wecom-verifyurl")
	query, err := url.ParseQuery(v.Inputs.RawQuery)
	require.NoError(t, err)
	runAt(t, v.Inputs.Timestamp, func(t *testing.T) {
		echo, err := v.newReceiver(t).VerifyURL(query)
		require.NoError(t, err)
		require.Equal(t, v.Expected.Msg, echo)
	})
}

func TestWeComURLCheckMayHaveABlankForAPlus(t *testing.T) {
	v, _ := readVector(t, "msg-wecom-verifyurl")
	query, err := url.ParseQuery(strings.ReplaceAll(v.Inputs.RawQuery, "%2B", "+"))
	require.NoError(t, err)
	require.Contains(t, query.Get("echostr"), " ")
	runAt(t, v.Inputs.Timestamp, func(t *testing.T) {
		echo, err := v.newReceiver(t).VerifyURL(query)
		require.NoError(t, err)
		require.Equal(t, v.Expected.Msg, echo)
	})
}

func TestFullPaddingAndEmptyReceiverAreRead(t *testing.T) {
	v, query := readVector(t, "msg-own-pad32")
	query.Set("echostr", v.Inputs.Encrypt)
	runAt(t, v.Inputs.Timestamp, func(t *testing.T) {
		echo, err := v.newReceiver(t).VerifyURL(query)
		require.NoError(t, err)
		require.Equal(t, v.Expected.Msg, echo)
	})
}

func TestLengthCountsBytes(t *testing.T) {
	v, query := readVector(t, "msg-own-utf8")
	runAt(t, v.Inputs.Timestamp, func(t *testing.T) {
		in := v.newReceiver(t)
		m, err := in.Open(query, []byte("<xml><Encrypt><![CDATA["+v.Inputs.Encrypt+"]]></Encrypt></xml>"))
		require.NoError(t, err)
		require.Equal(t, "你好，世界", m.Content)
		body, err := in.Seal(m, message.Raw(v.Expected.Msg))
		require.NoError(t, err)
		require.Equal(t, "<xml><Encrypt><![CDATA["+v.Inputs.Encrypt+"]]></Encrypt><MsgSignature><![CDATA["+
			v.Expected.MsgSignature+"]]></MsgSignature><TimeStamp>"+v.Inputs.Timestamp+"</TimeStamp><Nonce><![CDATA["+
			v.Inputs.Nonce+"]]></Nonce></xml>", string(body))
	})
}
