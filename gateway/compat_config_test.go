package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

func TestCompatIsChecked(t *testing.T) {
	for text, want := range map[string]string{
		`{"systems":["wetoken","accesstoken"],"jsonrpc":"127.0.0.1:8000","open":["accesstoken"],"create":true}`: "",
		`{"systems":["accesstoken"],"jsonrpc":":8000"}`:                                                         "",
		`{"systems":["proxy","payment"],"open":["payment","proxy"],"examples":true}`:                            "",
		`{"systems":["payment"],"examples":true}`:                                                               "gateway: config: compat.examples: needs proxy in systems",
		`{"systems":["payment"],"open":["proxy"]}`:                                                              "gateway: config: compat.open[0]: want one of systems",
		`{}`:                                "",
		`{"systems":["wechat-proxy"]}`:      "gateway: config: compat.systems[0]: unknown system: want wetoken, accesstoken, payment, proxy",
		`{"systems":["wetoken","wetoken"]}`: "gateway: config: compat.systems[1]: wetoken is listed twice",
		`{"systems":["wetoken"],"open":["accesstoken"]}`:          "gateway: config: compat.open[0]: want one of systems",
		`{"systems":["accesstoken"],"create":true}`:               "gateway: config: compat.create: needs wetoken in systems",
		`{"systems":["wetoken"],"jsonrpc":":8000"}`:               "gateway: config: compat.jsonrpc: needs accesstoken in systems",
		`{"systems":["accesstoken"],"jsonrpc":"8000"}`:            "gateway: config: compat.jsonrpc: want an address to listen on such as 127.0.0.1:8000 or :8000",
		`{"systems":["accesstoken"],"jsonrpc":"127.0.0.1:"}`:      "gateway: config: compat.jsonrpc: want an address to listen on such as 127.0.0.1:8000 or :8000",
		`{"systems":["wetoken"],"unknown":true}`:                  `compat: unknown key "unknown"`,
		`{"systems":"wetoken"}`:                                   "compat.systems: want a list, not text",
		`{"systems":["wetoken"],"create":"true"}`:                 "compat.create: want true or false, not text",
		`{"systems":["wetoken"],"systems":["accesstoken"]}`:       `compat: key "systems" is given twice`,
		`{"systems":["wetoken"],"open":["wetoken","nothing"]}`:    "gateway: config: compat.open[1]: want one of systems",
		`{"systems":["accesstoken","wetoken"],"jsonrpc":"a:b:c"}`: "gateway: config: compat.jsonrpc: want an address to listen on such as 127.0.0.1:8000 or :8000",
	} {
		c := config()
		var read struct {
			Compat gateway.Compat `json:"compat"`
		}
		err := gateway.Decode([]byte(`{"compat":`+text+`}`), &read)
		if err == nil {
			c.Compat = read.Compat
			err = c.Check()
		}
		if want == "" {
			require.NoError(t, err, text)
			continue
		}
		require.EqualError(t, err, want, text)
	}
	c := config()
	set(&c, "shop", func(a *gateway.App) { a.WCodeTemplateID = "t" })
	require.NoError(t, c.Check())
	set(&c, "too", func(a *gateway.App) { a.WCodeTemplateID = "t" })
	require.EqualError(t, c.Check(), "gateway: config: apps.too.wcode_template_id: must be unset for kind mini: want kind official")
}
