package oauth

import (
	"bytes"
	_ "embed"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
)

// page is the page that a visitor sees when a login fails.
type page struct {
	notice
	reason   string // the reason, for developers
	linkURL  string // address of the link; default one of the site
	linkText [2]string
}

// notice is the text of a page, in Chinese and English.
type notice struct {
	status      int
	title, text [2]string
}

var (
	noticeTo = notice{403,
		[2]string{"不能返回该网址", "Cannot return there"},
		[2]string{"登录后要返回的网址不在本应用允许的网站之内，请从原网站重新进入。", "The address to return to after login is not on a site of this app. Please start from the site you came from."}}
	noticeRequest = notice{400,
		[2]string{"登录链接有误", "Faulty login link"},
		[2]string{"登录链接的参数不正确，请从原网站重新进入。", "This login link is not right. Please start from the site you came from."}}
	noticeParameter = notice{400,
		[2]string{"登录链接有误", "Faulty login link"},
		[2]string{"登录链接中有无法识别的参数，通常是返回网址没有经过编码。请从原网站重新进入，或联系网站管理员。", "This login link has parameters that it should not have: most likely the address to return to was not encoded. Please start from the site you came from, or contact its operator."}}
	noticeQRCode = notice{400,
		[2]string{"扫码登录不提供敏感信息", "No private information by QR code"},
		[2]string{"用企业微信扫码登录，不会提供手机号、邮箱、头像等敏感信息。请在企业微信中打开本页，或继续以基本信息登录。", "A login by WeCom's QR code brings no private information, such as mobile number, mail and picture. Please open this page in WeCom, or go on without."}}
	noticeExpired = notice{410,
		[2]string{"登录已过期", "Login expired"},
		[2]string{"这次登录已经结束，或已超过 10 分钟，请重新登录。", "This login has ended, or began more than 10 minutes ago. Please log in again."}}
	noticeUsed = notice{410,
		[2]string{"登录链接已使用", "Login link used before"},
		[2]string{"每次登录的链接只能使用一次，请重新登录。", "The link of a login works once. Please log in again."}}
	noticeBrowser = notice{403,
		[2]string{"请在原浏览器中登录", "Another browser's login"},
		[2]string{"这次登录是在另一个浏览器中开始的，或者浏览器没有保存 Cookie，请在这里重新登录。", "This login began in another browser, or yours keeps no cookies. Please log in again here."}}
	noticeDeclined = notice{403,
		[2]string{"登录已取消", "Login cancelled"},
		[2]string{"您没有同意授权，因此未能登录。", "You did not give consent, so you are not logged in."}}
	noticeSnapshot = notice{403,
		[2]string{"请使用完整服务", "Full service needed"},
		[2]string{"当前是快照页，无法登录。请点击页面右下角的“使用完整服务”。", "You are looking at a snapshot of the page, which cannot log you in. Please tap “Use Full Service” at the bottom right."}}
	noticeCode = notice{400,
		[2]string{"授权码无效", "Login code not valid"},
		[2]string{"微信的授权码无效、已过期或已使用，请重新登录。", "WeChat's code is not valid, has expired or was used before. Please log in again."}}
	noticeRefused = notice{502,
		[2]string{"微信拒绝了登录", "WeChat refused the login"},
		[2]string{"请稍后重试；如果问题依旧，请联系网站管理员。", "Please try again later, or contact the operator of this site."}}
	noticeUnavailable = notice{503,
		[2]string{"暂时无法登录", "Login not possible now"},
		[2]string{"服务暂时不可用，请稍后重试。", "The service is not available right now. Please try again later."}}
	noticeTooMany = notice{429,
		[2]string{"登录过于频繁", "Too many logins"},
		[2]string{"登录请求过于频繁，请一分钟后再试。", "There were too many logins. Please wait a minute, and try again."}}
	noticeRisk = notice{400,
		[2]string{"微信限制了登录", "WeChat blocks this login"},
		[2]string{"微信的风险控制限制了您的账号，暂时无法登录。", "WeChat's risk control blocks your account, so you cannot log in."}}
	noticeBackend = notice{502,
		[2]string{"网站没有响应", "The site does not answer"},
		[2]string{"微信登录成功，但网站未能接收，请稍后重试。", "WeChat has logged you in, but the site did not take it. Please try again later."}}
	noticeMember = notice{403,
		[2]string{"仅限企业成员", "Members only"},
		[2]string{"此页面只对本企业的成员开放，请使用成员身份登录。", "This page is for members of the company. Please log in as one."}}
	noticeLogin = notice{401,
		[2]string{"请先登录", "Please log in"},
		[2]string{"登录后才能进行此操作，请从网站页面重新进入。", "This needs a login. Please start from one of the site's pages."}}
)

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// writePage writes a page in the language of the browser, with a link to continue.
func (l *Login) writePage(w http.ResponseWriter, r *http.Request, p page) {
	i, lang := 0, "zh-CN"
	if prefersEnglish(r.Header.Get("Accept-Language")) {
		i, lang = 1, "en"
	}
	switch {
	case p.linkURL == "":
		p.linkURL, p.linkText = l.homeURL(r), [2]string{"返回网站", "Back to the site"}
	case p.linkText[i] == "":
		p.linkText = [2]string{"重新登录", "Log in again"}
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, map[string]string{
		"Lang": lang, "Title": p.title[i], "Text": p.text[i], "Why": p.reason, "URL": p.linkURL, "Again": p.linkText[i],
	})
	if err != nil {
		slog.ErrorContext(r.Context(), "write login page", "error", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Language")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.status)
	if r.Method != http.MethodHead {
		w.Write(b.Bytes())
	}
}

// prefersEnglish reports whether a browser prefers English to Chinese. Pages are in Chinese by default.
func prefersEnglish(accept string) bool {
	best := map[string]float64{}
	for _, entry := range strings.SplitN(accept, ",", 20) {
		tag, params, _ := strings.Cut(strings.TrimSpace(entry), ";")
		tag, _, _ = strings.Cut(strings.ToLower(tag), "-")
		q := 1.0
		if value, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			parsed, err := strconv.ParseFloat(value, 64)
			if err != nil {
				continue
			}
			q = parsed
		}
		best[tag] = max(best[tag], q)
	}
	return best["en"] > best["zh"]
}
