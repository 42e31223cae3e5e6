package platform

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/wirejson"
	"github.com/wetoken/wetoken/wechat"
)

// Page is the page on which the administrator of an account authorizes the platform (授权页).
type Page struct {
	// RedirectURI is where WeChat sends the browser with auth_code and expires_in. Its host, and that of the page that leads to
	// WeChat's, must be the platform's (授权发起页域名).
	RedirectURI string

	Type   int    // the accounts to choose from: 1 official accounts, 2 mini programs, 3 both; default 3
	AppID  string // the only account that may be chosen; Type does not matter then. Default any
	Mobile bool   // the page for phones, inside WeChat; default the one with a QR code
}

// AuthorizeURL returns the address of a page with a pre_auth_code, and the end of that.
func (p *Platform) AuthorizeURL(ctx context.Context, page Page) (address string, expires time.Time, err error) {
	c, err := p.PreAuthCode(ctx)
	if err != nil {
		return "", expires, err
	}
	base := strings.TrimSuffix(cmp.Or(p.MPURL, MPURL), "/")
	path, end := "/cgi-bin/componentloginpage?", ""
	if page.Mobile {
		path, end = "/safe/bindcomponent?action=bindcomponent&no_scan=1&", "#wechat_redirect"
	}
	query := "component_appid=" + url.QueryEscape(p.AppID) + "&pre_auth_code=" + url.QueryEscape(c.Value) + "&redirect_uri=" + url.QueryEscape(page.RedirectURI)
	if page.AppID != "" { // WeChat takes one of the two
		query += "&biz_appid=" + url.QueryEscape(page.AppID)
	} else {
		query += fmt.Sprintf("&auth_type=%d", cmp.Or(page.Type, 3))
	}
	return base + path + query + end, c.Expires, nil
}

// PreAuthCode returns a pre_auth_code (预授权码) that is good for 5 minutes at least. Authorizations share it until one of them has used
// it: see UsedPreAuthCode.
func (p *Platform) PreAuthCode(ctx context.Context) (wechat.Credential, error) {
	p.init()
	c, err := p.preAuth.Get(ctx)
	if err == nil && time.Until(c.Expires) < minPreAuth {
		c, err = p.preAuth.Renew(ctx, c.Value)
	}
	return c, p.wrapError(err)
}

// minPreAuth is the least life of a pre_auth_code that is handed out. A new one has 10 or 30 minutes.
const minPreAuth = 5 * time.Minute

// UsedPreAuthCode replaces the pre_auth_code if it is the one that an account has used, by the PreAuthCode of the notice authorized.
func (p *Platform) UsedPreAuthCode(ctx context.Context, code string) error {
	p.init()
	if code == "" {
		return nil
	}
	_, err := p.preAuth.Renew(ctx, code)
	return p.wrapError(err)
}

func (p *Platform) fetchPreAuthCode(ctx context.Context) (c wechat.Credential, err error) {
	var answer struct {
		Code      string       `json:"pre_auth_code"`
		ExpiresIn wirejson.Int `json:"expires_in"`
	}
	start := time.Now()
	if err := p.call(ctx, "api_create_preauthcode", nil, &answer); err != nil {
		return c, err
	}
	return credential(answer.Code, answer.ExpiresIn, start)
}
