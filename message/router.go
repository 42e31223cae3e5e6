package message

import (
	"context"
	"regexp"
	"slices"
	"strings"
)

// Match reports whether a handler is for a message. OnText and the functions below return the usual ones.
type Match func(*Message) bool

// HandlerFunc replies to a message. A nil Reply shows the user nothing.
//
// WeChat waits five seconds for a response and sends a message three times. The handler runs once, even if several
// processes receive the message, and the request that is open when the reply is ready responds with it. ctx ends after
// 15 seconds. The handler runs again on WeChat's next request only after an error, a panic, the death of its process,
// or if no backend accepted a message without a reply (see Backend). A handler that acts on a message must recognize a
// repeat by MsgID, or an event by its content.
type HandlerFunc func(ctx context.Context, m *Message) (Reply, error)

type route struct {
	match  Match
	handle HandlerFunc
}

// Handle sets h as the handler of messages that match. The first matching handler, in the order of the calls, is used.
// A message that none matches is acknowledged without a reply. Call Handle before the Receiver serves.
func (in *Receiver) Handle(match Match, h HandlerFunc) {
	in.routes = append(in.routes, route{match, h})
}

// Any matches every message. Set it last, for messages that no other handler matches.
func Any(*Message) bool { return true }

// OnText matches a text message whose content is one of texts.
func OnText(texts ...string) Match {
	return func(m *Message) bool { return m.MsgType == "text" && slices.Contains(texts, m.Content) }
}

// OnKeyword matches a text message that contains one of words (关键词).
func OnKeyword(words ...string) Match {
	return func(m *Message) bool {
		return m.MsgType == "text" && slices.ContainsFunc(words, func(w string) bool { return strings.Contains(m.Content, w) })
	}
}

// OnPattern matches a text message that re matches.
func OnPattern(re *regexp.Regexp) Match {
	return func(m *Message) bool { return m.MsgType == "text" && re.MatchString(m.Content) }
}

// OnType matches messages with one of msgTypes, such as text, image or event.
func OnType(msgTypes ...string) Match {
	return func(m *Message) bool { return slices.Contains(msgTypes, m.MsgType) }
}

// OnEvent matches an event, in any letter case, as CLICK of WeChat is click in WeCom, whose EventKey is one of keys.
// Without keys it matches any EventKey. Device events, with MsgType device_event, are events too.
func OnEvent(event string, keys ...string) Match {
	return func(m *Message) bool {
		return m.isEvent() && strings.EqualFold(m.Event, event) &&
			(len(keys) == 0 || slices.Contains(keys, m.EventKey))
	}
}

// All matches a message that all matches match. Without matches it matches every message.
func All(matches ...Match) Match {
	return func(m *Message) bool {
		return !slices.ContainsFunc(matches, func(match Match) bool { return !match(m) })
	}
}

// dispatch calls the handler for m.
func (in *Receiver) dispatch(ctx context.Context, m *Message) (Reply, error) {
	for _, route := range in.routes {
		if route.match(m) {
			return route.handle(ctx, m)
		}
	}
	return nil, nil
}
