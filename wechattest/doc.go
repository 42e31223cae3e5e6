// Package wechattest plays WeChat in memory, with its real rules: how tokens follow each other, quotas, whitelists,
// tickets, the order of checks and the wording of refusals. It shares no code with the rest of this module, so that a
// mistake on one side does not agree with itself on the other.
//
//	wx := new(wechattest.Server)
//	wx.AddApp("wx1234567890abcdef", "secret")
//	api := wx.Client() // an *http.Client that reaches wx, whatever the host of the URL
//
// The same Server is an http.Handler, for tests that want sockets or other languages; cmd/wechattest is a program made
// of it. Time is time.Now, so inside a testing/synctest bubble a day passes at once.
//
// # What is played
//
// On api.weixin.qq.com: cgi-bin/token and stable_token, ticket/getticket, clear_quota, clear_quota/v2,
// openapi/quota/get, getcallbackip, get_api_domain_ip, menu/create, menu/get, menu/delete, message/custom/send,
// message/template/send, message/subscribe/send, media/upload, media/get, media/uploadimg, material/add_material,
// user/info, user/info/batchget, user/get, qrcode/create, wxa/getwxacode and wxa/getwxacodeunlimit.
// On qyapi.weixin.qq.com: gettoken, get_jsapi_ticket, ticket/get, message/send, media/upload, media/get, media/uploadimg,
// menu/create, menu/get, menu/delete, user/get, user/list, department/list, getcallbackip and get_api_domain_ip.
//
// A request for one of WeChat's hosts is served by the paths of that host. Under any other name the owner of the token
// decides which host's path is meant. A path that the host does not have answers errcode 40066 with status 200.
//
// Messages may be sent to any openid or userid, with any template id and media_id. user/info knows every openid as a
// follower, except those of [Server.Follow]; user/get of WeCom knows every userid, until a [Person] is added. Pictures
// of media/uploadimg and permanent material are checked and not kept.
//
// [App.IPs] is a whitelist for token calls. With [App.IPsForAll] it is one for all calls of the app: 40164, in WeCom
// 60020. WeChat's pages disagree on which accounts have it so.
//
// # Tokens
//
// Window below is five minutes, or a quarter of [App.Life] where that is less, so that short lives keep the proportions.
//
//	cgi-bin/token   A new token with every call. The one before lives for the window at most, older ones end at once.
//	stable_token    The same token while the window remains of it, then a new one; the old one lives to its end.
//	                Forced, the old one ends at once. Forcing again within 30 s (or life/240) does nothing.
//	gettoken        The same token until its end, then a new one.
//
// The rules are those of https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken and its
// neighbours, and for WeCom of https://developer.work.weixin.qq.com/document/path/91039.
//
// Classic and stable tokens do not touch each other. A token cut short by a newer one is answered 40001, one that lived
// to its end 42001, one the Server never gave 40014.
//
// Where WeChat says nothing the Server chooses: more forced refreshes than [App.ForceQuota] a day answer 45009, days are
// Beijing's, a body above 1 MiB answers 45002 and an upload above 10 MiB (in WeCom 20) 45001, a ticket stays the same until the window
// is reached, a WeCom secret that is frozen answers 50003, and a QR code with more than 30 days to live answers 40053.
//
// # Messages and events
//
// Package [github.com/wetoken/wetoken/wechattest/push] sends them to an app. [Server.Scan] makes a person scan a QR code of
// qrcode/create, which pushes SCAN or subscribe.
//
// # Logging in
//
// On open.weixin.qq.com the pages connect/oauth2/authorize and connect/qrconnect, on login.work.weixin.qq.com the page
// wwlogin/sso/login, on open.work.weixin.qq.com the older wwopen/sso/qrConnect: they refuse parameters out of WeChat's
// order and a host other than [App.RedirectDomain] (10003), and ask the [Person] who browses for consent, on a page with
// buttons unless [Server.Browse] says how it is answered. A code works once, for 5 minutes, a website's for 10. Then sns/oauth2/access_token and refresh_token, sns/userinfo, sns/auth;
// in WeCom auth/getuserinfo, the older user/getuserinfo, and auth/getuserdetail; for mini programs, to which [Server.MiniCode] and [Server.PhoneCode] give
// codes, sns/jscode2session, wxa/checksession, wxa/resetusersessionkey and wxa/business/getuserphonenumber. Each
// jscode2session makes a new session_key. Expired codes answer 42003, though WeChat mostly says 40029.
//
// On res.wx.qq.com the script open/js/jweixin-1.6.0.js, which has wx.config, wx.agentConfig, wx.addCard and wx.chooseCard
// judged by the Server it was loaded from, as WeChat's judges them: config:ok, config:invalid signature, config:invalid
// url domain. Other calls succeed when they are in jsApiList, and do nothing.
//
// # Driving it over HTTP
//
// These calls take and answer JSON with the field names of the Go types; durations are seconds. They are served under
// loopback names and addresses and those of [Server.ControlHosts]. A POST of a page of another origin is refused.
//
//	POST /_wechattest/apps     {"id","secret","kind","agent_id","life","ips",…}          adds or changes an app
//	POST /_wechattest/people   {"name","nickname","headimgurl","phone","userid",…}       adds or changes a Person
//	POST /_wechattest/browse   {"person","consent"}                                      consent: ask, allow, deny, snapshot
//	POST /_wechattest/departments {"corp","id","name","parentid","order"}                adds or changes a Department
//	POST /_wechattest/follow  {"app","person","follows"}                                 follows or not
//	GET  /_wechattest/openid?app=&person=                                                {"openid"}
//	POST /_wechattest/mini_code, phone_code   {"app","person"}                           {"code"}
//	POST /_wechattest/user_data, phone_data   {"app","person"}                           an OpenData
//	POST /_wechattest/fail     {"path","app","times","code","status","cut","hang","delay","after_work","late","bom","numbers",…}
//	POST /_wechattest/heal                                                               ends all faults
//	POST /_wechattest/revoke   {"token"}                                                 40001, and a new one is given
//	POST /_wechattest/refuse   {"token"}                                                 40001, but still handed out
//	POST /_wechattest/expire   {"token"}                                                 42001
//	GET  /_wechattest/check?token=                                                       {"errcode":0}
//	GET  /_wechattest/calls?path=&app=                                                   {"calls":3}
//	GET  /_wechattest/tokens?app=                                                        a list of Token
//	GET  /_wechattest/sent                                                               a list of Message
//	POST /_wechattest/push     {"app","url","token","aes_key","kind","mode",…,"push":{"from","content","event",…}}   answers a push.Result, when it is over
//	POST /_wechattest/scan    {"app","url","token",…,"ticket","person"}                  scans a QR code; answers a push.Result
//	POST /_wechattest/push/verify  {"app","url","token",…}                               checks a callback URL
//
// Any program that reaches the Server may call them: keep it on a loopback address or a test network.
package wechattest
