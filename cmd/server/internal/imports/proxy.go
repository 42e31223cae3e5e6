package imports

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechat"
)

var proxyApps = table{
	name:     "wx_apps",
	required: []string{"key", "app_id", "secret"},
	optional: []string{"token", "aes_key", "mch_id", "mch_key", "ip_address", "calls", "expires"},
}

// ReadProxy reads the apps of aiportal/wechat-proxy from its SQLite file. It does not change the file.
func ReadProxy(ctx context.Context, file string) (*Source, error) {
	ctx, cancel := context.WithTimeout(ctx, maxReadTime)
	defer cancel()
	if err := checkPath(file); err != nil {
		return nil, err
	}
	if info, err := os.Stat(file); err != nil {
		return nil, unreadable("%w", err)
	} else if !info.Mode().IsRegular() {
		return nil, unreadable("%s is not a file", file)
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: "mode=ro&_pragma=busy_timeout(1000)"}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, unreadable("%w", err)
	}
	defer db.Close()
	rows, err := proxyApps.read(ctx, db, dialects["sqlite"])
	if err != nil {
		return nil, err
	}
	s := &Source{Notes: []string{
		"pages and logins of apps of wechat-proxy need hosts here, which it did not have: set hosts of each app",
		"wechat-proxy without SQLite keeps apps in memory: register those again, at /register or with PUT /apps",
	}}
	now := time.Now()
	for _, r := range rows {
		a := newProxyApp(r, now)
		m, note := newMerchant(a.From, r["app_id"], r["mch_id"], "", "", r["mch_key"])
		switch {
		case a.Err != nil: // a part of the key may be missing
		case m != nil && a.Skip == "":
			a.Notes = append(a.Notes, m.setServerIP(r["ip_address"], s.Merchants)...)
			s.Merchants = append(s.Merchants, *m)
			a.Settings.Pay = &gateway.Pay{Merchant: m.Name}
		case note != "":
			a.Notes = append(a.Notes, note)
		}
		s.Apps = append(s.Apps, a)
	}
	return s, nil
}

func newProxyApp(r row, now time.Time) App {
	a := App{
		From: fmt.Sprintf("%s, key %q", proxyApps.name, r["key"]), Name: r["key"], Named: true, Err: checkRow(r, "app_id", "secret"),
		Settings: gateway.App{AppID: r["app_id"], Secret: r["secret"]},
	}
	if strings.HasPrefix(a.Settings.AppID, "ww") {
		a.Settings.Kind = wechat.Work
		a.Notes = append(a.Notes, "is of WeCom, by its id: set agent_id for logins and page signatures")
	}
	a.setMessage(r["token"], r["aes_key"])
	if m := a.Settings.Message; m != nil {
		a.Settings.ForwardSignature = true // it handed WeChat's signature on
		if a.Settings.Kind == wechat.Work && m.AESKey == "" {
			a.Settings.Message, a.Settings.ForwardSignature = nil, false
			a.Notes = append(a.Notes, "message is left out: WeCom needs an aes key: set message for callbacks")
		}
	}
	for _, call := range strings.Split(r["calls"], "|") {
		if call = strings.TrimSpace(call); call == "" {
			continue
		}
		a.Settings.Allow = append(a.Settings.Allow, "/"+strings.TrimPrefix(call, "/"))
	}
	if err := a.setExpiry(r["expires"], now); err != nil && a.Err == nil {
		a.Err = err
	}
	return a
}

// expiryLayouts are the forms that the drivers of SQLite write a time in.
var expiryLayouts = []string{"2006-01-02 15:04:05.999999999-07:00", "2006-01-02T15:04:05.999999999-07:00", time.RFC3339Nano, "2006-01-02 15:04:05.999999999 -0700 MST", "2006-01-02 15:04:05.999999999", "2006-01-02"}

// setExpiry sets the end of the registration.
func (a *App) setExpiry(text string, now time.Time) error {
	if text == "" {
		return nil
	}
	text, _, _ = strings.Cut(text, " m=") // of a time that was printed
	for _, layout := range expiryLayouts {
		at, err := time.ParseInLocation(layout, text, time.Local)
		if err != nil {
			continue
		}
		switch {
		case at.IsZero():
		case !at.After(now):
			a.Skip = "its registration ended on " + at.Format(time.DateOnly)
		default:
			a.Settings.ExpiresAt = at.UTC()
		}
		return nil
	}
	return fmt.Errorf("expires is not a time: %.40q", text)
}
