package message

import (
	"context"
	"log/slog"
	"unicode/utf8"

	"github.com/wetoken/wetoken/internal/document"
)

// maxText is how many bytes of text WeChat and WeCom take as a reply. To a longer one the user reads that the service is
// down.
const maxText = 2048

// cut returns s up to the last character that ends within most bytes.
func cut(s string, most int) string {
	if len(s) <= most/utf8.UTFMax {
		return s
	}
	n := 0
	for i, r := range s {
		if n += utf8.RuneLen(r); n > most { // a broken byte is written as U+FFFD
			return s[:i]
		}
	}
	return s
}

// fit returns what WeChat can show of r as a reply to m, and warns of the rest. from says who has written it.
func fit(ctx context.Context, log *slog.Logger, m *Message, r Reply, from string) Reply {
	switch r := r.(type) {
	case Text:
		if m.robot() {
			break
		}
		short := Text(cut(document.Clean(string(r)), maxText))
		if len(short) < len(document.Clean(string(r))) {
			log.WarnContext(ctx, "message: a text reply is cut, as WeChat takes no more than 2048 bytes", "from", from, "message", m.String(), "bytes", len(r))
			return short
		}
	case News:
		if most := m.articles(); len(r) > most {
			log.WarnContext(ctx, "message: a news reply is cut, as WeChat shows no more articles", "from", from, "message", m.String(), "articles", len(r), "shown", most)
			return r[:most]
		}
	}
	return r
}
