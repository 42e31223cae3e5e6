package message

import (
	"fmt"
	"strings"
)

// expected is the least that a reply of some MsgType has.
type expected struct {
	path []string // to the field it must have
	json string
}

var replies = map[string]expected{
	"text":  {[]string{"Content"}, `{"MsgType":"text","Content":"…"}`},
	"image": {[]string{"Image", "MediaId"}, `{"MsgType":"image","Image":{"MediaId":"…"}}`},
	"voice": {[]string{"Voice", "MediaId"}, `{"MsgType":"voice","Voice":{"MediaId":"…"}}`},
	"video": {[]string{"Video", "MediaId"}, `{"MsgType":"video","Video":{"MediaId":"…"}}`},
	"music": {[]string{"Music"}, `{"MsgType":"music","Music":{"Title":"…","MusicUrl":"…"}}`},
	"news":  {[]string{"Articles"}, `{"MsgType":"news","Articles":[{"Title":"…","Description":"…","PicUrl":"…","Url":"…"}]}`},
}

// complete returns nil if root has what a reply of this MsgType needs, or an error that names the key and shows a whole
// reply, in the words of the program that wrote it.
func complete(root *Element, msgType string) error {
	want, ok := replies[msgType]
	if !ok {
		return nil
	}
	at := root
	for i, name := range want.path {
		next := at.Child(name)
		if next == nil {
			return fmt.Errorf("%s is missing%s: want %s", strings.Join(want.path, "."), misnamed(at, name), want.json)
		}
		if i == len(want.path)-1 && i > 0 && next.Text == "" {
			return fmt.Errorf("%s is empty: want %s", strings.Join(want.path, "."), want.json)
		}
		at = next
	}
	if msgType == "news" && len(parseNews(root)) == 0 {
		return fmt.Errorf("Articles has no article: want %s", want.json)
	}
	return nil
}

// unlike explains why a document is not a reply to a message at all.
func unlike(root *Element) error {
	if msgType := root.Get("MsgType"); msgType != "" {
		return fmt.Errorf("there is no reply with MsgType %.40q: want text, image, voice, video, music, news or transfer_customer_service", msgType)
	}
	example := replies["text"].json
	if c := root.find("MsgType"); c != nil {
		if want, ok := replies[c.Text]; ok {
			example = want.json
		}
	}
	return fmt.Errorf("MsgType is missing%s: want %s", misnamed(root, "MsgType"), example)
}

// misnamed names the key of e that was likely meant to be name.
func misnamed(e *Element, name string) string {
	if c := e.find(name); c != nil && c.Name != name {
		return fmt.Sprintf(", there is %.40s", c.Name)
	}
	return ""
}
