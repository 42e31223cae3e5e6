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

// reply is what goes back to the caller.
type reply struct {
	status int // 0: 200, which WeChat answers to nearly everything
	header http.Header
	body   []byte
	cut    bool  // the connection breaks after body, before the caller has all it was promised
	err    error // cut: what the caller's own side is to blame for
}

// fields is a JSON object to answer.
type fields map[string]any

// ok answers an object as it is. Token-style calls carry no errcode.
func (c *call) ok(v any) reply {
	kind := "application/json; encoding=utf-8"
	if c.route != nil && c.route.plain {
		kind = "text/plain"
	}
	rep := jsonReply(kind, v)
	rep.body = rawControls(rep.body)
	return rep
}

// rawControls puts control characters into strings as they are, in place of their escapes, as WeChat leaves those of
// nicknames. Line ends and tabs stay escaped.
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

// done answers an object the way of calls that act: with errcode 0.
func (c *call) done(v fields) reply {
	if v == nil {
		v = fields{}
	}
	v["errcode"], v["errmsg"] = 0, "ok"
	return c.ok(v)
}

// refuse answers an errcode with WeChat's wording of it.
func (c *call) refuse(code int) reply {
	text := wording(code)
	if code == 40164 {
		text = notListed(c.ip)
	}
	return c.refuseAs(code, text)
}

// refuseAs answers an errcode with wording of one's own, to which WeChat adds something fresh every time: nobody can
// compare an errmsg for equality.
func (c *call) refuseAs(code int, text string) reply {
	return c.refuseWith(code, text, fields{})
}

// refuseWith answers an errcode with further members, as some of WeCom's calls do.
func (c *call) refuseWith(code int, text string, body fields) reply {
	if c.on == workHost {
		text = strings.TrimSuffix(text, ",") // the trail begins with one
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

// jsonText is v as JSON with <, > and & as they are; "" if v has no JSON.
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

func notListed(ip string) string {
	six := ip
	if a, err := netip.ParseAddr(ip); err == nil {
		six = a.Unmap().String()
		if a.Unmap().Is4() {
			six = "::ffff:" + six
		}
	}
	return "invalid ip " + ip + " ipv6 " + six + ", not in whitelist"
}
