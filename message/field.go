package message

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// namedField is a field of Message under the name that WeChat gives it.
type namedField struct {
	name string
	of   func(*Message) any // a pointer to it
}

// namedFields are in the order in which MarshalJSON writes them.
var namedFields = [...]namedField{
	{"ToUserName", func(m *Message) any { return &m.ToUserName }},
	{"FromUserName", func(m *Message) any { return &m.FromUserName }},
	{"CreateTime", func(m *Message) any { return &m.CreateTime }},
	{"MsgType", func(m *Message) any { return &m.MsgType }},
	{"MsgId", func(m *Message) any { return &m.MsgID }},
	{"Content", func(m *Message) any { return &m.Content }},
	{"MediaId", func(m *Message) any { return &m.MediaID }},
	{"PicUrl", func(m *Message) any { return &m.PicURL }},
	{"Format", func(m *Message) any { return &m.Format }},
	{"Recognition", func(m *Message) any { return &m.Recognition }},
	{"ThumbMediaId", func(m *Message) any { return &m.ThumbMediaID }},
	{"Location_X", func(m *Message) any { return &m.LocationX }},
	{"Location_Y", func(m *Message) any { return &m.LocationY }},
	{"Scale", func(m *Message) any { return &m.Scale }},
	{"Label", func(m *Message) any { return &m.Label }},
	{"Title", func(m *Message) any { return &m.Title }},
	{"Description", func(m *Message) any { return &m.Description }},
	{"Url", func(m *Message) any { return &m.URL }},
	{"Event", func(m *Message) any { return &m.Event }},
	{"EventKey", func(m *Message) any { return &m.EventKey }},
	{"Ticket", func(m *Message) any { return &m.Ticket }},
	{"Latitude", func(m *Message) any { return &m.Latitude }},
	{"Longitude", func(m *Message) any { return &m.Longitude }},
	{"Precision", func(m *Message) any { return &m.Precision }},
	{"MsgDataId", func(m *Message) any { return &m.MsgDataID }},
	{"Idx", func(m *Message) any { return &m.Idx }},
	{"AgentID", func(m *Message) any { return &m.AgentID }},
	{"bizmsgmenuid", func(m *Message) any { return &m.BizMsgMenuID }},
	{"MediaId16K", func(m *Message) any { return &m.MediaID16K }},
	{"AppId", func(m *Message) any { return &m.AppID }},
	{"PagePath", func(m *Message) any { return &m.PagePath }},
	{"ThumbUrl", func(m *Message) any { return &m.ThumbURL }},
	{"FileKey", func(m *Message) any { return &m.FileKey }},
	{"FileMd5", func(m *Message) any { return &m.FileMD5 }},
	{"FileTotalLen", func(m *Message) any { return &m.FileTotalLen }},
	{"MenuId", func(m *Message) any { return &m.MenuID }},
	{"InfoType", func(m *Message) any { return &m.InfoType }},
}

// fieldOf finds a field by its name. WeChat writes two of them in two ways.
var fieldOf = func() map[string]*namedField {
	m := make(map[string]*namedField, len(namedFields)+2)
	for i := range namedFields {
		m[namedFields[i].name] = &namedFields[i]
	}
	m["AgentId"], m["MenuID"] = m["AgentID"], m["MenuId"]
	return m
}()

// field returns a pointer to the field that keeps e, nil if only Root does. Some JSON of WeCom is in small letters
// throughout.
func (m *Message) field(e *Element) any {
	f := fieldOf[e.Name]
	for i := 0; f == nil && m.origin.small && i < len(namedFields); i++ {
		if strings.EqualFold(namedFields[i].name, e.Name) {
			f = &namedFields[i]
		}
	}
	if f == nil {
		return nil
	}
	return f.of(m)
}

// fill sets the typed fields from Root. A number that is none stays zero and is to be found in Root: WeChat has
// surprised before, and a message is worth more than one field of it.
func (m *Message) fill() {
	for i := len(m.Root.Children) - 1; i >= 0; i-- { // backwards, so that the first of a name stays
		c := &m.Root.Children[i]
		if to := m.field(c); to != nil && len(c.Children) == 0 {
			assign(to, c.Text)
		}
	}
	if m.CreateTime.IsZero() { // notices of WeCom suites
		assign(&m.CreateTime, m.Root.Get("TimeStamp"))
	}
}

// assign parses text into to, and reports whether it could.
func assign(to any, text string) bool {
	switch to := to.(type) {
	case *string:
		*to = text
		return true
	case *float64:
		f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return false
		}
		*to = f
		return true
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return false
	}
	switch to := to.(type) {
	case *int64:
		*to = n
	case *time.Time:
		*to = time.Unix(n, 0)
	}
	return true
}

// MarshalJSON writes m as one flat JSON object of WeChat's names, the form in which backends of wechat-proxy have
// been sent messages at /msg/json: CreateTime, MsgId and the coordinates are numbers, empty fields are left out, and
// fields that Message does not name follow as they came, lists as arrays. MsgIdStr is MsgId once more, as text: numbers
// above 2^53 lose their last digits in JavaScript and in other languages.
func (m *Message) MarshalJSON() ([]byte, error) {
	w := encoder{buf: make([]byte, 0, 512), json: true}
	w.root()
	for i := range namedFields {
		name := namedFields[i].name
		switch v := namedFields[i].of(m).(type) {
		case *string:
			if *v != "" || name == "ToUserName" || name == "FromUserName" || name == "MsgType" {
				w.text(name, *v)
			}
		case *int64:
			if *v != 0 {
				w.number(name, *v)
				if name == "MsgId" {
					w.text("MsgIdStr", strconv.FormatInt(*v, 10))
				}
			}
		case *float64:
			if *v != 0 {
				w.tag(name)
				w.buf = strconv.AppendFloat(w.buf, *v, 'f', -1, 64)
			}
		case *time.Time:
			w.number(name, unix(*v))
		}
	}
	w.elements(m.Root.Children, m.rest)
	w.endRoot()
	return w.buf, nil
}

// rest reports whether MarshalJSON must write e because the typed fields did not.
func (m *Message) rest(e *Element) bool {
	if e.Name == "MsgIdStr" && m.MsgID != 0 {
		return false
	}
	if e.empty {
		return m.field(e) == nil
	}
	if e.Text == "" && len(e.Children) == 0 {
		return false
	}
	to := m.field(e)
	if to == nil || len(e.Children) > 0 {
		return true
	}
	n, ok := to.(*int64)
	return ok && *n == 0 && strings.TrimSpace(e.Text) != "0"
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
