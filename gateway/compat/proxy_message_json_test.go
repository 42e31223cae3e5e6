package compat_test

import (
	"cmp"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/push"
)

func TestMessagesAndEventsAreJSONFieldByField(t *testing.T) {
	b := newBackend(t, nil)
	w := newProxyWorld(t, []string{b.host})
	const start, id = `{"ToUserName":"gh_wechattest","FromUserName":"oUser","CreateTime":1714112445,"MsgType":`, `"MsgId":9007199254740993,"MsgIdStr":"9007199254740993"`
	for name, c := range map[string]struct {
		message push.Message
		want    string
	}{
		"image":    {push.Message{MsgType: "image", Fields: fields{"PicUrl": "http://p/", "MediaId": "m"}}, `"image",` + id + `,"MediaId":"m","PicUrl":"http://p/"}`},
		"voice":    {push.Message{MsgType: "voice", Fields: fields{"MediaId": "m", "Format": "amr", "Recognition": "你好"}}, `"voice",` + id + `,"MediaId":"m","Format":"amr","Recognition":"你好"}`},
		"video":    {push.Message{MsgType: "video", Fields: fields{"MediaId": "m", "ThumbMediaId": "t"}}, `"video",` + id + `,"MediaId":"m","ThumbMediaId":"t"}`},
		"location": {push.Message{MsgType: "location", Fields: fields{"Location_X": 23.134521, "Location_Y": 113.358803, "Scale": 20, "Label": "家"}}, `"location",` + id + `,"Location_X":23.134521,"Location_Y":113.358803,"Scale":20,"Label":"家"}`},
		"link":     {push.Message{MsgType: "link", Fields: fields{"Title": "t", "Description": "d", "Url": "http://u/?a=1&b=2"}}, `"link",` + id + `,"Title":"t","Description":"d","Url":"http://u/?a=1&b=2"}`},
		"scan":     {push.Message{Event: "SCAN", EventKey: "7", Fields: fields{"Ticket": "gQ"}}, `"event","Event":"SCAN","EventKey":"7","Ticket":"gQ"}`},
		"position": {push.Message{Event: "LOCATION", Fields: fields{"Latitude": 23.137466, "Longitude": 113.352425, "Precision": 119.385040}}, `"event","Event":"LOCATION","Latitude":23.137466,"Longitude":113.352425,"Precision":119.38504}`},
		"card": {push.Message{Event: "user_get_card", Fields: fields{"CardId": "pC", "UserCardCode": "1231", "IsGiveByFriend": 0, "OuterId": 0}},
			`"event","Event":"user_get_card","CardId":"pC","IsGiveByFriend":"0","OuterId":"0","UserCardCode":"1231"}`},
		"beacon": {push.Message{Event: "ShakearoundUserShake", Fields: fields{"ChosenBeacon": fields{"Uuid": "u", "Major": 1}}},
			`"event","Event":"ShakearoundUserShake","ChosenBeacon":{"Major":"1","Uuid":"u"}}`},
		"wifi":   {push.Message{Event: "WifiConnected", Fields: fields{"ConnectTime": 0, "ShopId": "1", "DeviceNo": "d"}}, `"event","Event":"WifiConnected","ConnectTime":"0","DeviceNo":"d","ShopId":"1"}`},
		"verify": {push.Message{Event: "naming_verify_fail", Fields: fields{"FailTime": 1442401122, "FailReason": "by time"}}, `"event","Event":"naming_verify_fail","FailReason":"by time","FailTime":"1442401122"}`},
	} {
		c.message.Time = time.Unix(1714112445, 0)
		if c.message.Event == "" {
			c.message.MsgID = 9007199254740993
			c.message.From = "oUser" + name // each is another message
		}
		require.Equal(t, 200, w.send(w.callback("/app/shop/msg/json", b.host+"/"+name), c.message).Tries[0].Status, name)
		got := b.next(t)
		require.JSONEq(t, strings.Replace(start+c.want, `"oUser"`, `"`+cmp.Or(c.message.From, "oUser")+`"`, 1), got.body, name)
		require.Contains(t, got.body, `"CreateTime":1714112445`)
		if c.message.Event == "" {
			require.Contains(t, got.body, id, "no digit is lost")
		}
	}
}

type fields = map[string]any

var createTime = regexp.MustCompile(`<CreateTime>\d+</CreateTime>`)

func TestAReplyInJSONBecomesWeChatsXML(t *testing.T) {
	replies := make(chan string, 1)
	b := newBackend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, <-replies) })
	w := newProxyWorld(t, []string{b.host})
	const head = `{"ToUserName":"someone","FromUserName":"else","CreateTime":12345,"MsgType":`
	article := "<item><Title><![CDATA[%s]]></Title><Description><![CDATA[d]]></Description><PicUrl><![CDATA[http://p/]]></PicUrl><Url><![CDATA[http://u/]]></Url></item>"
	for _, mode := range []string{"secure", "plain"} {
		if mode == "plain" {
			w = newProxyWorld(t, []string{b.host}, func(o *gateway.Options) {
				o.Config.Apps["shop"].Message.AESKey = ""
			})
		}
		for reply, want := range map[string]string{
			head + `"text","Content":"<a> & 你好"}`:     "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[<a> & 你好]]></Content>",
			head + `"image","Image":{"MediaId":"m"}}`: "<MsgType><![CDATA[image]]></MsgType><Image><MediaId><![CDATA[m]]></MediaId></Image>",
			head + `"voice","Voice":{"MediaId":"m"}}`: "<MsgType><![CDATA[voice]]></MsgType><Voice><MediaId><![CDATA[m]]></MediaId></Voice>",
			head + `"video","Video":{"MediaId":"m","Title":"t","Description":"d"}}`: "<MsgType><![CDATA[video]]></MsgType><Video><MediaId><![CDATA[m]]></MediaId>" +
				"<Title><![CDATA[t]]></Title><Description><![CDATA[d]]></Description></Video>",
			head + `"music","Music":{"Title":"t","Description":"d","MusicUrl":"http://m/","HQMusicUrl":"http://h/","ThumbMediaId":"i"}}`: "<MsgType><![CDATA[music]]></MsgType>" +
				"<Music><Title><![CDATA[t]]></Title><Description><![CDATA[d]]></Description><MusicUrl><![CDATA[http://m/]]></MusicUrl><HQMusicUrl><![CDATA[http://h/]]></HQMusicUrl><ThumbMediaId><![CDATA[i]]></ThumbMediaId></Music>",
			head + `"news","ArticleCount":2,"Articles":[{"Item":{"Title":"1","Description":"d","PicUrl":"http://p/","Url":"http://u/"}},{"Item":{"Title":"2","Description":"d","PicUrl":"http://p/","Url":"http://u/"}}]}`: "<MsgType><![CDATA[news]]></MsgType>" +
				"<ArticleCount>2</ArticleCount><Articles>" + strings.ReplaceAll(article, "%s", "1") + strings.ReplaceAll(article, "%s", "2") + "</Articles>",
		} {
			replies <- reply
			c := w.callback("/app/shop/msg/json", b.host)
			if c.Mode = mode; mode == "plain" {
				c.EncodingAESKey = ""
			}
			got := w.send(c, push.Message{Event: "CLICK", EventKey: strconv.Itoa(len(b.got)) + reply}) // news in reply to an event may have several
			require.Empty(t, got.Fault, "%s: %s", mode, reply)
			require.Equal(t, "<xml><ToUserName><![CDATA[oUser]]></ToUserName><FromUserName><![CDATA[gh_wechattest]]></FromUserName><CreateTime>0</CreateTime>"+want+"</xml>",
				createTime.ReplaceAllString(got.Reply, "<CreateTime>0</CreateTime>"))
		}
	}
}
