package message

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"
)

// cause is the setting, or else the part of a callback, that is likely wrong when one is refused. It is for the log: the
// sender learns no more than the Refusal.
type cause int

const (
	causeToken cause = iota
	causeKey
	causeID
	causeClock
	causeMode
	causeBody
	causeBackend
	causeRepeat
	causes // how many there are
)

// causeNames say in the log where to look.
var causeNames = [causes]string{
	causeToken:   "Token: it differs from that of WeChat's console, or the sender is not WeChat",
	causeKey:     "EncodingAESKey (aes_key): it differs from that of WeChat's console",
	causeID:      "receive id: the message is for another app, or receive_ids lacks its id",
	causeClock:   "clock: ours or the sender's is wrong, or the callback is an old one",
	causeMode:    "Mode (mode): it differs from that of WeChat's console",
	causeBody:    "body",
	causeBackend: "call=",
	causeRepeat:  "signature of another message, sent again",
}

// Errors under ErrSeal. They decide about the cause.
var (
	errKey  = errors.New("wrong padding or length")
	errID   = errors.New("sealed for another id")
	errText = errors.New("the decrypted text cannot be read")
	errMode = errors.New("WeChat encrypts, but Config.Mode is plain")
)

// causeOf returns why Echo, Open or a later check refused a callback. There is none to tell of a request that carries no
// signature at all.
func causeOf(err error, query url.Values) (c cause, ok bool) {
	switch {
	case errors.Is(err, ErrSignature):
		return causeToken, query.Get("signature")+query.Get("msg_signature") != ""
	case errors.Is(err, ErrStale):
		c = causeClock
	case errors.Is(err, ErrPlaintext), errors.Is(err, errMode):
		c = causeMode
	case errors.Is(err, errID):
		c = causeID
	case errors.Is(err, errKey):
		c = causeKey
	case errors.Is(err, ErrBackend):
		c = causeBackend
	case errors.Is(err, ErrReplay):
		c = causeRepeat
	default:
		c = causeBody
	}
	return c, true
}

// complainEvery is how often one cause is logged.
const complainEvery = time.Minute

// complaints bounds what is logged of refused callbacks, as strangers cause it too.
type complaints struct {
	mu   sync.Mutex
	last [causes]time.Time
	more [causes]int
}

// due reports whether c is to be logged now, and how many times it was not since it was logged last.
func (p *complaints) due(c cause) (now bool, more int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := time.Now(); p.last[c].IsZero() || at.Sub(p.last[c]) >= complainEvery {
		more, p.last[c], p.more[c] = p.more[c], at, 0
		return true, more
	}
	p.more[c]++
	return false, 0
}

// complain logs why a callback was refused: each cause once a minute as a warning, and all at debug.
func (in *Receiver) complain(ctx context.Context, query url.Values, err error) {
	c, ok := causeOf(err, query)
	if ok {
		var more int
		if ok, more = in.complaints.due(c); ok {
			in.log.WarnContext(ctx, "message: callback refused", "cause", causeNames[c], "error", err, "repeats", more)
			return
		}
	}
	in.log.LogAttrs(ctx, slog.LevelDebug, "message: callback refused", slog.Any("error", err))
}

// tellID returns an id as the log may have it: what a forged message ends with can be a part of its text.
func tellID(id []byte) string {
	s := string(id)
	plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
	if plain && len(s) <= 32 && (s == "" || strings.HasPrefix(s, "w")) {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%d bytes that are no appid", len(s))
}
