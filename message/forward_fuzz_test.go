package message_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/wechattest/push"
)

// fixedResponse is a backend that always responds with the same body.
type fixedResponse string

func (a fixedResponse) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(string(a))), Request: r}, nil
}

// FuzzBackendResponse checks that WeChat gets a valid reply or success for any response of a backend.
func FuzzBackendResponse(f *testing.F) {
	for _, s := range []string{
		"", "success", "ok", replyJSON("hi"), replyJSON("]]>"), "<xml><MsgType>text</MsgType><Content>hi</Content></xml>",
		"<html></html>", "<xml></xml>", "{}", `{"MsgType":"news","Articles":[{"Item":{}},{"Title":"x"}]}`, `{"MsgType":"other"}`,
		"<xml><MsgType>other</MsgType></xml>", "<xml><Encrypt>x</Encrypt></xml>", `{"encrypt":"x"}`, "\ufeff<xml/>", "{\"MsgType\":\"text\",\"Content\":\"\x00\"}",
		`{"MsgType":"music"}`, `{"MsgType":"video","Video":{"MediaId":"m"}}`, `{"MsgType":"transfer_customer_service","TransInfo":{"KfAccount":"<"}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, sealed := range []bool{false, true} {
			in, _ := receiver(t, func(c *message.Config) {
				if !sealed {
					c.EncodingAESKey = ""
				}
				c.Forward.HTTP = &http.Client{Transport: fixedResponse(body)}
				c.Forward.Backends = []message.Backend{{URL: "http://a/", Answer: true}}
			})
			c := callback(in)
			if !sealed {
				c.EncodingAESKey = ""
			}
			c.Tries = 1
			p := deliver(t, c, push.Message{Content: "hi"})
			require.Empty(t, p.Fault, "%q", p.Reply)
		}
	})
}
