package gateway

import (
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/relay"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechat"
)

// LoginForm returns the handler of logins that end at a path below the app, such as /auth, or nil unless the app is an official
// account. A call that begins with / is below the public URL of this server.
func (a ServedApp) LoginForm(path, scope string, reply func(http.ResponseWriter, *http.Request, oauth.FormEnd)) *oauth.Form {
	if a.Kind() != wechat.Official {
		return nil
	}
	return &oauth.Form{Login: a.app.handlers().login, Path: path, Scope: scope, Base: a.app.publicURL, Reply: reply}
}

// SignLogin returns the signatures of a login that a browser carries. signature is that of the header Wetoken-Signature for body, or
// empty without a sign_key. old is wechat-proxy's: the MD5 of appid, state and the app's secret, which does not cover the user.
func (a ServedApp) SignLogin(body []byte, state string) (signature, old string) {
	if a.app.signKey != "" {
		signature = relay.Sign(time.Now(), body, a.app.signKey, a.app.previousSignKey)
	}
	text := "appid=" + a.app.appID
	if state != "" {
		text += "&state=" + state
	}
	sum := md5.Sum([]byte(text + "&key=" + a.app.secret))
	return signature, strings.ToUpper(hex.EncodeToString(sum[:]))
}
