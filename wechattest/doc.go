// Package wechattest simulates WeChat in memory, with its real rules: how tokens follow each other, quotas, whitelists,
// tickets, the order of checks and the texts of errors. It shares no code with the rest of this module, so that a
// mistake on one side cannot agree with itself on the other.
//
//	wx := new(wechattest.Server)
//	wx.AddApp("wx1234567890abcdef", "secret")
//	api := wx.Client() // an *http.Client that reaches wx, whatever the host of the URL
//
// The same Server is an http.Handler, for tests with sockets or in other languages; cmd/wechattest is a program made of
// it. It uses time.Now, so inside a testing/synctest bubble a day passes at once.
//
// # Endpoints
//
// On api.weixin.qq.com: cgi-bin/token and stable_token, ticket/getticket, clear_quota, clear_quota/v2,
// openapi/quota/get, getcallbackip, get_api_domain_ip, menu/create, menu/get, menu/delete, message/custom/send,
// message/template/send, message/subscribe/send, media/upload, media/get, media/uploadimg, material/add_material,
// user/info, user/info/batchget, user/get, qrcode/create, wxa/getwxacode, wxa/getwxacodeunlimit
// and wxa/sec/order/upload_shipping_info.
// On qyapi.weixin.qq.com: gettoken, get_jsapi_ticket, ticket/get, message/send, media/upload, media/get, media/uploadimg,
// menu/create, menu/get, menu/delete, user/get, user/list, department/list, getcallbackip and get_api_domain_ip.
//
// A request for a WeChat host is served by the paths of that host. Under any other name the owner of the token
// decides which host is meant. The reply for an unknown path is errcode 40066 with status 200.
//
// Messages may be sent to any openid or userid, with any template id and media_id, except subscribe messages of an app with
// [App.Templates]. user/info knows every openid as a
// follower, except those of [Server.Follow]; user/get of WeCom knows every userid, until a [Person] is added. Pictures
// of media/uploadimg and permanent material are checked and not kept.
//
// [App.IPs] is a whitelist for token calls. With [App.IPsForAll] it applies to all calls of the app: 40164, in WeCom
// 60020. WeChat's pages disagree on which accounts do so.
//
// # Tokens
//
// Window below is five minutes, or a quarter of [App.Life] where that is less, so that short lives keep the proportions.
//
//	cgi-bin/token   A new token with every call. The one before stays valid for the window at most, older ones end at once.
//	stable_token    The same token while the window remains of it, then a new one; the old one stays valid to its end.
//	                Forced, the old one ends at once. Forcing again within 30 s (or life/240) does nothing.
//	gettoken        The same token until its end, then a new one.
//
// The rules are those of https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken and its
// neighbours, and for WeCom of https://developer.work.weixin.qq.com/document/path/91039.
//
// Classic and stable tokens do not affect each other. The errcode of a token that a newer one cut short is 40001, of one
// that expired 42001, of an unknown one 40014.
//
// WeChat does not document these rules of the Server: more forced refreshes than [App.ForceQuota] a day get 45009, days
// are those of Beijing, a body above 1 MiB gets 45002 and an upload above 10 MiB (in WeCom 20) 45001, a ticket stays the
// same until the window is reached, a frozen WeCom secret gets 50003, and a QR code for more than 30 days gets 40053.
//
// # Messages and events
//
// Package [github.com/wetoken/wetoken/wechattest/push] sends them to an app. [Server.Scan] makes a person scan a QR code of
// qrcode/create, which pushes SCAN or subscribe.
//
// # Logging in
//
// On open.weixin.qq.com the pages connect/oauth2/authorize and connect/qrconnect, on login.work.weixin.qq.com the page
// wwlogin/sso/login, on open.work.weixin.qq.com the older wwopen/sso/qrConnect: they refuse parameters that are
// not in WeChat's order and a host other than [App.RedirectDomain] (10003), and ask the [Person] who browses for consent, on a page with
// buttons unless [Server.Browse] has set the answer. A code works once, for 5 minutes, a website's for 10. Then sns/oauth2/access_token and refresh_token, sns/userinfo, sns/auth;
// in WeCom auth/getuserinfo, the older user/getuserinfo, and auth/getuserdetail; for mini programs, to which [Server.MiniCode] and [Server.PhoneCode] give
// codes, sns/jscode2session, wxa/checksession, wxa/resetusersessionkey and wxa/business/getuserphonenumber. Each
// jscode2session makes a new session_key. Expired codes answer 42003, though WeChat mostly says 40029.
//
// On res.wx.qq.com the script open/js/jweixin-1.6.0.js, which has the Server that it was loaded from check
// wx.config, wx.agentConfig, wx.addCard and wx.chooseCard, with the same results: config:ok, config:invalid signature, config:invalid
// url domain. Other calls succeed if they are in jsApiList, and do nothing.
//
// # Third-party platforms
//
// A [Platform] gets a component_verify_ticket every 10 minutes while [Server.Run] runs. On api.weixin.qq.com it calls
// cgi-bin/component/api_start_push_ticket, api_component_token, api_create_preauthcode, api_query_auth, api_authorizer_token,
// api_get_authorizer_info and api_get_authorizer_list (500 at once), and for logins sns/oauth2/component/access_token and
// refresh_token, and sns/component/jscode2session. On mp.weixin.qq.com administrators authorize it at cgi-bin/componentloginpage and
// safe/bindcomponent; it then gets authorized, updateauthorized and, after [Server.Unauthorize], unauthorized. An app that was added
// is an account that may authorize it. Messages of such an account are sent by [Server.PlatformMessages], and [Server.CheckRelease]
// makes the release check (全网发布检测).
//
// WeChat does not document these rules: each api_component_token and api_authorizer_token issues a new token, and the one before stays
// valid for the window; a pre_auth_code is used up by one authorization; and the errcode of a token whose authorization was revoked
// is 40001.
//
// # Playing a mini program
//
// A web page whose origin is one of [App.Players] plays a mini program with the script /phone/mini/wx.js, which gives it
// wx.login, wx.requestSubscribeMessage, and buttons with the open-type getPhoneNumber and chooseAvatar. A sheet asks the
// person. The script itself says how a page loads it. paytest's script adds wx.requestPayment.
//
// # WeChat Pay
//
// Package [github.com/wetoken/wetoken/wechattest/paytest] simulates it with a Server of its own. [Server.FindPayment] finds its payments for
// the shipping information of mini programs (发货信息), which is checked as WeChat's page says: it changes once after all was shipped. The
// page gives no errcode for an upload_time that is not newer, nor for SF without a contact: these are 10060014.
//
// # Control over HTTP
//
// The bodies and replies of these calls are JSON with the field names of the Go types; durations are seconds. They are
// served under loopback names and addresses and those of [Server.ControlHosts]. A POST by a page of another origin is
// refused.
//
//	POST /_wechattest/apps     {"id","secret","kind","agent_id","life","ips",…}          adds or changes an app
//	POST /_wechattest/people   {"name","nickname","headimgurl","phone","userid",…}       adds or changes a Person
//	POST /_wechattest/browse   {"person","consent"}                                      consent: ask, allow, deny, snapshot
//	POST /_wechattest/departments {"corp","id","name","parentid","order"}                adds or changes a Department
//	POST /_wechattest/follow  {"app","person","follows"}                                 follows or not
//	GET  /_wechattest/openid?app=&person=                                                {"openid"}
//	POST /_wechattest/mini_code, phone_code   {"app","person"}                           {"code"}
//	POST /_wechattest/user_data, phone_data   {"app","person"}                           an OpenData
//	POST /_wechattest/accept   {"app","person","template"}                               accepts one subscribe message
//	POST /_wechattest/fail     {"path","app","times","code","status","cut","hang","delay","after_work","late","bom","numbers",…}
//	POST /_wechattest/heal                                                               removes all faults
//	POST /_wechattest/revoke   {"token"}                                                 40001, and the next fetch issues a new one
//	POST /_wechattest/refuse   {"token"}                                                 40001, but still returned
//	POST /_wechattest/expire   {"token"}                                                 42001
//	GET  /_wechattest/check?token=                                                       {"errcode":0}
//	GET  /_wechattest/calls?path=&app=                                                   {"calls":3}
//	GET  /_wechattest/tokens?app=                                                        a list of Token
//	GET  /_wechattest/sent                                                               a list of Message
//	POST /_wechattest/push     {"app","url","token","aes_key","kind","mode",…,"push":{"from","content","event",…}}   replies with a push.Result when it is over
//	POST /_wechattest/scan    {"app","url","token",…,"ticket","person"}                  scans a QR code; replies with a push.Result
//	POST /_wechattest/push/verify  {"app","url","token",…}                               checks a callback URL
//	POST /_wechattest/platforms    {"id","secret","token","aes_key","event_url","message_url",…}  adds or changes a Platform
//	POST /_wechattest/platform/ticket        {"platform"}                                pushes a component_verify_ticket; replies with a push.Result
//	POST /_wechattest/platform/stop_tickets  {"platform"}                                until api_start_push_ticket
//	POST /_wechattest/platform/end_ticket    {"platform","ticket"}                       61005
//	POST /_wechattest/platform/authorize     {"platform","app"}                          {"code"}, after the notice
//	POST /_wechattest/platform/unauthorize   {"platform","app"}                          replies with the push.Result of the notice
//	POST /_wechattest/platform/push          {"platform","app","push":{…}}               a message to an account of the platform
//	POST /_wechattest/platform/release       {"platform"}                                the release check: a list of ReleaseStep
//	GET  /_wechattest/platform/tickets?platform=                                         a list of tickets, the newest first
//
// Any program that reaches the Server may use them: serve it only on a loopback address or a test network.
package wechattest
