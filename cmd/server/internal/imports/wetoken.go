package imports

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/ticket"
)

// wetokenApps is wetoken's table of apps. wechat_host and wcode_template_id came later than the others.
var wetokenApps = table{
	name:     "wechat_app_info",
	required: []string{"appid", "secret"},
	optional: []string{"token", "aes_key", "mchid", "pay_key", "sub_appid", "sub_mchid", "wechat_host", "wcode_template_id"},
}

// ReadWetoken reads the apps of micro-plat/wetoken from its database, of kind mysql or oracle.
func ReadWetoken(ctx context.Context, kind string, db *sql.DB) (*Source, error) {
	ctx, cancel := context.WithTimeout(ctx, maxReadTime)
	defer cancel()
	rows, err := wetokenApps.read(ctx, db, dialects[kind])
	if err != nil {
		return nil, err
	}
	s := &Source{Notes: []string{
		"apps of wetoken are official accounts here: where one is a mini program, set its kind to mini and leave out its tickets",
	}}
	for _, r := range rows {
		a := newWetokenApp(r)
		m, note := newMerchant(a.From, r["appid"], r["mchid"], r["sub_mchid"], r["sub_appid"], r["pay_key"])
		if m != nil && a.Err == nil {
			s.Merchants = append(s.Merchants, *m)
			a.Unpaid = m.Name
		}
		if note != "" {
			a.Notes = append(a.Notes, note)
		}
		s.Apps = append(s.Apps, a)
	}
	return s, nil
}

func newWetokenApp(r row) App {
	a := App{
		From: fmt.Sprintf("%s, appid %q", wetokenApps.name, r["appid"]), Name: nameOf(r["appid"]), Err: checkRow(r, "appid", "secret"),
		Settings: gateway.App{
			AppID: r["appid"], Secret: r["secret"], WCodeTemplateID: r["wcode_template_id"],
			Keep: true, Tickets: []string{ticket.JSAPI}, // it renews both each minute
		},
	}
	a.setMessage(r["token"], r["aes_key"])
	if host := strings.Trim(strings.TrimPrefix(strings.TrimPrefix(r["wechat_host"], "https://"), "http://"), "/"); host != "" && host != "api.weixin.qq.com" {
		a.Notes = append(a.Notes, fmt.Sprintf("its wechat_host %q is left out: all apps call endpoints.api", host))
	}
	return a
}
