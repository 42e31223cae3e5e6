package event_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/message/event"
)

func TestSubscribeMsgListsAreReadAsObjectAndAsArray(t *testing.T) {
	one := `{"TemplateId":"T1","SubscribeStatusString":"accept","PopupScene":"0"}`
	two := `{"TemplateId":"T2","SubscribeStatusString":"reject","PopupScene":0}`
	const start = `{"MsgType":"event","Event":"subscribe_msg_popup_event",`
	for doc, n := range map[string]int{
		start + `"List":` + one + `}`:                                          1,
		start + `"List":[` + one + `]}`:                                        1,
		start + `"List":[` + one + `,` + two + `]}`:                            2,
		start + `"SubscribeMsgPopupEvent":{"List":` + one + `}}`:               1,
		start + `"SubscribeMsgPopupEvent":{"List":[` + one + `,` + two + `]}}`: 2,
		head + `<Event>subscribe_msg_popup_event</Event><SubscribeMsgPopupEvent><List><TemplateId>T1</TemplateId><SubscribeStatusString>accept</SubscribeStatusString><PopupScene>2</PopupScene></List><List><TemplateId>T2</TemplateId></List></SubscribeMsgPopupEvent></xml>`: 2,
	} {
		_, e := decode[event.SubscribeMsgPopup](t, doc)
		require.Len(t, e.List, n, doc)
		require.Equal(t, "T1", e.List[0].TemplateID)
		require.Equal(t, "accept", e.List[0].SubscribeStatusString)
	}
	_, sent := decode[event.SubscribeMsgSent](t, head+`<Event>subscribe_msg_sent_event</Event><SubscribeMsgSentEvent><List><TemplateId>T</TemplateId><MsgID>1700827132819554304</MsgID><ErrorCode>0</ErrorCode><ErrorStatus>success</ErrorStatus></List></SubscribeMsgSentEvent></xml>`)
	require.EqualValues(t, 1700827132819554304, sent.List[0].MsgID)
	_, change := decode[event.SubscribeMsgChange](t, `{"List":{"TemplateId":"T","SubscribeStatusString":"reject"}}`)
	require.Equal(t, "reject", change.List[0].SubscribeStatusString)
}

func TestFieldsOfLaterAndOlderDocuments(t *testing.T) {
	_, chat := decode[event.ChangeExternalChat](t, head+`<Event>change_external_chat</Event><ChatId>C</ChatId><ChangeType>update</ChangeType><MemChangeCnt>2</MemChangeCnt>`+
		`<MemChangeList><Item>Jack</Item><Item>Rose</Item></MemChangeList><LastMemVer>9c3f</LastMemVer><CurMemVer>7121</CurMemVer></xml>`)
	require.Equal(t, []string{"Jack", "Rose"}, chat.MemChangeList)
	require.Equal(t, "9c3f 7121", chat.LastMemVer+" "+chat.CurMemVer)
	_, chat = decode[event.ChangeExternalChat](t, head+`<Event>change_external_chat</Event><MemChangeList></MemChangeList></xml>`)
	require.Empty(t, chat.MemChangeList)

	_, approval := decode[event.SysApprovalChange](t, head+`<Event>sys_approval_change</Event><ApprovalInfo><SpNoStr>202001080001</SpNoStr>`+
		`<SpRecord><Details><Approver><UserId>A</UserId></Approver><Attach>m1</Attach></Details></SpRecord>`+
		`<Comments><CommentUserInfo><UserId>L</UserId></CommentUserInfo><CommentId>7</CommentId><Attach>m2</Attach><Attach>m3</Attach></Comments>`+
		`<ProcessList><NodeList><NodeType>1</NodeType><SpStatus>2</SpStatus><ApvRel>1</ApvRel>`+
		`<SubNodeList><UserInfo><UserId>A</UserId></UserInfo><Speech>ok</Speech><SpYj>2</SpYj><Sptime>1571728713</Sptime><MediaIds>m4</MediaIds></SubNodeList>`+
		`<SubNodeList><UserInfo><UserId>B</UserId></UserInfo><SpYj>1</SpYj><Sptime>0</Sptime></SubNodeList></NodeList>`+
		`<NodeList><NodeType>2</NodeType></NodeList></ProcessList></ApprovalInfo></xml>`)
	info := approval.ApprovalInfo
	require.Equal(t, "202001080001", info.SpNoStr)
	require.Equal(t, []string{"m1"}, info.SpRecord[0].Details[0].Attach)
	require.Equal(t, []string{"m2", "m3"}, info.Comments[0].Attach)
	require.Len(t, info.ProcessList.NodeList, 2)
	node := info.ProcessList.NodeList[0]
	require.Equal(t, []int{1, 2, 1}, []int{node.NodeType, node.SpStatus, node.ApvRel})
	require.Equal(t, "A ok", node.SubNodeList[0].UserInfo.UserID+" "+node.SubNodeList[0].Speech)
	require.Equal(t, 2, node.SubNodeList[0].SpYj)
	require.EqualValues(t, 1571728713, node.SubNodeList[0].SpTime.Unix())
	require.Equal(t, []string{"m4"}, node.SubNodeList[0].MediaIDs)
	require.True(t, node.SubNodeList[1].SpTime.IsZero())

	_, user := decode[event.ChangeContact](t, head+`<Event>change_contact</Event><ChangeType>update_user</ChangeType><DirectLeader>lisi,wangwu</DirectLeader>`+
		`<ExtAttr><Item><Name>爱好</Name><Value>旅游</Value></Item></ExtAttr></xml>`)
	require.Equal(t, "lisi,wangwu", user.DirectLeader)
	require.Equal(t, "爱好旅游", user.ExtAttr[0].Name+user.ExtAttr[0].Value)

	_, wifi := decode[event.WifiConnected](t, head+`<Event>WifiConnected</Event><PlaceId>p</PlaceId></xml>`)
	require.Equal(t, "p", wifi.PlaceID)

	for _, doc := range []string{
		head + `<Event>wxa_appeal_record</Event><appeal_record_id>7</appeal_record_id><material><illegal_material><content>c1</content><content_url>u1</content_url></illegal_material>` +
			`<appeal_material><reason>r1</reason><proof_material_ids>m1</proof_material_ids><proof_material_ids>m2</proof_material_ids></appeal_material></material>` +
			`<material><illegal_material><content>c2</content></illegal_material></material></xml>`,
		`{"MsgType":"event","Event":"wxa_appeal_record","material":[{"illegal_material":{"content":"c1","content_url":"u1"},"appeal_material":{"reason":"r1","proof_material_ids":["m1","m2"]}},{"illegal_material":{"content":"c2"}}]}`,
	} {
		_, appeal := decode[event.AppealRecord](t, doc)
		require.Len(t, appeal.Material, 2, doc)
		require.Equal(t, "c1 u1", appeal.Material[0].IllegalMaterial.Content+" "+appeal.Material[0].IllegalMaterial.ContentURL)
		require.Equal(t, "r1", appeal.Material[0].AppealMaterial.Reason)
		require.Equal(t, []string{"m1", "m2"}, appeal.Material[0].AppealMaterial.ProofMaterialIDs)
		require.Equal(t, "c2", appeal.Material[1].IllegalMaterial.Content)
	}

	m, device := decode[event.Device](t, `<xml><MsgType>device_event</MsgType><Event>bind</Event><DeviceType>gh_1</DeviceType><DeviceID>d</DeviceID><SessionID>0</SessionID><Content>MTIz</Content><OpenID>o</OpenID></xml>`)
	require.Equal(t, event.Device{DeviceType: "gh_1", DeviceID: "d", SessionID: "0", Content: "MTIz", OpenID: "o"}, device)
	require.True(t, message.OnEvent("bind")(m))
}

// Every list of every event is read as empty when WeChat writes it so.
func TestEmptyListsOfEventsHaveNoItems(t *testing.T) {
	_, pics := decode[event.SendPics](t, head+`<Event>pic_weixin</Event><SendPicsInfo><Count>0</Count><PicList/></SendPicsInfo></xml>`)
	require.Empty(t, pics.SendPicsInfo.PicList)
	_, pics = decode[event.SendPics](t, head+`<Event>pic_weixin</Event><SendPicsInfo><PicList><item><PicMd5Sum>a</PicMd5Sum></item></PicList><PicList><item><PicMd5Sum>b</PicMd5Sum></item></PicList></SendPicsInfo></xml>`)
	require.Len(t, pics.SendPicsInfo.PicList, 2)
	_, mass := decode[event.MassSendJobFinish](t, head+`<Event>MASSSENDJOBFINISH</Event><CopyrightCheckResult><ResultList></ResultList></CopyrightCheckResult><ArticleUrlResult><ResultList></ResultList></ArticleUrlResult></xml>`)
	require.Empty(t, mass.CopyrightCheckResult.ResultList)
	require.Empty(t, mass.ArticleURLResult.ResultList)
	_, popup := decode[event.SubscribeMsgPopup](t, `{"MsgType":"event","Event":"subscribe_msg_popup_event","List":null}`)
	require.Empty(t, popup.List)
	_, check := decode[event.MediaCheck](t, head+`<Event>wxa_media_check</Event><detail></detail></xml>`)
	require.Empty(t, check.Detail)
}
