package message

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// namedField is a field of Message with its name in WeChat's documents.
type namedField struct {
	name    string
	pointer func(*Message) any // to the field
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

// fieldByName has the fields by name. WeChat uses two spellings for two of them.
var fieldByName = func() map[string]*namedField {
	m := make(map[string]*namedField, len(namedFields)+2)
	for i := range namedFields {
		m[namedFields[i].name] = &namedFields[i]
	}
	m["AgentId"], m["MenuID"] = m["AgentID"], m["MenuId"]
	return m
}()

// fieldFor returns a pointer to the field for e, nil if only Root has it. Some JSON of WeCom has lower case names.
func (m *Message) fieldFor(e *Element) any {
	f := fieldByName[e.Name]
	for i := 0; f == nil && m.origin.lowerCase && i < len(namedFields); i++ {
		if strings.EqualFold(namedFields[i].name, e.Name) {
			f = &namedFields[i]
		}
	}
	if f == nil {
		return nil
	}
	return f.pointer(m)
}

// setFields sets the fields from Root. A field with an invalid number stays zero, and the text is in Root: a message is
// not refused because of one field.
func (m *Message) setFields() {
	for i := len(m.Root.Children) - 1; i >= 0; i-- { // backwards, so that the first element with a name is used
		c := &m.Root.Children[i]
		if to := m.fieldFor(c); to != nil && len(c.Children) == 0 {
			parseInto(to, c.Text)
		}
	}
	if m.CreateTime.IsZero() { // a notice of a WeCom suite
		parseInto(&m.CreateTime, m.Root.Get("TimeStamp"))
	}
}

// parseInto parses text into to, and reports whether the text is valid.
func parseInto(to any, text string) bool {
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

// MarshalJSON writes m as one flat JSON object with WeChat's names, in the format that wechat-proxy posts to /msg/json:
// CreateTime, MsgId and the coordinates are numbers, empty fields are omitted, and the fields that Message does not
// have follow as in Root, lists as arrays. MsgIdStr is MsgId as text, as JavaScript and other languages round numbers
// above 2^53.
func (m *Message) MarshalJSON() ([]byte, error) {
	w := encoder{buf: make([]byte, 0, 512), json: true}
	w.openRoot()
	for i := range namedFields {
		name := namedFields[i].name
		switch v := namedFields[i].pointer(m).(type) {
		case *string:
			if *v != "" || name == "ToUserName" || name == "FromUserName" || name == "MsgType" {
				w.writeText(name, *v)
			}
		case *int64:
			if *v != 0 {
				w.writeNumber(name, *v)
				if name == "MsgId" {
					w.writeText("MsgIdStr", strconv.FormatInt(*v, 10))
				}
			}
		case *float64:
			if *v != 0 {
				w.openTag(name)
				w.buf = strconv.AppendFloat(w.buf, *v, 'f', -1, 64)
			}
		case *time.Time:
			w.writeNumber(name, unixSeconds(*v))
		}
	}
	w.writeElements(m.Root.Children, m.isUnwritten)
	w.closeRoot()
	return w.buf, nil
}

// isUnwritten reports whether MarshalJSON has to write e, as no field of Message has its value.
func (m *Message) isUnwritten(e *Element) bool {
	if e.Name == "MsgIdStr" && m.MsgID != 0 {
		return false
	}
	if e.emptyArray {
		return m.fieldFor(e) == nil
	}
	if e.Text == "" && len(e.Children) == 0 && !e.inArray { // an empty item of a list keeps its place
		return false
	}
	to := m.fieldFor(e)
	if to == nil || len(e.Children) > 0 {
		return true
	}
	n, ok := to.(*int64)
	return ok && *n == 0 && strings.TrimSpace(e.Text) != "0"
}

func unixSeconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
