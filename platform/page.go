package platform

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// PreAuthCode returns a pre_auth_code (预授权码) that is good for 5 minutes at least, and that no process with the same Store has
// returned before: WeChat may accept a code for one authorization only. If WeChat issues no other one, such as beyond its quota, the
// last one is returned again.
func (p *Platform) PreAuthCode(ctx context.Context) (wechat.Credential, error) {
	p.init()
	c, err := p.preAuth.Get(ctx)
	for range claimTries {
		if err != nil {
			break
		}
		left := time.Until(c.Expires)
		if left > minPreAuth && p.claimPreAuthCode(ctx, c.Value, left) {
			return c, nil
		}
		next, failed := p.preAuth.Renew(ctx, c.Value)
		if failed != nil && left > minPreAuth {
			return c, nil
		}
		c, err = next, failed
	}
	return c, p.wrapError(err)
}

// claimPreAuthCode reports whether a code was not returned before. Without a store that works it may have been.
func (p *Platform) claimPreAuthCode(ctx context.Context, code string, left time.Duration) bool {
	sum := sha256.Sum256([]byte(code))
	claimed, err := p.store().Swap(ctx, p.key("preauth/"+hex.EncodeToString(sum[:16])), nil, []byte("1"), left)
	return claimed || err != nil
}

const (
	minPreAuth = 5 * time.Minute // least life of a pre_auth_code that is returned; a new one has 10 or 30 minutes
	claimTries = 50              // codes that other requests take first
)

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
