package message

import "fmt"

// ParseReply parses a reply that another program has written, as WeChat's XML or as JSON with the same names. Seal then
// writes it in the form and with the encryption of the message. ToUserName, FromUserName and CreateTime are ignored. An
// empty body and the word success are the nil Reply. In JSON the articles of News may be [{"Title":…}] or
// [{"Item":{"Title":…}}]. An unknown MsgType becomes Raw. The error names a missing key and has an example of a reply.
func ParseReply(body []byte) (Reply, error) {
	doc := trimDocument(string(body))
	if doc == "" || doc == "success" {
		return nil, nil
	}
	if len(doc) > maxBody {
		return nil, fmt.Errorf("message: parse reply: %w", ErrTooLarge)
	}
	var root Element
	if _, err := parseDocument(&doc, &root); err != nil {
		return nil, fmt.Errorf("message: parse reply: %w", err)
	}
	msgType := root.Get("MsgType")
	if err := checkShape(&root, msgType); err != nil {
		return nil, fmt.Errorf("message: parse reply: %w", err)
	}
	switch msgType {
	case "text":
		return Text(root.Get("Content")), nil
	case "image":
		return Image{MediaID: root.Get("Image", "MediaId")}, nil
	case "voice":
		return Voice{MediaID: root.Get("Voice", "MediaId")}, nil
	case "video":
		v := root.Child("Video")
		return Video{MediaID: v.Get("MediaId"), Title: v.Get("Title"), Description: v.Get("Description")}, nil
	case "music":
		u := root.Child("Music")
		return Music{Title: u.Get("Title"), Description: u.Get("Description"), MusicURL: u.Get("MusicUrl"),
			HQMusicURL: u.Get("HQMusicUrl"), ThumbMediaID: u.Get("ThumbMediaId")}, nil
	case "news":
		return parseNews(&root), nil
	case "transfer_customer_service":
		return TransferCustomerService{KfAccount: root.Get("TransInfo", "KfAccount")}, nil
	}
	return Raw(doc), nil
}

// findArticles returns the articles of a reply in any of their forms: items in one Articles, or an Articles for each,
// with or without an Item in it.
func findArticles(root *Element) (all []*Element) {
	for i := range root.Children {
		list := &root.Children[i]
		if list.Name != "Articles" {
			continue
		}
		items := 0
		for j := range list.Children {
			if item := &list.Children[j]; sameName(item.Name, "item") {
				all = append(all, item)
				items++
			}
		}
		if items == 0 && len(list.Children) > 0 {
			all = append(all, list)
		}
	}
	return all
}

func parseNews(root *Element) (n News) {
	for _, e := range findArticles(root) {
		n = append(n, parseArticle(e))
	}
	return n
}

func parseArticle(e *Element) Article {
	return Article{Title: e.Get("Title"), Description: e.Get("Description"), PicURL: e.Get("PicUrl"), URL: e.Get("Url")}
}
