package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/pay"
)

// PaidApp returns the app that a notification of APIv2 is for, by the AppID, MchID, SubAppID and SubMchID of t. Of several apps of a
// merchant it is the one with the appid, or else the first by name. Nothing of t is verified yet. The error wraps [ErrNoApp] if there
// is none; any other one means that the records cannot be read.
func (g *Gateway) PaidApp(ctx context.Context, t pay.Transaction) (ServedApp, error) {
	if number := t.MchID + t.SubMchID; t.MchID == "" || len(number) > 64 || strings.Trim(number, "0123456789") != "" {
		return ServedApp{}, fmt.Errorf("%w: the notification names no merchant", ErrNoApp)
	}
	appIDs := []string{t.SubAppID, t.AppID}
	for _, id := range appIDs {
		a, err := g.appNamed(ctx, id)
		if err != nil {
			return ServedApp{}, err
		}
		if a != nil && a.appID == id && a.hasNumber(t.MchID, t.SubMchID) {
			return a.open(snapshotIn(ctx, g), a.name, "/pay/notify")
		}
	}
	list, err := g.appsOfMerchant(ctx, t.MchID, t.SubMchID)
	if err != nil {
		return ServedApp{}, err
	}
	if len(list) == 0 {
		return ServedApp{}, fmt.Errorf("%w: none takes payments with the merchant of the notification", ErrNoApp)
	}
	found := list[0]
	for _, id := range appIDs {
		if at := slices.IndexFunc(list, func(a *app) bool { return a.appID == id }); at >= 0 {
			found = list[at]
			break
		}
	}
	return found.open(snapshotIn(ctx, g), found.name, "/pay/notify")
}

// hasNumber reports whether a takes payments with the number of a merchant, or would if they were served now.
func (a *app) hasNumber(mchID, subMchID string) bool {
	if a.pay == nil || a.pay.merchant == nil {
		return a.pay != nil
	}
	c := a.pay.merchant.config
	return c.MchID == mchID && c.SubMchID == subMchID
}

// appsOfMerchant returns the apps that take payments with the number of a merchant, by name. Of those that are registered it has at
// most maxOwnApps.
func (g *Gateway) appsOfMerchant(ctx context.Context, mchID, subMchID string) (list []*app, err error) {
	for _, a := range snapshotIn(ctx, g).apps {
		if a.hasNumber(mchID, subMchID) {
			list = append(list, a)
		}
	}
	if g.registered != nil {
		ids, err := g.registered.Listed(ctx, appKind, numberTerm(Merchant{MchID: mchID, SubMchID: subMchID}))
		if err != nil {
			return nil, errRecordsAway
		}
		for _, id := range ids[:min(len(ids), maxOwnApps)] {
			a, err := g.appByID(ctx, id)
			if err != nil {
				return nil, errRecordsAway
			}
			if a != nil && a.hasNumber(mchID, subMchID) {
				list = append(list, a)
			}
		}
	}
	slices.SortFunc(list, func(a, b *app) int { return strings.Compare(a.name, b.name) })
	return list, nil
}
