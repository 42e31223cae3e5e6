package push

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// show reads a reply with status 200, and sets the text that the user sees.
func (c *Callback) show(out *Result, p Message, body string) {
	out.Fault = ""
	if p.InfoType != "" {
		if body != "success" {
			out.Fault = "the reply to a notice is not success"
		}
		return
	}
	body = strings.TrimSpace(body)
	if body == "" || body == "success" {
		return
	}
	doc, err := c.open(body)
	if err == nil {
		out.Reply = doc
		out.Type, out.Shown, err = c.validateReply(doc, p)
	}
	if err != nil {
		out.Type, out.Shown, out.Fault = "", Unavailable, err.Error()
		if errors.Is(err, errTooLong) {
			out.Shown = Faulty
		}
	}
}

const maxText = 2048 // bytes of a text

var errTooLong = errors.New("its Content is longer than 2048 bytes")

// cut shortens a text to at most n bytes, between characters.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// open returns a reply without its envelope.
func (c *Callback) open(body string) (string, error) {
	if c.mode() == "plain" {
		return body, nil
	}
	var e struct {
		XMLName      xml.Name    `xml:"xml" json:"-"`
		Encrypt      string      `json:"encrypt"` // encoding/json takes Encrypt for it too
		MsgSignature string      `json:"msgsignature"`
		TimeStamp    json.Number `json:"timestamp"`
		Nonce        string      `json:"nonce"`
	}
	unmarshal := xml.Unmarshal
	if c.JSON {
		unmarshal = json.Unmarshal
	}
	if err := unmarshal([]byte(body), &e); err != nil {
		return "", fmt.Errorf("the reply cannot be read: %w", err)
	}
	if e.Encrypt == "" {
		return "", errors.New("the reply is not encrypted")
	}
	if _, err := strconv.ParseInt(e.TimeStamp.String(), 10, 64); err != nil || e.Nonce == "" {
		return "", errors.New("the reply has no TimeStamp or no Nonce")
	}
	query := map[string][]string{"timestamp": {e.TimeStamp.String()}, "nonce": {e.Nonce}}
	if c.sign(query, e.Encrypt) != e.MsgSignature {
		return "", errors.New("the reply's MsgSignature is wrong")
	}
	return c.unseal(e.Encrypt)
}

// node is an element of a reply.
type node struct {
	XMLName xml.Name
	Text    string `xml:",chardata"`
	Nodes   []node `xml:",any"`
}

func (n *node) child(name string) *node {
	for i := range n.Nodes {
		if n.Nodes[i].XMLName.Local == name {
			return &n.Nodes[i]
		}
	}
	return nil
}

// at returns the text of an element below n, and whether it exists.
func (n *node) at(path ...string) (string, bool) {
	for _, name := range path {
		if n = n.child(name); n == nil {
			return "", false
		}
	}
	return n.Text, true
}

// validateReply returns the MsgType of a reply and the text that the user sees, or an error for an invalid reply.
func (c *Callback) validateReply(doc string, p Message) (msgType, shown string, err error) {
	var n node
	if c.JSON {
		if err := n.fromJSON(doc); err != nil {
			return "", "", err
		}
	} else if err := xml.Unmarshal([]byte(doc), &n); err != nil {
		return "", "", fmt.Errorf("the reply is not well-formed: %w", err)
	}
	if n.XMLName.Local != "xml" {
		return "", "", errors.New("the reply's root is not xml")
	}
	if to, _ := n.at("ToUserName"); to != p.From {
		return "", "", errors.New("its ToUserName is not the user")
	}
	if from, _ := n.at("FromUserName"); from != c.account() {
		return "", "", errors.New("its FromUserName is not the account")
	}
	if at, _ := n.at("CreateTime"); !isNumber(at) {
		return "", "", errors.New("its CreateTime is not a number")
	}
	msgType, _ = n.at("MsgType")
	if c.Kind == Mini && msgType != "transfer_customer_service" {
		return "", "", errors.New("a mini program can reply with transfer_customer_service only")
	}
	if c.Kind == Work && (msgType == "music" || msgType == "transfer_customer_service") {
		return "", "", fmt.Errorf("invalid MsgType %s: WeCom does not have it", msgType)
	}
	var needs [][]string
	switch msgType {
	case "text":
		needs = [][]string{{"Content"}}
		shown, _ = n.at("Content")
		if len(shown) > maxText && c.Kind != Work {
			return "", "", errTooLong
		}
		shown = cut(shown, maxText) // WeCom's rule
	case "image":
		needs = [][]string{{"Image", "MediaId"}}
	case "voice":
		needs = [][]string{{"Voice", "MediaId"}}
	case "video":
		needs = [][]string{{"Video", "MediaId"}}
	case "music":
		if n.child("Music") == nil {
			return "", "", errors.New("its Music is missing")
		}
		if id, ok := n.at("Music", "ThumbMediaId"); ok && id == "" {
			return "", "", errors.New("its ThumbMediaId is empty")
		}
	case "news":
		if shown, err = c.articles(&n, p); err != nil {
			return "", "", err
		}
	case "transfer_customer_service":
	default:
		return "", "", fmt.Errorf("invalid MsgType %q of a reply", msgType)
	}
	for _, path := range needs {
		if text, ok := n.at(path...); !ok || text == "" {
			return "", "", fmt.Errorf("%s is missing", strings.Join(path, "."))
		}
	}
	return msgType, shown, nil
}

// articles returns the titles that are shown: one in reply to a message, otherwise up to eight.
func (c *Callback) articles(n *node, p Message) (string, error) {
	list := n.child("Articles")
	count, _ := n.at("ArticleCount")
	if list == nil || count != strconv.Itoa(len(list.Nodes)) {
		return "", errors.New("its ArticleCount is not the number of Articles")
	}
	limit := 8
	if p.MsgType != "event" && c.Kind != Work {
		limit = 1
	}
	var titles []string
	for i := range list.Nodes {
		item := &list.Nodes[i]
		if item.XMLName.Local != "item" {
			return "", errors.New("its Articles has an element other than item")
		}
		if title, _ := item.at("Title"); len(titles) < limit {
			titles = append(titles, title)
		}
	}
	if len(titles) == 0 {
		return "", errors.New("its Articles is empty")
	}
	return strings.Join(titles, "\n"), nil
}

// fromJSON reads a JSON reply as if its members were elements.
func (n *node) fromJSON(doc string) error {
	dec := json.NewDecoder(strings.NewReader(doc))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return fmt.Errorf("the reply is not a JSON object: %w", err)
	}
	n.XMLName.Local = "xml"
	n.members(object)
	return nil
}

func (n *node) members(object map[string]any) {
	for name, value := range object {
		c := node{XMLName: xml.Name{Local: name}}
		switch v := value.(type) {
		case map[string]any:
			c.members(v)
		case []any:
			for _, entry := range v {
				item := node{XMLName: xml.Name{Local: "item"}}
				if o, ok := entry.(map[string]any); ok {
					item.members(o)
				}
				c.Nodes = append(c.Nodes, item)
			}
		default:
			c.Text = fmt.Sprint(v)
		}
		n.Nodes = append(n.Nodes, c)
	}
}

func isNumber(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}
