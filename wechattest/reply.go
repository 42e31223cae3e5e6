package wechattest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
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
	return jsonReply(kind, v)
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
	return c.ok(fields{"errcode": code, "errmsg": text + c.trail(code)})
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
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return reply{status: http.StatusInternalServerError}
	}
	return reply{header: http.Header{"Content-Type": {kind}}, body: bytes.TrimSuffix(b.Bytes(), []byte("\n"))}
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

// wording is WeChat's text for an errcode. Clients must go by the number.
func wording(code int) string {
	switch code {
	case -1:
		return "system error"
	case 40001:
		return "invalid credential, access_token is invalid or not latest"
	case 40002:
		return "invalid grant_type"
	case 40003:
		return "invalid openid"
	case 40004:
		return "invalid media type"
	case 40007:
		return "invalid media_id"
	case 40008:
		return "invalid message type"
	case 40013:
		return "invalid appid"
	case 40014:
		return "invalid access_token"
	case 40016:
		return "invalid button size"
	case 40037:
		return "invalid template_id"
	case 40056:
		return "invalid agentid"
	case 40066:
		return "invalid url"
	case 40097:
		return "invalid args"
	case 40125:
		return "invalid appsecret,"
	case 40169:
		return "invalid length for scene, or the data is not json string"
	case 40243:
		return "appsecret is frozen"
	case 41001:
		return "access_token missing"
	case 41002:
		return "appid missing"
	case 41004:
		return "appsecret missing"
	case 41005:
		return "media data missing"
	case 41009:
		return "missing openid"
	case 41030:
		return "invalid page"
	case 42001:
		return "access_token expired"
	case 43001:
		return "require GET method"
	case 43002:
		return "require POST method"
	case 44002:
		return "empty post data"
	case 44004:
		return "empty content"
	case 45001:
		return "media size out of limit"
	case 45002:
		return "content size out of limit"
	case 45008:
		return "article size out of limit"
	case 45009:
		return "reach max api daily quota limit"
	case 45011:
		return "api minute-quota reach limit  mustslower  retry next minute"
	case 46003:
		return "menu no exist"
	case 47001:
		return "data format error"
	case 48001:
		return "api unauthorized"
	case 48002:
		return "api forbidden"
	case 48006:
		return "forbid to clear quota because of reaching the limit"
	case 50003:
		return "app disabled"
	case 60020:
		return "not allow to access from your ip"
	case 61024:
		return "must use api(api_component_token) to get token for component acct"
	case 76021:
		return "cgi_path not found, please check"
	case 76022:
		return "could not use this cgi_path, no permission"
	case 81013:
		return "user & party & tag all invalid"
	}
	return "error"
}
