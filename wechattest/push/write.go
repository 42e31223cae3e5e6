package push

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// field is a name and its value: a string, number, map or list.
type field struct {
	name  string
	value any
}

// document returns p as WeChat would write it, and sets the defaults of p.
func (c *Callback) document(p *Message) string {
	if p.InfoType != "" {
		return c.notice(p)
	}
	if p.From == "" {
		p.From = "oUser"
	}
	if p.MsgType == "" {
		p.MsgType = "text"
		if p.Event != "" {
			p.MsgType = "event"
		}
	}
	if p.Time.IsZero() {
		p.Time = time.Now()
	}
	if p.MsgID == 0 && p.MsgType != "event" {
		p.MsgID = 7_000_000_000_000_000_000 + rand.Int64N(2_000_000_000_000_000_000)
	}
	list := []field{
		{"ToUserName", c.account()}, {"FromUserName", p.From}, {"CreateTime", p.Time.Unix()}, {"MsgType", p.MsgType},
	}
	if p.MsgType == "text" {
		list = append(list, field{"Content", p.Content})
	}
	if p.Event != "" {
		list = append(list, field{"Event", p.Event}, field{"EventKey", p.EventKey})
	}
	for _, name := range slices.Sorted(maps.Keys(p.Fields)) {
		list = append(list, field{name, p.Fields[name]})
	}
	if p.MsgID != 0 {
		list = append(list, field{"MsgId", p.MsgID})
	}
	if c.Kind == Work {
		list = append(list, field{"AgentID", c.AgentID})
	}
	return c.write(list)
}

// notice returns the document of a notice, and sets its defaults.
func (c *Callback) notice(p *Message) string {
	if p.Time.IsZero() {
		p.Time = time.Now()
	}
	list := []field{{"AppId", c.AppID}, {"CreateTime", p.Time.Unix()}, {"InfoType", p.InfoType}}
	for _, name := range slices.Sorted(maps.Keys(p.Fields)) {
		list = append(list, field{name, p.Fields[name]})
	}
	return c.write(list)
}

func (c *Callback) write(list []field) string {
	var b strings.Builder
	if !c.JSON {
		b.WriteString("<xml>")
		for _, f := range list {
			writeXML(&b, f.name, f.value)
		}
		b.WriteString("</xml>")
		return b.String()
	}
	b.WriteByte('{')
	for i, f := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(jsonText(f.name) + ":" + jsonText(f.value))
	}
	b.WriteByte('}')
	return b.String()
}

// ending and member serve to add to a finished document.
func (c *Callback) ending() string {
	if c.JSON {
		return "}"
	}
	return "</xml>"
}

func (c *Callback) member(name, value string) string {
	if c.JSON {
		return "," + jsonText(name) + ":" + jsonText(value)
	}
	var b strings.Builder
	writeXML(&b, name, value)
	return b.String()
}

func writeXML(b *strings.Builder, name string, value any) {
	if list, ok := value.([]any); ok { // WeChat repeats the element
		for _, v := range list {
			writeXML(b, name, v)
		}
		return
	}
	b.WriteString("<" + name + ">")
	switch v := value.(type) {
	case map[string]any:
		for _, n := range slices.Sorted(maps.Keys(v)) {
			writeXML(b, n, v[n])
		}
	case string:
		b.WriteString("<![CDATA[" + strings.ReplaceAll(v, "]]>", "]]]]><![CDATA[>") + "]]>")
	case float64: // of JSON
		b.WriteString(strconv.FormatFloat(v, 'f', -1, 64))
	default:
		fmt.Fprint(b, v)
	}
	b.WriteString("</" + name + ">\n")
}

func jsonText(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}
