package message

import (
	"fmt"
	"strings"
)

// expected is what a reply of some MsgType has.
type expected struct {
	path  []string // to the field it must have
	about []string // fields of the same element that may be left out; of news those of an article, which has one at least
	json  string
}

var replies = map[string]expected{
	"text":  {[]string{"Content"}, nil, `{"MsgType":"text","Content":"…"}`},
	"image": {[]string{"Image", "MediaId"}, nil, `{"MsgType":"image","Image":{"MediaId":"…"}}`},
	"voice": {[]string{"Voice", "MediaId"}, nil, `{"MsgType":"voice","Voice":{"MediaId":"…"}}`},
	"video": {[]string{"Video", "MediaId"}, []string{"Title", "Description"}, `{"MsgType":"video","Video":{"MediaId":"…"}}`},
	"music": {[]string{"Music"}, []string{"Title", "Description", "MusicUrl", "HQMusicUrl", "ThumbMediaId"}, `{"MsgType":"music","Music":{"Title":"…","MusicUrl":"…"}}`},
	"news":  {[]string{"Articles"}, []string{"Title", "Description", "PicUrl", "Url"}, `{"MsgType":"news","Articles":[{"Title":"…","Description":"…","PicUrl":"…","Url":"…"}]}`},
}

// complete returns nil if root has what a reply of this MsgType needs, or an error that names the key and shows a whole
// reply, in the words of the program that wrote it.
func complete(root *Element, msgType string) error {
	want, ok := replies[msgType]
	if !ok {
		if _, near := replies[strings.ToLower(msgType)]; near { // which is no event's own kind of reply
			return unlike(root)
		}
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
	switch msgType {
	case "video", "music":
		return want.check(root.Child(want.path[0]))
	case "news":
		list := articles(root)
		if len(list) == 0 {
			return fmt.Errorf("%s has no article: want %s", "Articles", want.json)
		}
		for _, e := range list {
			if err := want.check(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// check returns an error that names a field of e which would be lost, as its name is nearly that of one in about, and one
// where e has nothing that is to be shown.
func (want expected) check(e *Element) error {
	shown := len(want.path) > 1
	for _, name := range want.about {
		if e.Child(name) != nil {
			shown = true
		} else if odd := misnamed(e, name); odd != "" {
			return fmt.Errorf("%s.%s is missing%s: want %s", want.path[0], name, odd, want.json)
		}
	}
	if !shown {
		return fmt.Errorf("%s has none of %s: want %s", want.path[0], strings.Join(want.about, ", "), want.json)
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
