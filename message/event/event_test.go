package event_test

import (
	"crypto/sha1"
	"encoding/hex"
	"go/ast"
	"go/parser"
	"go/token"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/message/event"
)

// decode gives a document to a Receiver as WeChat would, and decodes it.
func decode[T any](t *testing.T, doc string) (*message.Message, T) {
	in, err := message.New(message.Config{AppID: "wx1", Token: "AAAAA"})
	require.NoError(t, err)
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	parts := []string{"AAAAA", stamp, "1"}
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	m, err := in.Open(url.Values{"signature": {hex.EncodeToString(sum[:])}, "timestamp": {stamp}, "nonce": {"1"}}, []byte(doc))
	require.NoError(t, err)
	var e T
	require.NoError(t, m.Decode(&e))
	return m, e
}

const head = "<xml><ToUserName>gh_1</ToUserName><FromUserName>oUser</FromUserName><CreateTime>1481013459</CreateTime><MsgType>event</MsgType>"

func TestMenuEvents(t *testing.T) {
	_, scan := decode[event.ScanCode](t, head+`<Event>scancode_push</Event><EventKey>6</EventKey><ScanCodeInfo><ScanType>qrcode</ScanType><ScanResult>1</ScanResult></ScanCodeInfo></xml>`)
	require.Equal(t, "6", scan.EventKey)
	require.Equal(t, "qrcode", scan.ScanCodeInfo.ScanType)
	require.Equal(t, "1", scan.ScanCodeInfo.ScanResult)

	_, pics := decode[event.SendPics](t, head+`<Event>pic_sysphoto</Event><SendPicsInfo><Count>2</Count><PicList><item><PicMd5Sum>a</PicMd5Sum></item><item><PicMd5Sum>b</PicMd5Sum></item></PicList></SendPicsInfo></xml>`)
	require.Equal(t, 2, pics.SendPicsInfo.Count)
	require.Equal(t, "b", pics.SendPicsInfo.PicList[1].PicMD5Sum)

	_, place := decode[event.SendLocation](t, head+`<Event>location_select</Event><SendLocationInfo><Location_X>23</Location_X><Location_Y>113</Location_Y><Scale>15</Scale><Label>x</Label><Poiname></Poiname></SendLocationInfo></xml>`)
	require.Equal(t, 113.0, place.SendLocationInfo.LocationY)
	require.Equal(t, 15, place.SendLocationInfo.Scale)

	_, view := decode[event.View](t, head+`<Event>view_miniprogram</Event><EventKey>pages/index</EventKey><MenuId>M</MenuId></xml>`)
	require.Equal(t, event.View{EventKey: "pages/index", MenuID: "M"}, view)
}

func TestJobEvents(t *testing.T) {
	m, sent := decode[event.TemplateSendJobFinish](t, head+`<Event>TEMPLATESENDJOBFINISH</Event><MsgID>200163836</MsgID><Status>failed:user block</Status></xml>`)
	require.Equal(t, event.TemplateSendJobFinish{MsgID: 200163836, Status: "failed:user block"}, sent)
	require.Zero(t, m.MsgID, "the MsgID of what was sent is not the message's own")

	_, mass := decode[event.MassSendJobFinish](t, head+`<Event>MASSSENDJOBFINISH</Event><MsgID>1000001625</MsgID><Status>err(30003)</Status><TotalCount>9</TotalCount>`+
		`<CopyrightCheckResult><Count>2</Count><ResultList><item><ArticleIdx>1</ArticleIdx><CanReprint>1</CanReprint></item><item><ArticleIdx>2</ArticleIdx><OriginalArticleUrl>u2</OriginalArticleUrl></item></ResultList><CheckState>2</CheckState></CopyrightCheckResult>`+
		`<ArticleUrlResult><Count>1</Count><ResultList><item><ArticleIdx>1</ArticleIdx><ArticleUrl>u</ArticleUrl></item></ResultList></ArticleUrlResult></xml>`)
	require.Equal(t, 9, mass.TotalCount)
	require.True(t, mass.CopyrightCheckResult.ResultList[0].CanReprint)
	require.Equal(t, "u2", mass.CopyrightCheckResult.ResultList[1].OriginalArticleURL)
	require.Equal(t, "u", mass.ArticleURLResult.ResultList[0].ArticleURL)

	_, pub := decode[event.PublishJobFinish](t, head+`<Event>PUBLISHJOBFINISH</Event><PublishEventInfo><publish_id>2247503051</publish_id><publish_status>0</publish_status><article_id>b5O</article_id><article_detail><count>1</count><item><idx>1</idx><article_url>u</article_url></item></article_detail><fail_idx>1</fail_idx><fail_idx>2</fail_idx></PublishEventInfo></xml>`)
	require.EqualValues(t, 2247503051, pub.PublishEventInfo.PublishID)
	require.Equal(t, "u", pub.PublishEventInfo.ArticleDetail.Item[0].ArticleURL)
	require.Equal(t, []int{1, 2}, pub.PublishEventInfo.FailIdx)
}

func TestAccountEvents(t *testing.T) {
	_, verify := decode[event.Verify](t, head+`<Event>qualification_verify_fail</Event><FailTime>1442401122</FailTime><FailReason>by time</FailReason></xml>`)
	require.EqualValues(t, 1442401122, verify.FailTime.Unix())
	require.Equal(t, "by time", verify.FailReason)
	require.True(t, verify.ExpiredTime.IsZero())

	_, user := decode[event.UserAuthorization](t, `{"MsgType":"event","Event":"user_authorization_revoke","OpenID":"o1","AppID":"wx1","RevokeInfo":"201"}`)
	require.Equal(t, event.UserAuthorization{OpenID: "o1", AppID: "wx1", RevokeInfo: "201"}, user)

	_, kf := decode[event.KfSession](t, head+`<Event>kf_switch_session</Event><FromKfAccount>a@b</FromKfAccount><ToKfAccount>c@b</ToKfAccount></xml>`)
	require.Equal(t, "c@b", kf.ToKfAccount)

	_, card := decode[event.Card](t, head+`<Event>user_pay_from_pay_cell</Event><CardId>po2</CardId><UserCardCode>12</UserCardCode><TransId>1</TransId><LocationId>291710000</LocationId><Fee>10000</Fee><OriginalFee>10000</OriginalFee><IsGiveByFriend>1</IsGiveByFriend></xml>`)
	require.Equal(t, "po2", card.CardID)
	require.EqualValues(t, 10000, card.Fee)
	require.True(t, card.IsGiveByFriend)
}

func TestMiniProgramEvents(t *testing.T) {
	m, check := decode[event.MediaCheck](t, `{"ToUserName":"gh_9df7d78a1234","FromUserName":"o4","CreateTime":1626959646,"MsgType":"event","Event":"wxa_media_check","appid":"wx8f","trace_id":"60f96f1d","version":2,"detail":[{"strategy":"content_model","errcode":0,"suggest":"pass","label":100,"prob":90}],"errcode":0,"errmsg":"ok","result":{"suggest":"pass","label":100}}`)
	require.Equal(t, "wxa_media_check", m.Event)
	require.Equal(t, "60f96f1d", check.TraceID)
	require.Equal(t, "wx8f", check.AppID)
	require.Equal(t, 100, check.Result.Label)
	require.Equal(t, "pass", check.Result.Suggest)
	require.Equal(t, 90, check.Detail[0].Prob)

	_, audit := decode[event.Audit](t, head+`<Event>weapp_audit_fail</Event><Reason><![CDATA[1:x<br>2:y]]></Reason><FailTime>1488856591</FailTime><ScreenShot>a|b</ScreenShot></xml>`)
	require.Equal(t, "1:x<br>2:y", audit.Reason)
	require.EqualValues(t, 1488856591, audit.FailTime.Unix())

	_, name := decode[event.NicknameAudit](t, head+`<Event>wxa_nickname_audit</Event><ret>3</ret><nickname>n</nickname><reason>r</reason></xml>`)
	require.Equal(t, event.NicknameAudit{Ret: 3, Nickname: "n", Reason: "r"}, name)

	_, category := decode[event.CategoryAudit](t, head+`<Event>wxa_category_audit</Event><ret>2</ret><first>1</first><second>207</second><reason>r</reason></xml>`)
	require.Equal(t, event.CategoryAudit{Ret: 2, First: 1, Second: 207, Reason: "r"}, category)

	_, illegal := decode[event.IllegalRecord](t, head+`<Event>wxa_illegal_record</Event><illegal_record_id>1</illegal_record_id><appid>wx1</appid><create_time>1600000000</create_time><rule_name>x</rule_name></xml>`)
	require.Equal(t, "1600000000", illegal.CreateTime)
	require.Equal(t, "wx1", illegal.AppID)

	_, appeal := decode[event.AppealRecord](t, head+`<Event>wxa_appeal_record</Event><appeal_record_id>7</appeal_record_id><appeal_status>2</appeal_status></xml>`)
	require.Equal(t, "7", appeal.AppealRecordID)
	require.Equal(t, 2, appeal.AppealStatus)

	_, privacy := decode[event.PrivacyApply](t, `{"MsgType":"event","Event":"wxa_privacy_apply","result_info":{"api_name":"wx.choosePoi","apply_time":"1644975588","audit_id":"4211202267","audit_time":"1644982569","reason":"r","status":"2"}}`)
	require.Equal(t, "wx.choosePoi", privacy.ResultInfo.APIName)
	require.Equal(t, 2, privacy.ResultInfo.Status)

	_, temp := decode[event.EnterTempSession](t, `{"MsgType":"event","Event":"user_enter_tempsession","SessionFrom":"button"}`)
	require.Equal(t, "button", temp.SessionFrom)
}

func TestTradeEvents(t *testing.T) {
	_, access := decode[event.TradeManageRemindAccessAPI](t, head+`<Event>trade_manage_remind_access_api</Event><msg>please</msg></xml>`)
	require.Equal(t, "please", access.Msg)

	_, ship := decode[event.TradeManageRemindShipping](t, `{"MsgType":"event","Event":"trade_manage_remind_shipping","transaction_id":"42","merchant_id":"1900","sub_merchant_id":"1","merchant_trade_no":"n","pay_time":1670000000,"msg":"m"}`)
	require.Equal(t, "42", ship.TransactionID)
	require.EqualValues(t, 1670000000, ship.PayTime.Unix())

	_, settle := decode[event.TradeManageOrderSettlement](t, head+`<Event>trade_manage_order_settlement</Event><transaction_id>42</transaction_id><merchant_trade_no>n</merchant_trade_no><confirm_receive_method>2</confirm_receive_method><settlement_time>1670000001</settlement_time></xml>`)
	require.Equal(t, 2, settle.ConfirmReceiveMethod)
	require.EqualValues(t, 1670000001, settle.SettlementTime.Unix())
	require.True(t, settle.ShippedTime.IsZero())

	for _, doc := range []string{
		head + `<Event>add_express_path</Event><DeliveryID>SF</DeliveryID><WayBillId>1</WayBillId><Count>2</Count><Actions><ActionTime>1546924840</ActionTime><ActionType>100001</ActionType><ActionMsg>m</ActionMsg></Actions><Actions><ActionType>200001</ActionType></Actions></xml>`,
		`{"Event":"add_express_path","DeliveryID":"SF","WayBillId":"1","Count":2,"Actions":[{"ActionTime":1546924840,"ActionType":100001,"ActionMsg":"m"},{"ActionType":200001}]}`,
	} {
		_, path := decode[event.AddExpressPath](t, doc)
		require.Equal(t, "1", path.WayBillID)
		require.Len(t, path.Actions, 2)
		require.Equal(t, 100001, path.Actions[0].ActionType)
	}

	_, xpay := decode[event.Xpay](t, `{"Event":"xpay_goods_deliver_notify","OpenId":"o1","OutTradeNo":"n","Env":1,"WeChatPayInfo":{"MchOrderNo":"m","TransactionId":"t","PaidTime":1670000000},"GoodsInfo":{"ProductId":"p","Quantity":1,"OrigPrice":100,"ActualPrice":90,"Attach":"a"}}`)
	require.Equal(t, "o1", xpay.OpenID)
	require.Equal(t, "t", xpay.WeChatPayInfo.TransactionID)
	require.EqualValues(t, 90, xpay.GoodsInfo.ActualPrice)
}

func TestShopEvents(t *testing.T) {
	_, scan := decode[event.ScanProduct](t, head+`<Event>user_scan_product</Event><KeyStandard>ean13</KeyStandard><KeyStr>6901481811083</KeyStr><Country>中国</Country><Province>广东</Province><City>揭阳</City><Sex>1</Sex><Scene>2</Scene><ExtInfo>123</ExtInfo></xml>`)
	require.Equal(t, event.ScanProduct{KeyStandard: "ean13", KeyStr: "6901481811083", Country: "中国", Province: "广东", City: "揭阳", Sex: 1, Scene: 2, ExtInfo: "123"}, scan)

	_, checked := decode[event.ScanProduct](t, head+`<Event>user_scan_product_verify_action</Event><KeyStr>69</KeyStr><Result>verify_not_pass</Result><ReasonMsg>r</ReasonMsg></xml>`)
	require.Equal(t, "verify_not_pass", checked.Result)
	require.Equal(t, "r", checked.ReasonMsg)

	_, shake := decode[event.Shake](t, head+`<Event>ShakearoundUserShake</Event><ChosenBeacon><Uuid>u1</Uuid><Major>1</Major><Minor>2</Minor><Distance>0.057</Distance></ChosenBeacon>`+
		`<AroundBeacons><AroundBeacon><Uuid>u2</Uuid><Major>3</Major></AroundBeacon><AroundBeacon><Uuid>u3</Uuid><Distance>9.816</Distance></AroundBeacon></AroundBeacons></xml>`)
	require.Equal(t, event.Beacon{UUID: "u1", Major: 1, Minor: 2, Distance: 0.057}, shake.ChosenBeacon)
	require.Equal(t, []event.Beacon{{UUID: "u2", Major: 3}, {UUID: "u3", Distance: 9.816}}, shake.AroundBeacons)

	_, wifi := decode[event.WifiConnected](t, head+`<Event>WifiConnected</Event><ConnectTime>1470018710</ConnectTime><ExpireTime>0</ExpireTime><VendorId>3001224419</VendorId><ShopId>4</ShopId><DeviceNo>b</DeviceNo></xml>`)
	require.EqualValues(t, 1470018710, wifi.ConnectTime.Unix())
	require.Equal(t, "3001224419 4 b", wifi.VendorID+" "+wifi.ShopID+" "+wifi.DeviceNo)
	require.True(t, wifi.ExpireTime.IsZero())

	_, poi := decode[event.PoiCheck](t, head+`<Event>poi_check_notify</Event><UniqId>123</UniqId><PoiId>123123</PoiId><Result>fail</Result><msg>xxx</msg></xml>`)
	require.Equal(t, event.PoiCheck{UniqID: "123", PoiID: "123123", Result: "fail", Msg: "xxx"}, poi)

	_, order := decode[event.Card](t, head+`<Event>card_pay_order</Event><OrderId>404091456</OrderId><Status>ORDER_STATUS_FINANCE_SUCC</Status><CreateOrderTime>1472800000</CreateOrderTime><PayFinishTime>0</PayFinishTime><FreeCoinCount>200</FreeCoinCount><OrderType>ORDER_TYPE_SYS_ADD</OrderType><Memo>m</Memo></xml>`)
	require.Equal(t, 200.0, order.FreeCoinCount)
	require.EqualValues(t, 1472800000, order.CreateOrderTime.Unix())
	require.Equal(t, "404091456 ORDER_TYPE_SYS_ADD m", order.OrderID+" "+order.OrderType+" "+order.Memo)
}

func TestWeComEvents(t *testing.T) {
	_, user := decode[event.ChangeContact](t, head+`<Event>change_contact</Event><ChangeType>create_user</ChangeType><UserID>zhangsan</UserID><Name>张三</Name><Department>1,2,3</Department><MainDepartment>1</MainDepartment><Gender>1</Gender><Status>1</Status>`+
		`<ExtAttr><Item><Name>爱好</Name><Type>0</Type><Text><Value>旅游</Value></Text></Item><Item><Name>卡号</Name><Type>1</Type><Web><Title>t</Title><Url>u</Url></Web></Item></ExtAttr></xml>`)
	require.Equal(t, "create_user", user.ChangeType)
	require.Equal(t, "张三", user.Name)
	require.Equal(t, "旅游", user.ExtAttr[0].Text.Value)
	require.Equal(t, "u", user.ExtAttr[1].Web.URL)

	_, party := decode[event.ChangeContact](t, head+`<Event>change_contact</Event><ChangeType>create_party</ChangeType><Id>2</Id><Name>x</Name><ParentId>1</ParentId><Order>1</Order></xml>`)
	require.EqualValues(t, 2, party.ID)
	require.EqualValues(t, 1, party.ParentID)

	_, tag := decode[event.ChangeContact](t, head+`<Event>change_contact</Event><ChangeType>update_tag</ChangeType><TagId>1</TagId><AddUserItems>a,b</AddUserItems></xml>`)
	require.Equal(t, "a,b", tag.AddUserItems)

	_, job := decode[event.BatchJobResult](t, head+`<Event>batch_job_result</Event><BatchJob><JobId>S0</JobId><JobType>sync_user</JobType><ErrCode>0</ErrCode><ErrMsg>ok</ErrMsg></BatchJob></xml>`)
	require.Equal(t, "S0", job.BatchJob.JobID)

	m, contact := decode[event.ChangeExternalContact](t, `<xml><SuiteId>ww</SuiteId><AuthCorpId>wx</AuthCorpId><InfoType>change_external_contact</InfoType><TimeStamp>1403610513</TimeStamp><ChangeType>add_external_contact</ChangeType><UserID>zhangsan</UserID><ExternalUserID>wo</ExternalUserID><WelcomeCode>W</WelcomeCode></xml>`)
	require.Equal(t, "change_external_contact", m.InfoType)
	require.Equal(t, "wo", contact.ExternalUserID)

	_, chat := decode[event.ChangeExternalChat](t, head+`<Event>change_external_chat</Event><ChatId>C</ChatId><ChangeType>update</ChangeType><MemChangeCnt>10</MemChangeCnt></xml>`)
	require.Equal(t, "C", chat.ChatID)
	require.Equal(t, 10, chat.MemChangeCnt)

	_, ext := decode[event.ChangeExternalTag](t, head+`<Event>change_external_tag</Event><Id>T</Id><TagType>tag</TagType><ChangeType>delete</ChangeType></xml>`)
	require.Equal(t, "T", ext.ID)

	_, approval := decode[event.SysApprovalChange](t, head+`<Event>sys_approval_change</Event><ApprovalInfo><SpNo>2019</SpNo><SpStatus>1</SpStatus><ApplyTime>1571728713</ApplyTime><Applyer><UserId>W</UserId><Party>1</Party></Applyer>`+
		`<SpRecord><SpStatus>1</SpStatus><Details><Approver><UserId>A</UserId></Approver><SpTime>0</SpTime></Details><Details><Approver><UserId>B</UserId></Approver></Details></SpRecord><SpRecord><SpStatus>2</SpStatus></SpRecord>`+
		`<Comments><CommentUserInfo><UserId>L</UserId></CommentUserInfo><CommentContent>c</CommentContent></Comments><StatuChangeEvent>10</StatuChangeEvent></ApprovalInfo></xml>`)
	info := approval.ApprovalInfo
	require.Equal(t, "W", info.Applyer.UserID)
	require.Equal(t, "B", info.SpRecord[0].Details[1].Approver.UserID)
	require.Len(t, info.SpRecord, 2)
	require.Equal(t, "L", info.Comments[0].CommentUserInfo.UserID)

	_, own := decode[event.OpenApprovalChange](t, head+`<Event>open_approval_change</Event><ApprovalInfo><ThirdNo>201806010001</ThirdNo><OpenSpName>付款</OpenSpName><OpenSpStatus>1</OpenSpStatus><ApplyTime>1527837645</ApplyTime><ApplyUserId>1</ApplyUserId>`+
		`<ApprovalNodes><ApprovalNode><NodeStatus>1</NodeStatus><NodeAttr>2</NodeAttr><Items><Item><ItemName>xiaohong</ItemName><ItemUserId>2</ItemUserId><ItemOpTime>0</ItemOpTime></Item></Items></ApprovalNode></ApprovalNodes>`+
		`<NotifyNodes><NotifyNode><ItemUserId>3</ItemUserId></NotifyNode></NotifyNodes><approverstep>0</approverstep></ApprovalInfo></xml>`)
	require.Equal(t, "201806010001", own.ApprovalInfo.ThirdNo)
	require.Equal(t, 2, own.ApprovalInfo.ApprovalNodes[0].NodeAttr)
	require.Equal(t, "2", own.ApprovalInfo.ApprovalNodes[0].Items[0].ItemUserID)
	require.Equal(t, "3", own.ApprovalInfo.NotifyNodes[0].ItemUserID)

	_, plan := decode[event.Schedule](t, head+`<Event>modify_schedule</Event><CalId>c</CalId><ScheduleId>s</ScheduleId></xml>`)
	require.Equal(t, event.Schedule{CalID: "c", ScheduleID: "s"}, plan)

	_, live := decode[event.LivingStatusChange](t, head+`<Event>living_status_change</Event><LivingId>l</LivingId><Status>2</Status></xml>`)
	require.Equal(t, event.LivingStatusChange{LivingID: "l", Status: 2}, live)

	_, click := decode[event.TemplateCard](t, head+`<Event>template_card_event</Event><EventKey>k</EventKey><TaskId>t</TaskId><ResponseCode>r</ResponseCode><SelectedItems><SelectedItem><QuestionKey>q1</QuestionKey><OptionIds><OptionId>o1</OptionId><OptionId>o2</OptionId></OptionIds></SelectedItem>`+
		`<SelectedItem><QuestionKey>q2</QuestionKey><OpitonIds><OpitonId>o3</OpitonId></OpitonIds></SelectedItem></SelectedItems></xml>`)
	require.Equal(t, []string{"o1", "o2"}, click.SelectedItems[0].OptionIDs)
	require.Equal(t, []string{"o3"}, click.SelectedItems[1].OptionIDs)

	_, kf := decode[event.KfMsg](t, head+`<Event>kf_msg_or_event</Event><Token>ENC</Token><OpenKfId>wk</OpenKfId></xml>`)
	require.Equal(t, event.KfMsg{Token: "ENC", OpenKfID: "wk"}, kf)
}

func TestPlatformNotices(t *testing.T) {
	m, ticket := decode[event.ComponentVerifyTicket](t, `<xml><AppId>wxp</AppId><CreateTime>1413192605</CreateTime><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>ticket@@@x</ComponentVerifyTicket></xml>`)
	require.Equal(t, "component_verify_ticket", m.InfoType)
	require.Equal(t, event.ComponentVerifyTicket{AppID: "wxp", ComponentVerifyTicket: "ticket@@@x"}, ticket)

	_, auth := decode[event.Authorized](t, `<xml><AppId>wxp</AppId><InfoType>authorized</InfoType><AuthorizerAppid>wxa</AuthorizerAppid><AuthorizationCode>c</AuthorizationCode><AuthorizationCodeExpiredTime>1413192605</AuthorizationCodeExpiredTime><PreAuthCode>p</PreAuthCode></xml>`)
	require.Equal(t, "wxa", auth.AuthorizerAppID)
	require.EqualValues(t, 1413192605, auth.AuthorizationCodeExpiredTime.Unix())

	_, reg := decode[event.FastRegister](t, `<xml><AppId>wxp</AppId><InfoType>notify_third_fasteregister</InfoType><appid>wxn</appid><status>0</status><auth_code>a</auth_code><msg>OK</msg><info><name>n</name><code_type>1</code_type><legal_persona_wechat>w</legal_persona_wechat></info></xml>`)
	require.Equal(t, "wxn", reg.AppID)
	require.Equal(t, "w", reg.Info.LegalPersonaWechat)

	_, suite := decode[event.SuiteTicket](t, `<xml><SuiteId>ww</SuiteId><InfoType>suite_ticket</InfoType><TimeStamp>1403610513</TimeStamp><SuiteTicket>asdf</SuiteTicket></xml>`)
	require.Equal(t, event.SuiteTicket{SuiteID: "ww", SuiteTicket: "asdf"}, suite)

	_, created := decode[event.SuiteAuth](t, `<xml><SuiteId>ww</SuiteId><InfoType>create_auth</InfoType><AuthCode>c</AuthCode><State>s</State></xml>`)
	require.Equal(t, "c", created.AuthCode)
}

func TestTheIndexHasEveryType(t *testing.T) {
	set := token.NewFileSet()
	types := map[string]string{"message.Message": ""} // and their comments
	index := ""
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		require.NoError(t, err)
		if file.Doc != nil {
			index += file.Doc.Text()
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				types[g.Specs[0].(*ast.TypeSpec).Name.Name] = g.Doc.Text()
			}
		}
	}
	delete(types, "Beacon") // a part of Shake
	_, index, ok := strings.Cut(index, "# Index")
	require.True(t, ok)
	indexed, events := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(index) {
		if !strings.HasPrefix(line, "\t") {
			continue
		}
		fields := strings.Fields(strings.ReplaceAll(line, ",", " "))
		name := fields[len(fields)-1]
		comment, ok := types[name]
		require.True(t, ok, name)
		indexed[name] = true
		for _, e := range fields[:len(fields)-1] {
			require.False(t, events[e], e)
			events[e] = true
			if name != "Card" && name != "message.Message" {
				require.Contains(t, comment, e, "the comment of %s", name)
			}
		}
	}
	require.Len(t, indexed, len(types))
}
