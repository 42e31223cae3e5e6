package message

import (
	"context"
	"regexp"
	"slices"
	"strings"
)

// Match reports whether a handler is for a message. Any function will do; OnText and its fellows are the usual ones.
type Match func(*Message) bool

// HandlerFunc answers a message. A nil Reply shows the user nothing.
//
// WeChat waits five seconds for an answer and asks three times. The handler runs once, however often and of however many
// processes WeChat asks, and its reply goes to whoever asks when it is ready: ctx ends after 15 seconds.
// Only after an error, a panic, the death of its process, or when no backend took what it had no reply to (see Backend),
// is the message taken as not received, and the handler run again by WeChat's next request. A handler that had acted on
// the message before must know it by MsgID, or an event by what it is about.
type HandlerFunc func(ctx context.Context, m *Message) (Reply, error)

type route struct {
	match  Match
	handle HandlerFunc
}

// Handle has h answer the messages that match. The first Match that fits, in the order of the calls, decides; a
// message that none fits is received and answered with nothing. Call Handle before the Receiver serves.
func (in *Receiver) Handle(match Match, h HandlerFunc) {
	in.routes = append(in.routes, route{match, h})
}

// Any matches every message. Set last, its handler is for those that no other wants.
func Any(*Message) bool { return true }

// OnText matches a text message whose content is one of texts.
func OnText(texts ...string) Match {
	return func(m *Message) bool { return m.MsgType == "text" && slices.Contains(texts, m.Content) }
}

// OnKeyword matches a text message that has one of words in it (关键词).
func OnKeyword(words ...string) Match {
	return func(m *Message) bool {
		return m.MsgType == "text" && slices.ContainsFunc(words, func(w string) bool { return strings.Contains(m.Content, w) })
	}
}

// OnPattern matches a text message that re matches.
func OnPattern(re *regexp.Regexp) Match {
	return func(m *Message) bool { return m.MsgType == "text" && re.MatchString(m.Content) }
}

// OnType matches messages of one of those MsgTypes, such as text, image or event.
func OnType(msgTypes ...string) Match {
	return func(m *Message) bool { return slices.Contains(msgTypes, m.MsgType) }
}

// OnEvent matches an event, in any letter case since WeChat's CLICK is WeCom's click, with one of keys as its
// EventKey, or with any EventKey when no keys are given. Those of devices, whose MsgType is device_event, are events too.
func OnEvent(event string, keys ...string) Match {
	return func(m *Message) bool {
		return m.isEvent() && strings.EqualFold(m.Event, event) &&
			(len(keys) == 0 || slices.Contains(keys, m.EventKey))
	}
}

// All matches what all of matches match, which is everything if there are none.
func All(matches ...Match) Match {
	return func(m *Message) bool {
		return !slices.ContainsFunc(matches, func(match Match) bool { return !match(m) })
	}
}

// dispatch runs the handler for m.
func (in *Receiver) dispatch(ctx context.Context, m *Message) (Reply, error) {
	for _, route := range in.routes {
		if route.match(m) {
			return route.handle(ctx, m)
		}
	}
	return nil, nil
}
