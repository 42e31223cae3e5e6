package paytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"regexp"
	"strings"
	"unicode/utf8"
)

// metaOf returns the part of an upload that is signed.
func metaOf(c *call) []byte {
	part, _ := c.part("meta")
	return part
}

// part returns the content of a part of a multipart body, and the name of its file.
func (c *call) part(name string) (content []byte, file string) {
	kind, params, err := mime.ParseMediaType(c.header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return nil, ""
	}
	for reader := multipart.NewReader(bytes.NewReader(c.body), params["boundary"]); ; {
		part, err := reader.NextRawPart()
		if err != nil {
			return nil, ""
		}
		if part.FormName() == name {
			content, err = io.ReadAll(part)
			if err != nil {
				return nil, ""
			}
			return content, part.FileName()
		}
	}
}

// decode reads the JSON body of a call.
func (c *call) decode(into any) (answer, bool) {
	for rest := c.body; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 || r > 0xffff {
			return refuse("PARAM_ERROR", "请求体中含有不支持的字符，请使用UTF-8编码的1到3字节字符"), false
		}
		rest = rest[size:]
	}
	err := json.Unmarshal(dropCapitals(c.body), into)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) && wrong.Field != "" {
		return paramError("/"+strings.ReplaceAll(wrong.Field, ".", "/"), wrong.Value, "type mismatch, want "+wrong.Type.String(), "输入源“/body/"+strings.ReplaceAll(wrong.Field, ".", "/")+"”映射到值字段类型不匹配"), false
	}
	if err != nil {
		return refuse("PARAM_ERROR", "请求体不是合法的JSON"), false
	}
	return answer{}, true
}

// capitals matches a name that encoding/json would take for one that is written in another case.
var capitals = regexp.MustCompile(`"[^"]*[A-Z\\][^"]*"\s*:`)

// dropCapitals returns body without the fields whose names have capitals, none of which WeChat knows.
func dropCapitals(body []byte) []byte {
	var v any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if !capitals.Match(body) || !json.Valid(body) || d.Decode(&v) != nil {
		return body
	}
	dropCapitalNames(v)
	return toJSON(v)
}

func dropCapitalNames(v any) {
	switch v := v.(type) {
	case map[string]any:
		maps.DeleteFunc(v, func(name string, _ any) bool { return name != strings.ToLower(name) })
		for _, inner := range v {
			dropCapitalNames(inner)
		}
	case []any:
		for _, inner := range v {
			dropCapitalNames(inner)
		}
	}
}

// secret decrypts a sensitive field.
func (c *call) secret(name, text string) (plain string, a answer, ok bool) {
	serial := c.header.Get("Wechatpay-Serial")
	if serial == "" {
		return "", refuse("PARAM_ERROR", "HTTP header缺少微信支付平台证书序列号(Wechatpay-Serial)"), false
	}
	key := c.from.fieldKey(serial, c.now)
	if key == nil {
		return "", refuse("PARAM_ERROR", "平台证书序列号Wechatpay-Serial错误"), false
	}
	plain, ok = openField(key.key, text)
	if !ok {
		return "", paramError("/"+name, "", "not encrypted for this key", "请确认待处理的消息是否为加密后的密文"), false
	}
	return plain, answer{}, true
}
