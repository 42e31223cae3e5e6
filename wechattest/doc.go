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
// message/template/send, message/subscribe/send, media/upload, media/get, user/info and wxa/getwxacodeunlimit.
// On qyapi.weixin.qq.com: gettoken, get_jsapi_ticket, ticket/get, message/send, user/get, getcallbackip and
// get_api_domain_ip. A path nobody knows answers errcode 40066; one that another host knows does so with status 404.
// There are no users: every openid, userid, template id and media_id to be sent is taken as it is.
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
// Beijing's, a body above 1 MiB answers 45002 and an upload above 10 MiB 45001, a ticket stays the same until the window
// is reached, and a WeCom secret that is frozen answers 50003.
//
// # Driving it over HTTP
//
// These calls take and answer JSON with the field names of the Go types; durations are seconds. They are refused under
// WeChat's own host names.
//
//	POST /_wechattest/apps     {"id","secret","kind","agent_id","life","ips",…}          adds or changes an app
//	POST /_wechattest/fail     {"path","app","times","code","status","cut","hang","delay","after_work",…}
//	POST /_wechattest/heal                                                               ends all faults
//	POST /_wechattest/revoke   {"token"}                                                 40001, and a new one is given
//	POST /_wechattest/refuse   {"token"}                                                 40001, but still handed out
//	POST /_wechattest/expire   {"token"}                                                 42001
//	GET  /_wechattest/check?token=                                                       {"errcode":0}
//	GET  /_wechattest/calls?path=&app=                                                   {"calls":3}
//	GET  /_wechattest/tokens?app=                                                        a list of Token
//	GET  /_wechattest/sent                                                               a list of Message
//
// Anybody who reaches the Server may call them: keep it on a loopback address or a test network.
package wechattest
