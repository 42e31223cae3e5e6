package message_test

import (
	"context"
	"crypto/rand"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/message"
)

func say(s string) message.HandlerFunc {
	return func(context.Context, *message.Message) (message.Reply, error) { return message.Text(s), nil }
}

// content returns the text of a reply, "" for success.
func content(body string) string {
	_, body, _ = strings.Cut(body, "<Content><![CDATA[")
	body, _, _ = strings.Cut(body, "]]>")
	return body
}

func TestFirstMatchInOrderIsUsed(t *testing.T) {
	w := official()
	w.key = ""
	in := w.newReceiver(t)
	in.Handle(message.OnText("hello", "hi"), say("exact"))
	in.Handle(message.OnKeyword("price", "价格"), say("keyword"))
	in.Handle(message.OnPattern(regexp.MustCompile(`^order (\d+)$`)), say("pattern"))
	in.Handle(message.OnEvent("CLICK", "menu_1", "menu_2"), say("menu"))
	in.Handle(message.OnEvent("click"), say("any menu"))
	in.Handle(message.OnEvent("subscribe"), say("welcome"))
	in.Handle(message.OnType("image", "voice"), say("media"))
	in.Handle(func(m *message.Message) bool { return m.InfoType != "" }, say("notice"))
	in.Handle(message.OnText("late"), say("late"))
	in.Handle(message.Any, say("fallback"))
	in.Handle(message.OnText("never"), say("never"))
	text := func(s string) string { return "<MsgType>text</MsgType><Content>" + s + "</Content>" }
	for doc, want := range map[string]string{
		text("hello"):       "exact",
		text("hi"):          "exact",
		text("hello price"): "keyword",
		text("多少价格？"):       "keyword",
		text("order 42"):    "pattern",
		text("order x"):     "fallback",
		text("late"):        "late",
		text("never"):       "fallback",
		text(""):            "fallback",
		"<MsgType>event</MsgType><Event>CLICK</Event><EventKey>menu_2</EventKey>": "menu",
		"<MsgType>event</MsgType><Event>click</Event><EventKey>menu_1</EventKey>": "menu",
		"<MsgType>event</MsgType><Event>CLICK</Event><EventKey>menu_3</EventKey>": "any menu",
		"<MsgType>event</MsgType><Event>subscribe</Event>":                        "welcome",
		"<MsgType>device_event</MsgType><Event>subscribe</Event>":                 "welcome",
		"<MsgType>device_text</MsgType><Event>subscribe</Event>":                  "fallback",
		"<MsgType>event</MsgType><Event>hello</Event><Content>hello</Content>":    "fallback",
		"<MsgType>voice</MsgType>":                                                "media",
		"<MsgType>image</MsgType><Content>hello</Content>":                        "media",
		"<InfoType>authorized</InfoType>":                                         "notice",
	} {
		w.nonce = rand.Text() // each message has another nonce
		rec := post(in, w.plain(), []byte("<xml>"+doc+"</xml>"))
		require.Equal(t, 200, rec.Code)
		require.Equal(t, want, content(rec.Body.String()), doc)
	}
}

func TestMessageWithoutAHandlerIsAcknowledged(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	in.Handle(message.OnText("other"), say("no"))
	query, body := w.send(hello)
	rec := post(in, query, body)
	require.Equal(t, 200, rec.Code)
	require.Equal(t, "success", rec.Body.String())
}

func TestHandlerErrorMakesWeChatSendAgain(t *testing.T) {
	for name, h := range map[string]message.HandlerFunc{
		"error": func(context.Context, *message.Message) (message.Reply, error) {
			return message.Text("x"), errors.New("db is down")
		},
		"panic":             func(context.Context, *message.Message) (message.Reply, error) { panic("oh") },
		"unsendable":        func(context.Context, *message.Message) (message.Reply, error) { return message.Image{}, nil },
		"nil handler":       nil,
		"nil in the answer": func(context.Context, *message.Message) (message.Reply, error) { return (*message.Image)(nil), nil },
	} {
		w := official()
		in, log := logged(t, w)
		in.Handle(message.Any, h)
		query, body := w.send(hello)
		rec := post(in, query, body)
		require.Equal(t, 500, rec.Code, name)
		require.JSONEq(t, `{"errcode":-1,"errmsg":"message: not answered"}`, rec.Body.String())
		require.Contains(t, log.String(), "level=ERROR", name)
		require.NotContains(t, log.String(), "hello", "the content is not logged")
	}
}

func TestHandlersRunConcurrently(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	in.Handle(message.Any, func(_ context.Context, m *message.Message) (message.Reply, error) {
		return message.Text(m.Content), nil
	})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			query, body := w.send(hello)
			for range 20 {
				rec := post(in, query, body)
				if rec.Code != 200 {
					t.Error(rec.Code)
				}
			}
		})
	}
	wg.Wait()
}

func TestHandlerGetsTheContextOfTheRequest(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	type key struct{}
	in.Handle(message.Any, func(ctx context.Context, m *message.Message) (message.Reply, error) {
		return message.Text(ctx.Value(key{}).(string)), nil
	})
	query, body := w.send(hello)
	rec := serve(in, "POST", query, string(body), func(ctx context.Context) context.Context {
		return context.WithValue(ctx, key{}, "here")
	})
	require.Equal(t, "here", content(w.read(t, rec.Body.Bytes())))
}
