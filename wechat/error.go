package wechat

import (
	"fmt"
	"regexp"
	"strings"
)

// Error is WeChat's refusal of a call. It contains no secret and no token.
//
// Programs compare the code: errors.Is(err, wechat.ErrTokenExpired). The message is for people, and changes.
type Error struct {
	Op   string // method and path, such as "POST /cgi-bin/menu/create"
	Code Code   // errcode
	Msg  string // errmsg, without the request id
	RID  string // WeChat's request id, for its support and openapi/rid/get
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "wechat: %s: %d %s", e.Op, int(e.Code), e.Msg)
	if cure := e.cure(); cure != "" {
		b.WriteString(": " + cure)
	}
	if e.RID != "" {
		b.WriteString(" (rid " + e.RID + ")")
	}
	return b.String()
}

// Unwrap makes errors.Is(err, code) true for the refusal's code.
func (e *Error) Unwrap() error { return e.Code }

// cure returns the action that resolves the refusal, with the caller's IP address if WeChat names it.
func (e *Error) cure() string {
	switch e.Code {
	case ErrInvalidIP:
		if ip := addressPattern.FindStringSubmatch(e.Msg); ip != nil {
			return "add " + ip[1] + " to the IP whitelist of the app in WeChat's console"
		}
	case errWorkIP:
		if ip := addressPattern.FindStringSubmatch(e.Msg); ip != nil {
			return "add " + ip[1] + " to the application's trusted addresses in WeCom's console"
		}
	case ErrQuota:
		if strings.Contains(e.Msg, workHelp) {
			return "WeCom takes no more of these calls for a while: make fewer, see its limits of frequency (访问频率限制)"
		}
		if strings.HasSuffix(e.Op, " /cgi-bin/token") {
			return "get the token from stable_token, which has a quota of its own (token_mode: stable), or wait for midnight in China"
		}
	}
	return codes[e.Code].cure
}

// workHelp is the address in the errmsg of WeCom's refusals.
const workHelp = "open.work.weixin.qq.com/devtool/query"

var (
	addressPattern = regexp.MustCompile(`ip:? ([0-9a-fA-F.:]*[.:][0-9a-fA-F.:]+)`)
	ridPattern     = regexp.MustCompile(`,? *rid: *([0-9a-zA-Z-]+) *$`)
)

const maxMsg = 300 // bytes of errmsg that an error keeps

// newError returns the Error of an answer, without the secrets of the request.
func newError(op string, code int, msg string, secrets []string) *Error {
	e := &Error{Op: op, Code: Code(code)}
	msg = redactText(msg, secrets)
	if m := ridPattern.FindStringSubmatchIndex(msg); m != nil {
		e.RID, msg = msg[m[2]:m[3]], msg[:m[0]]
	}
	if len(msg) > maxMsg {
		msg = strings.ToValidUTF8(msg[:maxMsg], "") + "…"
	}
	e.Msg = strings.Map(blankControl, msg)
	return e
}

// blankControl replaces control characters by blanks, so that an errmsg fits on one line of a log.
func blankControl(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}
