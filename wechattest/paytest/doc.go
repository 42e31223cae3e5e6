// Package paytest simulates WeChat Pay (微信支付) in memory, API v3 and v2, with its real rules: signatures over the bytes as sent, its codes
// and messages, notifications with its retries. It shares no code with the rest of this module, so that both sides do not
// share a mistake.
//
//	pay := new(paytest.Server)
//	shop := pay.AddMerchant(paytest.Merchant{MchID: "1900000001", AppIDs: []string{"wx1234567890abcdef"}})
//	api := pay.Client() // an *http.Client that reaches pay, whatever the host of the URL; shop has the keys
//
// The same Server is an http.Handler, for tests that want sockets or other languages; cmd/wechattest serves it beside
// WeChat. Time is time.Now, so inside a testing/synctest bubble a day passes at once: make the Server in the bubble and
// Close it there.
//
// # Calls
//
//	/v3/certificates                                platform certificates, for merchants whose [Mode] has them
//	/v3/pay/transactions/…                          jsapi, native, app, h5, codepay; query, close, reverse
//	/v3/pay/partner/transactions/…                  the same for service providers
//	/v3/combine-transactions/…                      combined orders: place, query, close
//	/v3/refund/domestic/refunds…                    refunds, their query, abnormal refunds
//	/v3/bill/tradebill, /v3/bill/fundflowbill       and /v3/billdownload/file
//	/v3/fund-app/mch-transfer/transfer-bills…       transfers to users, and those of a provider's sub-merchants
//	/v3/profitsharing/…                             receivers, orders, return-orders, unfreeze, amounts
//	/v3/merchant-service/complaints-v2…             list, query, history, response, complete; complaint-notifications
//	…/upload                                        media, checked and not kept
//
// Any other path answers 404, another method 405, with an empty body.
//
// A call is checked in this order: path and method; Accept and User-Agent; Authorization's form, time, serial and
// signature, which covers method, path and query as they were sent, and the body's bytes, of an upload its meta; the
// mchid; the JSON and its fields; then the business. Accept may be a list, a serial in any case, a nonce from one
// character. Successful answers are signed, except downloads; refusals are not.
//
// # Calls of v2
//
//	/pay/unifiedorder, /pay/orderquery, /pay/closeorder     orders: JSAPI, NATIVE, APP, MWEB
//	/pay/micropay, /secapi/pay/reverse                      payment codes; /tools/authcodetoopenid
//	/secapi/pay/refund, /pay/refundquery                    refunds
//	/pay/downloadbill, /pay/downloadfundflow                bills: text, or gzip
//	/mmpaymkttransfers/…                                    promotion/transfers, gettransferinfo, sendredpack, gethbinfo
//	/sandboxnew/pay/…, /xdc/apiv2sandbox/pay/…              the sandboxes, whose keys are at
//	/sandboxnew/pay/getsignkey, /xdc/apiv2getsignkey/sign/getsignkey
//
// They are another way to the same orders, refunds, payers and bills. A call is checked in this order: the client
// certificate, of the calls below /secapi/ and /mmpaymkttransfers/ and of downloadfundflow; method; XML, which is flat; the
// merchant and its appid; the signature, MD5 or HMAC-SHA256 as its sign_type says, by [Merchant.APIKey]; whose the certificate is;
// the fields; then the business. A call that fails before the business is answered with return_code FAIL and a
// text, without signature; then result_code FAIL and an err_code are signed. Answers of /mmpaymkttransfers/ are not.
//
// A client shows a certificate through [Server.TLSClient], or over sockets to a Server that is served with a tls.Config whose
// ClientAuth is tls.RequestClientCert. It is [Merchant.Certificate] of the merchant that signs; without one the answer is the
// proxy's 400 in HTML.
//
// An order is notified in the form of the version that placed it, a refund in that of the version that asked for it, one of
// [Server.RefundInConsole] in that of v2. A notification of v2 is acknowledged by status 200 and XML with return_code
// SUCCESS alone. Its bytes are the same in each attempt.
//
// Each sandbox has orders and refunds of its own and needs no certificate. The old one takes MD5 and WeChat's amounts alone, and
// pays and refunds at once; the other one takes payment codes alone, any of them, and refuses with the code that the header
// Wechatpay-Negative-Test names.
//
// # Orders
//
// An order with the same parameters gets the same prepay_id for 2 hours, then another. One with other parameters answers
// INVALID_REQUEST, another way to pay OUT_TRADE_NO_USED, a paid one ORDER_PAID, a closed one ORDER_CLOSED. Its time_expire ends
// only paying: it stays NOTPAY until it is closed. Any refund makes it REFUND.
//
// [Server.Pay] pays one; between [Server.StartPaying] and [Server.CancelPaying] closing answers 202 USER_PAYING; [Server.PayLate]
// pays one that is closed. [Server.PayCode] returns a payment code for codepay.
//
// A refund stays PROCESSING until [Server.FinishRefund], or for [Server.RefundAfter]. Partial ones of an order are taken a
// minute apart, 50 at most, within 365 days, from the balance of the merchant. A transfer waits for its user until
// [Server.FinishTransfer]; after 26 hours it fails by itself. Bills list what happened, from 10:00 of the next day; [Server.AddBill]
// replaces one. A download URL lives for 30 seconds.
//
// # The phone
//
// A person sees a payment as a [Sheet] (收银台), whichever way leads there ([Entry]): a code_url that is scanned; the
// parameters that a page or mini program calls with, whose paySign, appId, page and payer are checked; an h5_url, whose
// Referer and age are. [Server.OpenSheet], [Server.AnswerSheet] and [Server.WaitSheet] are its calls. In a browser it is
//
//	GET /phone                                      a page to paste the text of a QR code, parameters, an h5_url, or a page's address
//	GET /cgi-bin/mmpayweb-bin/checkmweb             the page of an h5_url, which is of the Server where the order came to an address that is not WeChat's
//	GET /phone/pay/bridge.js                        WeixinJSBridge, wx.chooseWXPay and wx.requestPayment, for pages that load it
//
// and all else that these need, below /phone/pay/. The pages need no script. [Serves] has these paths, too. The script takes the
// appid of wx.requestPayment from its own attribute data-appid.
//
// # Notifications
//
// They go through [Server.Transport], which a test in a synctest bubble has to set, until they are answered 200 or 204 within 5 seconds: a payment's or refund's up to 15 times more in
// a day, a complaint's for a week. Each attempt has a new signature; the sealed part stays the same, so one that was
// sealed before [Server.SetAPIv3Key], or made before [Server.SetAPIKey], keeps the key of then. [Server.Deliveries] returns all attempts. [Server.Notify] sends any other notification.
//
// # Faults
//
// [Server.AddFault] makes calls fail: no connection, an answer lost after its effect, any code or status, an answer that is unsigned,
// forged, a probe. In v2 the code FAIL is a refusal with a text and no code, and codes of v3 become those of v2. [Server.AddNotificationFault] does it to notifications: lost, late, overtaken, in copies, forged. [NoCertificates] returns
// WeChat's refusals for merchants without certificates.
//
// # Choices
//
// Where WeChat's pages say nothing, or disagree, the Server chooses: notify_url may be http and must have no query; a reversed
// payment code order is REVOKED; a paid codepay order sent again answers ORDER_PAID; an unpaid order never closes by itself;
// a payment code works for a minute; a used or unknown one answers AUTH_CODE_INVALID; a sharing is PROCESSING for 10 seconds;
// an h5_url works at any IP address, for 5 minutes from the last order with the same parameters;
// transfers of sub-merchants name them by sub_mchid in body and query. In v2 a sign has capital letters; values have characters of up to 3 bytes; an order is closed at any age, a closed one answers
// ORDERCLOSED; the certificate of another merchant answers CERT_ERROR or CA_ERROR, an unknown or old one the proxy's 400; an order
// of one version placed by the other answers OUT_TRADE_NO_USED, and is refunded by the other version by transaction_id alone;
// old transfers and red packets arrive at once. Appids take any openid, and nothing is limited in its rate:
// add a fault.
//
// # Driving it over HTTP
//
// These calls take and answer JSON; durations are seconds. They are served under loopback names and addresses and those of
// [Server.ControlHosts]. A POST of a page of another origin is refused.
//
//	POST /_paytest/merchants     {"mchid","name","appids","subs","api_v3_key","api_key","balance","mode","pay_pages","h5_domains","refund_url","private_key","certificate"}   adds a merchant; answers a Merchant with its keys
//	GET  /_paytest/merchant?mchid=                                        a Merchant
//	POST /_paytest/mode          {"mchid","mode","percent"}               public_key, certificates, switching, switched
//	POST /_paytest/api_v3_key    {"mchid","key"}
//	POST /_paytest/api_key       {"mchid","key"}                          of v2
//	POST /_paytest/rotate        {"mchid","after"}                        {"serial_no"}
//	POST /_paytest/deposit       {"mchid","fen"}                          {"balance"}
//	POST /_paytest/pay           {"mchid","out_trade_no","openid","late"} {"transaction_id"}
//	POST /_paytest/start_paying  {"mchid","out_trade_no"}
//	POST /_paytest/cancel_paying {"mchid","out_trade_no"}
//	POST /_paytest/open_sheet    {"code_url"} or {"params","page"} or {"h5_url","referer"}, and {"openid"}   a Sheet
//	POST /_paytest/answer_sheet  {"id","do","openid"}                     a Sheet; do is pay, cancel, fail or wait
//	POST /_paytest/pay_code      {"openid","asks"}                        {"auth_code"}
//	POST /_paytest/refund        {"mchid","out_refund_no","status"}       SUCCESS, ABNORMAL, CLOSED
//	POST /_paytest/refund_in_console {"mchid","out_trade_no","fen"}       {"out_refund_no"}
//	POST /_paytest/transfer      {"mchid","out_bill_no","state","fail_reason"}
//	POST /_paytest/complain      {"mchid","out_trade_no","detail","phone"} {"id"}
//	POST /_paytest/bill          {"mchid","kind","date","text","wrong_hash"}
//	POST /_paytest/notify        {"mchid","url","event_type","original_type","summary","create_time","plain"}
//	POST /_paytest/fail          {"method","path","host","mchid","times","refuse","reset","code","message","status","body","sign","delay","after_work","late"}
//	POST /_paytest/disturb       {"mchid","event_type","times","lost","delay","copies","apart","sign","attempts"}
//	POST /_paytest/heal                                                   ends all faults
//	GET  /_paytest/order?mchid=&out_trade_no=                             an Order
//	GET  /_paytest/orders?mchid=                                          a list of Order
//	GET  /_paytest/prepaid?id=                                            the Order of a prepay_id or code_url
//	GET  /_paytest/sheet?id=&wait=                                        a Sheet; with wait when it ended, or after these seconds, 60 at most
//	GET  /_paytest/sheets                                                 a list of Sheet
//	GET  /_paytest/complaints?mchid=                                      a list of Complaint
//	GET  /_paytest/deliveries                                             a list of Delivery
//	GET  /_paytest/calls?path=                                            {"calls":3}
//
// Any program that reaches the Server may call them: keep it on a loopback address or a test network.
package paytest
