package wechat

import (
	"fmt"
	"regexp"
	"strings"
)

// Error is WeChat's refusal of one call. It holds no secret and no token.
//
// The code is for programs: errors.Is(err, wechat.ErrTokenExpired). The message is for people, and changes.
type Error struct {
	Op   string // method and path, such as "POST /cgi-bin/menu/create"
	Code Code   // errcode
	Msg  string // errmsg, without the request id
	RID  string // WeChat's request id, which its support and openapi/rid/get ask for
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "wechat: %s: %d %s", e.Op, int(e.Code), e.Msg)
	if cure := e.advice(); cure != "" {
		b.WriteString(": " + cure)
	}
	if e.RID != "" {
		b.WriteString(" (rid " + e.RID + ")")
	}
	return b.String()
}

// Unwrap makes errors.Is(err, code) true for the refusal's code.
func (e *Error) Unwrap() error { return e.Code }

// advice says what a person can do about the refusal, naming the caller's IP address where WeChat does.
func (e *Error) advice() string {
	switch e.Code {
	case ErrInvalidIP:
		if ip := addressIn.FindStringSubmatch(e.Msg); ip != nil {
			return "add " + ip[1] + " to the IP whitelist of the app in WeChat's console"
		}
	case ErrWorkIP:
		if ip := addressIn.FindStringSubmatch(e.Msg); ip != nil {
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

// workHelp is the address in the errmsg of each refusal of WeCom.
const workHelp = "open.work.weixin.qq.com/devtool/query"

var (
	addressIn = regexp.MustCompile(`ip:? ([0-9a-fA-F.:]*[.:][0-9a-fA-F.:]+)`)
	ridIn     = regexp.MustCompile(`,? *rid: *([0-9a-zA-Z-]+) *$`)
)

const maxMsg = 300 // bytes of errmsg that an error keeps

// refusal makes an Error of an answer, with each secret of the request blotted out of the text.
func refusal(op string, code int, msg string, secrets []string) *Error {
	e := &Error{Op: op, Code: Code(code)}
	msg = blot(msg, secrets)
	if m := ridIn.FindStringSubmatchIndex(msg); m != nil {
		e.RID, msg = msg[m[2]:m[3]], msg[:m[0]]
	}
	if len(msg) > maxMsg {
		msg = strings.ToValidUTF8(msg[:maxMsg], "") + "…"
	}
	e.Msg = strings.Map(printable, msg)
	return e
}

// printable keeps an errmsg on one line of a log.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}
