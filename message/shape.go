package message

import (
	"fmt"
	"strings"
)

// replyShape has the fields of replies with one MsgType.
type replyShape struct {
	path     []string // of the required field
	optional []string // fields of the first element, for news of each article; video and music need none of them
	example  string
}

var replyShapes = map[string]replyShape{
	"text":  {[]string{"Content"}, nil, `{"MsgType":"text","Content":"…"}`},
	"image": {[]string{"Image", "MediaId"}, nil, `{"MsgType":"image","Image":{"MediaId":"…"}}`},
	"voice": {[]string{"Voice", "MediaId"}, nil, `{"MsgType":"voice","Voice":{"MediaId":"…"}}`},
	"video": {[]string{"Video", "MediaId"}, []string{"Title", "Description"}, `{"MsgType":"video","Video":{"MediaId":"…"}}`},
	"music": {[]string{"Music"}, []string{"Title", "Description", "MusicUrl", "HQMusicUrl", "ThumbMediaId"}, `{"MsgType":"music","Music":{"Title":"…","MusicUrl":"…"}}`},
	"news":  {[]string{"Articles"}, []string{"Title", "Description", "PicUrl", "Url"}, `{"MsgType":"news","Articles":[{"Title":"…","Description":"…","PicUrl":"…","Url":"…"}]}`},
}

// checkShape returns an error if root lacks a field that a reply with this MsgType needs. The error names the field and
// has an example of a reply.
func checkShape(root *Element, msgType string) error {
	want, ok := replyShapes[msgType]
	if !ok {
		if _, near := replyShapes[strings.ToLower(msgType)]; near { // no event has such a reply
			return unknownReplyError(root)
		}
		return nil
	}
	at := root
	for i, name := range want.path {
		next := at.Child(name)
		if next == nil {
			return fmt.Errorf("%s is missing%s: want %s", strings.Join(want.path, "."), misspelledHint(at, name), want.example)
		}
		if i == len(want.path)-1 && i > 0 && next.Text == "" {
			return fmt.Errorf("%s is empty: want %s", strings.Join(want.path, "."), want.example)
		}
		at = next
	}
	switch msgType {
	case "video", "music":
		return want.checkElement(root.Child(want.path[0]))
	case "news":
		list := findArticles(root)
		if len(list) == 0 {
			return fmt.Errorf("%s has no article: want %s", "Articles", want.example)
		}
		for _, e := range list {
			if err := want.checkElement(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkElement returns an error for a field of e with a misspelled name, and for an element without any field.
func (want replyShape) checkElement(e *Element) error {
	complete := len(want.path) > 1
	for _, name := range want.optional {
		if e.Child(name) != nil {
			complete = true
		} else if hint := misspelledHint(e, name); hint != "" {
			return fmt.Errorf("%s.%s is missing%s: want %s", want.path[0], name, hint, want.example)
		}
	}
	if !complete {
		return fmt.Errorf("%s has none of %s: want %s", want.path[0], strings.Join(want.optional, ", "), want.example)
	}
	return nil
}

// unknownReplyError returns the error for a document that is not a reply.
func unknownReplyError(root *Element) error {
	if msgType := root.Get("MsgType"); msgType != "" {
		return fmt.Errorf("invalid MsgType %.40q: want text, image, voice, video, music, news or transfer_customer_service", msgType)
	}
	example := replyShapes["text"].example
	if c := root.findChild("MsgType"); c != nil {
		if want, ok := replyShapes[c.Text]; ok {
			example = want.example
		}
	}
	return fmt.Errorf("MsgType is missing%s: want %s", misspelledHint(root, "MsgType"), example)
}

// misspelledHint returns a hint at a key of e whose name differs only in letter case and underscores.
func misspelledHint(e *Element, name string) string {
	if c := e.findChild(name); c != nil && c.Name != name {
		return fmt.Sprintf(", found %.40s", c.Name)
	}
	return ""
}
