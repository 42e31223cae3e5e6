package message_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/message"
)

// open opens one document sent in plain mode.
func open(t testing.TB, doc string) *message.Message {
	w := official()
	w.key = ""
	m, err := w.newReceiver(t).Open(w.plain(), []byte(doc))
	require.NoError(t, err, doc)
	return m
}

const head = "<xml><ToUserName><![CDATA[gh_1]]></ToUserName>\n<FromUserName><![CDATA[oUser]]></FromUserName>\n" +
	"<CreateTime>1348831860</CreateTime>\n"

func TestEachMsgTypeHasItsFields(t *testing.T) {
	type M = message.Message
	for body, want := range map[string]M{
		`<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[this is a test]]></Content><MsgId>1234567890123456</MsgId><MsgDataId>xx</MsgDataId><Idx>2</Idx>`: {
			MsgType: "text", Content: "this is a test", MsgID: 1234567890123456, MsgDataID: "xx", Idx: 2},
		`<MsgType>text</MsgType><Content>1</Content><bizmsgmenuid>101</bizmsgmenuid>`: {MsgType: "text", Content: "1", BizMsgMenuID: "101"},
		`<MsgType>image</MsgType><PicUrl><![CDATA[http://mmbiz.qpic.cn/a?b=1&c=2]]></PicUrl><MediaId>media</MediaId>`: {
			MsgType: "image", PicURL: "http://mmbiz.qpic.cn/a?b=1&c=2", MediaID: "media"},
		`<MsgType>voice</MsgType><MediaId>m</MediaId><Format>amr</Format><Recognition>你好</Recognition><MediaId16K>16</MediaId16K>`: {
			MsgType: "voice", MediaID: "m", Format: "amr", Recognition: "你好", MediaID16K: "16"},
		`<MsgType>shortvideo</MsgType><MediaId>m</MediaId><ThumbMediaId>t</ThumbMediaId>`: {MsgType: "shortvideo", MediaID: "m", ThumbMediaID: "t"},
		`<MsgType>location</MsgType><Location_X>23.134521</Location_X><Location_Y>113.358803</Location_Y><Scale>20</Scale><Label>here</Label>`: {
			MsgType: "location", LocationX: 23.134521, LocationY: 113.358803, Scale: 20, Label: "here"},
		`<MsgType>link</MsgType><Title>t</Title><Description>d</Description><Url>u</Url>`: {MsgType: "link", Title: "t", Description: "d", URL: "u"},
		`<MsgType>miniprogrampage</MsgType><Title>t</Title><AppId>wx1</AppId><PagePath>p?q</PagePath><ThumbUrl>u</ThumbUrl><ThumbMediaId>m</ThumbMediaId>`: {
			MsgType: "miniprogrampage", Title: "t", AppID: "wx1", PagePath: "p?q", ThumbURL: "u", ThumbMediaID: "m"},
		`<MsgType>file</MsgType><Title>t</Title><Description>d</Description><FileKey>k</FileKey><FileMd5>5</FileMd5><FileTotalLen>7</FileTotalLen>`: {
			MsgType: "file", Title: "t", Description: "d", FileKey: "k", FileMD5: "5", FileTotalLen: 7},
		`<MsgType>event</MsgType><Event>subscribe</Event><EventKey>qrscene_123123</EventKey><Ticket>TICKET</Ticket>`: {
			MsgType: "event", Event: "subscribe", EventKey: "qrscene_123123", Ticket: "TICKET"},
		`<MsgType>event</MsgType><Event>LOCATION</Event><Latitude>23.137466</Latitude><Longitude>113.352425</Longitude><Precision>119.385040</Precision>`: {
			MsgType: "event", Event: "LOCATION", Latitude: 23.137466, Longitude: 113.352425, Precision: 119.38504},
		`<MsgType>event</MsgType><Event>VIEW</Event><EventKey>www.qq.com</EventKey><MenuId>MENUID</MenuId>`: {
			MsgType: "event", Event: "VIEW", EventKey: "www.qq.com", MenuID: "MENUID"},
		`<MsgType>event</MsgType><Event>enter_agent</Event><EventKey><![CDATA[]]></EventKey><AgentID>1</AgentID>`: {
			MsgType: "event", Event: "enter_agent", AgentID: 1},
	} {
		m := open(t, head+body+"</xml>")
		require.Equal(t, head+body+"</xml>", m.Raw)
		want.ToUserName, want.FromUserName, want.CreateTime = "gh_1", "oUser", time.Unix(1348831860, 0)
		got, err := json.Marshal(m)
		require.NoError(t, err)
		expected, err := json.Marshal(&want)
		require.NoError(t, err)
		require.JSONEq(t, string(expected), string(got))
		require.Equal(t, want.String(), m.String())
	}
}

func TestLargeMsgIDIsExact(t *testing.T) {
	for _, doc := range []string{
		`<xml><MsgId>9007199254740993</MsgId></xml>`,
		`<xml><MsgId> 9007199254740993 </MsgId></xml>`,
		`{"MsgId":9007199254740993}`,
		`{"MsgId":"9007199254740993"}`,
	} {
		require.EqualValues(t, 9007199254740993, open(t, doc).MsgID, doc)
	}
	require.EqualValues(t, math.MaxInt64, open(t, `{"MsgId":9223372036854775807}`).MsgID)
}

func TestInvalidNumberDoesNotRefuseTheMessage(t *testing.T) {
	m := open(t, `<xml><MsgType>text</MsgType><MsgId>4J…</MsgId><CreateTime>soon</CreateTime><Latitude>NaN</Latitude><Scale>99999999999999999999</Scale></xml>`)
	require.Zero(t, m.MsgID)
	require.Zero(t, m.Scale)
	require.Zero(t, m.Latitude)
	require.True(t, m.CreateTime.IsZero())
	require.Equal(t, "4J…", m.Root.Get("MsgId"))
}

func TestUnknownTypesAndFieldsAreKept(t *testing.T) {
	for _, doc := range []string{
		`<xml><MsgType>hologram</MsgType><Shape><Side>a</Side><Side>b</Side></Shape><Colour/></xml>`,
		`{"MsgType":"hologram","Shape":{"Side":["a","b"]},"Colour":null}`,
	} {
		m := open(t, doc)
		require.Equal(t, "hologram", m.MsgType)
		require.Equal(t, "a", m.Root.Get("Shape", "Side"))
		require.Len(t, m.Root.Child("Shape").Children, 2)
		require.Equal(t, "b", m.Root.Child("Shape").Children[1].Text)
		require.NotNil(t, m.Root.Child("Colour"))
		require.Nil(t, m.Root.Child("Sound"))
		require.Empty(t, m.Root.Child("Sound").Get("Loud", "Very"))
	}
}

func TestBothSpellingsOfAFieldAreFound(t *testing.T) {
	m := open(t, `<xml><AgentId>7</AgentId><MenuID>M</MenuID></xml>`)
	require.EqualValues(t, 7, m.AgentID)
	require.Equal(t, "M", m.MenuID)
}

func TestFirstOfTwoFieldsWithOneNameIsUsed(t *testing.T) {
	m := open(t, `<xml><Content>a</Content><Content>b</Content></xml>`)
	require.Equal(t, "a", m.Content)
	require.Equal(t, "a", m.Root.Get("Content"))
}

func TestSuiteNoticeTimeIsReadFromTimeStamp(t *testing.T) {
	m := open(t, `<xml><SuiteId>ww</SuiteId><InfoType>suite_ticket</InfoType><TimeStamp>1403610513</TimeStamp><SuiteTicket>asdf</SuiteTicket></xml>`)
	require.Equal(t, "suite_ticket", m.InfoType)
	require.EqualValues(t, 1403610513, m.CreateTime.Unix())
}

func TestStringHasNoContent(t *testing.T) {
	m := open(t, head+`<MsgType>text</MsgType><Content>my secret</Content><MsgId>7</MsgId></xml>`)
	require.Equal(t, "text 7", fmt.Sprint(m))
	require.Equal(t, "event CLICK", open(t, `<xml><MsgType>event</MsgType><Event>CLICK</Event></xml>`).String())
	require.Equal(t, "authorized", open(t, `<xml><InfoType>authorized</InfoType></xml>`).String())
}

func TestJSONFormMatchesWechatProxy(t *testing.T) {
	for doc, want := range map[string]string{
		head + `<MsgType>text</MsgType><Content><![CDATA[<a href="x">&你</a>]]></Content><MsgId>9007199254740993</MsgId></xml>`:                  `{"ToUserName":"gh_1","FromUserName":"oUser","CreateTime":1348831860,"MsgType":"text","MsgId":9007199254740993,"MsgIdStr":"9007199254740993","Content":"<a href=\"x\">&你</a>"}`,
		head + `<MsgType>location</MsgType><Location_X>23.10</Location_X><Scale>20</Scale><Location_Y>0</Location_Y></xml>`:                     `{"ToUserName":"gh_1","FromUserName":"oUser","CreateTime":1348831860,"MsgType":"location","Location_X":23.1,"Scale":20}`,
		head + `<MsgType>event</MsgType><Event>CLICK</Event><EventKey></EventKey></xml>`:                                                        `{"ToUserName":"gh_1","FromUserName":"oUser","CreateTime":1348831860,"MsgType":"event","Event":"CLICK"}`,
		head + `<MsgType>event</MsgType><Event>user_get_card</Event><CardId>p1</CardId><IsGiveByFriend>1</IsGiveByFriend></xml>`:                `{"ToUserName":"gh_1","FromUserName":"oUser","CreateTime":1348831860,"MsgType":"event","Event":"user_get_card","CardId":"p1","IsGiveByFriend":"1"}`,
		`<xml><MsgType>x</MsgType><MsgId>abc</MsgId><L><i>1</i><j>3</j><i>2</i></L><L>b</L></xml>`:                                              `{"ToUserName":"","FromUserName":"","CreateTime":0,"MsgType":"x","MsgId":"abc","L":[{"i":["1","2"],"j":"3"},"b"]}`,
		`{"MsgType":"event","CreateTime":"1","Event":"wxa_media_check","appid":"wx1","version":2,"ok":true,"detail":[{"prob":90}],"none":null}`: `{"ToUserName":"","FromUserName":"","CreateTime":1,"MsgType":"event","Event":"wxa_media_check","appid":"wx1","version":2,"ok":true,"detail":[{"prob":90}]}`,
		`{"MsgType":"\u0001\"\\\n\ud800"}`:                             `{"ToUserName":"","FromUserName":"","CreateTime":0,"MsgType":"\u0001\"\\\n` + "\ufffd" + `"}`,
		`<xml><MsgType>x</MsgType><CreateTime>soon</CreateTime></xml>`: `{"ToUserName":"","FromUserName":"","CreateTime":0,"MsgType":"x"}`,
	} {
		got, err := open(t, doc).MarshalJSON()
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		require.True(t, json.Valid(got), "%s", got)
	}
	for _, doc := range []string{`<xml><MsgId>9223372036854775807</MsgId></xml>`, `{"MsgId":"9223372036854775807"}`, `{"MsgId":9223372036854775807,"MsgIdStr":"other"}`} {
		got, err := open(t, doc).MarshalJSON()
		require.NoError(t, err)
		require.Equal(t, `{"ToUserName":"","FromUserName":"","CreateTime":0,"MsgType":"","MsgId":9223372036854775807,"MsgIdStr":"9223372036854775807"}`, string(got))
	}
	got, err := json.Marshal(&message.Message{MsgType: "text", Content: "hi"})
	require.NoError(t, err)
	require.JSONEq(t, `{"ToUserName":"","FromUserName":"","CreateTime":0,"MsgType":"text","Content":"hi"}`, string(got))
}
