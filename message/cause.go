package message

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// cause is the setting, or the part of a callback, that is probably wrong when a callback is refused. It is only for
// the log: the sender learns the Refusal alone.
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
	causeCount
)

// causeTexts describe causes in the log.
var causeTexts = [causeCount]string{
	causeToken:   "Token: differs from the one in WeChat's console, or the sender is not WeChat",
	causeKey:     "EncodingAESKey (aes_key): differs from the one in WeChat's console",
	causeID:      "receive id: the message is for another app, or its id is not in receive_ids",
	causeClock:   "clock: this machine's or the sender's is wrong, or the callback is old",
	causeMode:    "Mode (mode): differs from the one in WeChat's console",
	causeBody:    "body",
	causeBackend: "call=",
	causeRepeat:  "signature was used with another body",
}

// These errors are wrapped together with ErrSeal, and determine the cause.
var (
	errKey  = errors.New("wrong padding or length")
	errID   = errors.New("encrypted for another id")
	errText = errors.New("invalid decrypted text")
	errMode = errors.New("message is encrypted, but Config.Mode is plain")
)

// causeOf returns the cause of an error of VerifyURL, Open or a later check. ok is false for a request without a
// signature.
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

// logRefusal logs a refused callback: each cause once a minute as a warning, all others at debug.
func (in *Receiver) logRefusal(ctx context.Context, query url.Values, err error) {
	c, ok := causeOf(err, query)
	if ok {
		var more int
		if ok, more = in.logLimit.Allow(c); ok {
			in.log.WarnContext(ctx, "message: callback refused", "cause", causeTexts[c], "error", err, "repeats", more)
			return
		}
	}
	in.log.LogAttrs(ctx, slog.LevelDebug, "message: callback refused", slog.Any("error", err))
}

// printableID returns an id for the log. The end of a forged message can be a part of its text, which must not be
// logged.
func printableID(id []byte) string {
	s := string(id)
	plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
	if plain && len(s) <= 32 && (s == "" || strings.HasPrefix(s, "w")) {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%d bytes that are not an appid", len(s))
}
