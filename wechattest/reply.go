package wechattest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// reply is the reply to a call.
type reply struct {
	status int // 0: 200, which WeChat answers to nearly everything
	header http.Header
	body   []byte
	cut    bool  // the connection breaks after body, before the end of the promised length
	err    error // cut: an error on the side of the caller
}

// fields is a JSON object in a reply.
type fields map[string]any

// ok replies with an object unchanged. Calls that return tokens have no errcode.
func (c *call) ok(v any) reply {
	kind := "application/json; encoding=utf-8"
	if c.route != nil && c.route.plain {
		kind = "text/plain"
	}
	rep := jsonReply(kind, v)
	rep.body = rawControls(rep.body)
	return rep
}

// rawControls replaces the escapes of control characters in strings by the characters, as WeChat writes those of nicknames.
// Line ends and tabs stay escaped.
func rawControls(b []byte) []byte {
	raw := b[:0]
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+5 < len(b) && bytes.HasPrefix(b[i:], []byte(`\u00`)) && b[i+4] < '2' {
			if c, err := strconv.ParseUint(string(b[i+4:i+6]), 16, 8); err == nil {
				raw = append(raw, byte(c))
				i += 5
				continue
			}
		}
		raw = append(raw, b[i])
		if b[i] == '\\' && i+1 < len(b) {
			i++
			raw = append(raw, b[i])
		}
	}
	return raw
}

// done replies with an object and errcode 0.
func (c *call) done(v fields) reply {
	if v == nil {
		v = fields{}
	}
	v["errcode"], v["errmsg"] = 0, "ok"
	return c.ok(v)
}

// refuse replies with an errcode and WeChat's text for it.
func (c *call) refuse(code int) reply {
	text := wording(code)
	if code == 40164 {
		text = ipNotListed(c.ip)
	}
	return c.refuseAs(code, text)
}

// refuseAs replies with an errcode and another text. WeChat adds something new to every errmsg, so that clients cannot
// compare it.
func (c *call) refuseAs(code int, text string) reply {
	return c.refuseWith(code, text, fields{})
}

// refuseWith replies with an errcode and further members, as some WeCom calls do.
func (c *call) refuseWith(code int, text string, body fields) reply {
	if c.on == workHost {
		text = strings.TrimSuffix(text, ",") // the trail begins with a comma
	}
	body["errcode"], body["errmsg"] = code, text+c.trail(code)
	return c.ok(body)
}

func (c *call) trail(code int) string {
	now := time.Now().Unix()
	if c.on == workHost {
		return fmt.Sprintf(", hint: [%d%015d], from ip: %s, more info at https://open.work.weixin.qq.com/devtool/query?e=%d",
			now, rand.Int64N(1e15), c.ip, code)
	}
	return fmt.Sprintf(" rid: %08x-%08x-%08x", uint32(now), rand.Uint32(), rand.Uint32())
}

func jsonReply(kind string, v any) reply {
	text := jsonText(v)
	if text == "" {
		return reply{status: http.StatusInternalServerError}
	}
	return reply{header: http.Header{"Content-Type": {kind}}, body: []byte(text)}
}

// jsonText returns v as JSON with <, > and & unescaped, or "" if v has no JSON.
func jsonText(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (rep reply) code() int {
	if rep.status < 200 || rep.status > 999 { // no final status
		return http.StatusOK
	}
	return rep.status
}

func (rep reply) write(w http.ResponseWriter) {
	promised := len(rep.body)
	if rep.cut {
		if promised == 0 {
			panic(http.ErrAbortHandler) // net/http's way to break the connection without an answer
		}
		promised++
	}
	for name, values := range rep.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(promised))
	w.WriteHeader(rep.code())
	if _, err := w.Write(rep.body); err != nil {
		return // the caller has gone
	}
	if rep.cut {
		if err := http.NewResponseController(w).Flush(); err == nil {
			panic(http.ErrAbortHandler)
		}
	}
}

func ipNotListed(ip string) string {
	six := ip
	if a, err := netip.ParseAddr(ip); err == nil {
		six = a.Unmap().String()
		if a.Unmap().Is4() {
			six = "::ffff:" + six
		}
	}
	return "invalid ip " + ip + " ipv6 " + six + ", not in whitelist"
}
