package message

import (
	"context"
	"log/slog"
	"unicode/utf8"

	"github.com/wetoken/wetoken/internal/document"
)

// maxText is the most bytes of text in a reply. To a longer one WeChat and WeCom show that the service is down.
const maxText = 2048

// truncate returns the longest prefix of s that has at most limit bytes and ends with a character.
func truncate(s string, limit int) string {
	if len(s) <= limit/utf8.UTFMax {
		return s
	}
	n := 0
	for i, r := range s {
		if n += utf8.RuneLen(r); n > limit { // an invalid byte is written as U+FFFD
			return s[:i]
		}
	}
	return s
}

// cutReply returns the part of r that WeChat shows in reply to m, and logs a warning if that is not all. from is the
// author of r.
func cutReply(ctx context.Context, log *slog.Logger, m *Message, r Reply, from string) Reply {
	switch r := r.(type) {
	case Text:
		if m.isForRobot() {
			break
		}
		short := Text(truncate(document.Clean(string(r)), maxText))
		if len(short) < len(document.Clean(string(r))) {
			log.WarnContext(ctx, "message: text reply is cut: WeChat accepts 2048 bytes", "from", from, "message", m.String(), "bytes", len(r))
			return short
		}
	case News:
		if limit := m.maxArticles(); len(r) > limit {
			log.WarnContext(ctx, "message: news reply is cut: WeChat shows fewer articles", "from", from, "message", m.String(), "articles", len(r), "shown", limit)
			return r[:limit]
		}
	}
	return r
}
