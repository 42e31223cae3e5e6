package app

import (
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
)

// merchant returns the merchant of the configuration, or that of the simulation.
func (b *builder) merchant() (pay.Merchant, error) {
	var c payv3.Config
	if b.World != nil && b.World.merchant != nil {
		c = *b.World.merchant
	} else {
		var err error
		if c, err = b.Config.OpenPlatform.WeChat.Pay.Merchant(); err != nil {
			return nil, err
		}
	}
	if b.World != nil {
		c.BaseURL = b.World.URL
	}
	w := &b.Config.OpenPlatform.WeChat
	for _, app := range []struct {
		on bool
		id string
	}{{w.MiniApp.On(), w.MiniApp.AppKey}, {w.OfficialAccount.On(), w.OfficialAccount.AppID}} {
		switch {
		case !app.on:
		case c.AppID == "":
			c.AppID = app.id
		default:
			c.AppIDs = append(c.AppIDs, app.id)
		}
	}
	c.Log = b.Log
	return payv3.New(c)
}
