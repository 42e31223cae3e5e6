package paytest

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// acceptable reports whether Accept has JSON, alone or in a list, and User-Agent is set.
func (c *call) acceptable() bool {
	if c.header.Get("User-Agent") == "" {
		return false
	}
	for _, accept := range c.header.Values("Accept") {
		for kind := range strings.SplitSeq(accept, ",") {
			kind, _, _ = strings.Cut(kind, ";")
			switch strings.ToLower(strings.TrimSpace(kind)) {
			case "application/json", "application/*", "*/*":
				return true
			default:
				if c.route.bare && strings.TrimSpace(kind) != "" {
					return true
				}
			}
		}
	}
	return false
}

const scheme = "WECHATPAY2-SHA256-RSA2048"

var authorizationPair = regexp.MustCompile(`^([a-z_]+)="([^"]*)"$`)

// credentials returns the values of an Authorization header.
func credentials(header string) (values map[string]string, ok bool) {
	values = make(map[string]string)
	for pair := range strings.SplitSeq(header, ",") {
		m := authorizationPair.FindStringSubmatch(pair)
		if m == nil {
			return nil, false
		}
		if _, twice := values[m[1]]; twice {
			return nil, false
		}
		values[m[1]] = m[2]
	}
	for _, name := range []string{"mchid", "nonce_str", "timestamp", "serial_no", "signature"} {
		if values[name] == "" {
			return nil, false
		}
	}
	return values, len(values["nonce_str"]) <= 32
}

// authorize checks the signature of a call over the bytes as they were sent.
func (s *Server) authorize(c *call) (answer, bool) {
	malformed := "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》"
	if c.ofOrders() {
		malformed = "签名信息错误，验签失败"
	}
	header := c.header.Values("Authorization")
	if len(header) != 1 {
		return refuse("SIGN_ERROR", malformed), false
	}
	kind, rest, _ := strings.Cut(header[0], " ")
	if kind != scheme {
		return refuse("SIGN_ERROR", "HTTP头Authorization认证类型不正确"), false
	}
	values, ok := credentials(rest)
	if !ok {
		return refuse("SIGN_ERROR", malformed), false
	}
	stamp, err := strconv.ParseInt(values["timestamp"], 10, 64)
	if err != nil {
		return refuse("SIGN_ERROR", malformed), false
	}
	if d := c.now.Sub(time.Unix(stamp, 0)); d > 5*time.Minute || d < -5*time.Minute {
		return refuse("SIGN_ERROR", "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"), false
	}

	s.mu.Lock()
	from := s.accounts[values["mchid"]]
	s.mu.Unlock()
	switch {
	case from == nil || from.key == nil || !strings.EqualFold(from.serialNo, values["serial_no"]):
		return refuse("SIGN_ERROR", "商户证书序列号有误。请使用签名私钥匹配的证书序列号"), false
	case c.now.After(from.expires):
		return refuse("SIGN_ERROR", "商户证书已过期"), false
	}
	message := c.message(values["timestamp"], values["nonce_str"])
	if !verifies(&from.key.PublicKey, message, values["signature"]) {
		return c.signError(message), false
	}
	c.from = from
	return answer{}, true
}

func (c *call) message(stamp, nonce string) []byte {
	b := make([]byte, 0, len(c.method)+len(c.uri)+len(stamp)+len(nonce)+len(c.signed)+5)
	for _, line := range []string{c.method, c.uri, stamp, nonce} {
		b = append(append(b, line...), '\n')
	}
	return append(append(b, c.signed...), '\n')
}

// signError returns the refusal of a well-formed signature that is not of the message. It has the message to be signed.
func (c *call) signError(message []byte) answer {
	shown := message[:len(message)-1]
	if over := len(c.signed) - 8; over > 0 {
		shown = shown[:len(shown)-over]
	}
	return refuseWith("SIGN_ERROR", "签名错误，请检查后再试", fields{
		"field":    "signature",
		"location": "authorization",
		"detail":   fields{"issue": "sign not match"},
		"sign_information": fields{
			"method":                 c.method,
			"url":                    c.uri,
			"truncated_sign_message": strings.ToValidUTF8(string(shown), "") + "\n",
			"sign_message_length":    len(message),
		},
	})
}

// ownMchID checks that a call names the merchant that signed it.
func (c *call) ownMchID() (answer, bool) {
	for _, name := range []string{"mchid", "sp_mchid"} {
		if v := c.query.Get(name); v != "" && v != c.from.id {
			return refuse("PARAM_ERROR", "http header中的mchid与url中的mchid不匹配"), false
		}
	}
	if c.route.upload || len(c.body) == 0 {
		return answer{}, true
	}
	var in map[string]json.RawMessage
	if json.Unmarshal(c.body, &in) != nil {
		return answer{}, true // refused where it is read
	}
	for _, name := range []string{"mchid", "sp_mchid", "combine_mchid"} {
		var v string
		if in[name] != nil && json.Unmarshal(in[name], &v) == nil && v != "" && v != c.from.id {
			return refuse("PARAM_ERROR", "http header中的mchid与post payload中的mchid不匹配"), false
		}
	}
	return answer{}, true
}
