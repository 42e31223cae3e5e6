package gateway_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

func hexDigest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestAConfigurationThatCannotBeServedNamesItsKey(t *testing.T) {
	for name, c := range map[string]struct{ json, says string }{
		"unknown key":        {`{"kyes":[]}`, `unknown key "kyes"`},
		"unknown deep key":   {`{"apps":{"shop":{"secrte":"x"}}}`, `unknown key "secrte"`},
		"no blank":           {`{"apps":{"shop":{"secret:x":null}}}`, `unknown key "secret:…": a blank must follow the colon`},
		"digits for text":    {`{"apps":{"shop":{"secret":123}}}`, "apps.shop.secret: want text, not a number (text of digits needs quotes)"},
		"text for a number":  {`{"apps":{"a":{"agent_id":1,"hosts":["x","y"]},"shop":{"hosts":[],"agent_id":"x"}}}`, "apps.shop.agent_id: want a number, not text"},
		"fraction":           {`{"apps":{"shop":{"agent_id":1.5}}}`, "apps.shop.agent_id: want a whole number"},
		"text for a list":    {`{"keys":[{"name":"a"},{"name":"b","apps":"shop"}]}`, "keys[1].apps: want a list, not text"},
		"list for an app":    {`{"store":"memory:","apps":{"shop":[{}]}}`, "apps.shop: want a mapping, not a list"},
		"app for a text":     {`{"apps":{"shop":{"app_id":{"a":1}}}}`, "apps.shop.app_id: want text, not a mapping"},
		"number in a list":   {`{"apps":{"shop":{"hosts":["a",7]}}}`, "apps.shop.hosts[1]: want text, not a number"},
		"more after it":      {`{} {}`, "a second document follows"},
		"no keys":            {`{"apps":{}}`, "keys:"},
		"short key":          {`{"keys":[{"name":"a","key":"short","apps":["*"],"scopes":["*"]}]}`, "keys[0].key: too short: want at least 16 characters"},
		"odd digest":         {`{"keys":[{"name":"a","key":"sha256:zz","apps":["*"],"scopes":["*"]}]}`, "keys[0].key: invalid digest: want sha256: and 64 hex digits"},
		"digest of nothing":  {`{"keys":[{"name":"a","key":"sha256:` + hexDigest("") + `","apps":["*"],"scopes":["*"]}]}`, "keys[0].key: invalid digest: it is that of the empty text"},
		"one key twice":      {`{"keys":[{"name":"a","key":"0123456789abcdef","apps":["*"],"scopes":["token"]},{"name":"b","key":"sha256:` + hexDigest("0123456789abcdef") + `","apps":["*"],"scopes":["renew"]}]}`, `keys[1].key: "b" and "a" (keys[0]) have the same key`},
		"nameless key":       {`{"keys":[{"key":"0123456789abcdef","apps":["*"],"scopes":["*"]}]}`, "keys[0].name"},
		"key for no app":     {`{"keys":[{"name":"a","key":"0123456789abcdef","apps":["shop"],"scopes":["*"]}]}`, `keys[0].apps[0]: unknown app`},
		"odd scope":          {`{"keys":[{"name":"a","key":"0123456789abcdef","apps":["*"],"scopes":["all"]}]}`, `keys[0].scopes[0]: unknown scope`},
		"cards of a mini":    {configWithApp(`"m":{"app_id":"wx1","secret":"x","kind":"mini","cards":true}`), "apps.m.cards: must be unset for kind mini"},
		"no secret":          {configWithApp(`"shop":{"app_id":"wx1"}`), "apps.shop.secret: must be set"},
		"no app id":          {configWithApp(`"shop":{"secret":"x"}`), "apps.shop.app_id: must be set"},
		"odd kind":           {configWithApp(`"shop":{"app_id":"wx1","secret":"x","kind":"oa"}`), `apps.shop.kind: want official, mini, website, work, platform or authorized`},
		"odd mode":           {configWithApp(`"shop":{"app_id":"wx1","secret":"x","token_mode":"new"}`), "apps.shop.token_mode"},
		"name like appid":    {configWithApp(`"wx0123456789abcdef":{"app_id":"wx1","secret":"x"}`), "want one that does not look like an appid"},
		"name with slash":    {configWithApp(`"a/b":{"app_id":"wx1","secret":"x"}`), "apps:"},
		"public URL":         {`{"public_url":"wx.example.com"}`, "public_url: want a base URL"},
		"endpoint":           {`{"endpoints":{"api":"https://u:p@api.example.com"}}`, "endpoints.api: want a base URL"},
		"route without /":    {configWithApp(`"shop":{"app_id":"wx1","secret":"x","allow":["token"]}`), `apps.shop.allow[0]: must begin with /`},
		"hosts, no URL":      {configWithApp(`"shop":{"app_id":"wx1","secret":"x","hosts":["a.example.com"]}`), "public_url: must be set"},
		"odd host":           {configWithApp(`"shop":{"app_id":"wx1","secret":"x","hosts":["https://a"]}`), `apps.shop.hosts[0]: want a host such as shop.example.com`},
		"odd verify file":    {configWithApp(`"shop":{"app_id":"wx1","secret":"x","verify_files":{"../x.txt":"x"}}`), "apps.shop.verify_files"},
		"two verify files":   {configWithApp(`"a":{"app_id":"wx1","secret":"x","verify_files":{"a.txt":"1"}},"b":{"app_id":"wx2","secret":"x","verify_files":{"a.txt":"2"}}`), "verify_files: another app has a.txt with other content"},
		"token of a site":    {configWithApp(`"web":{"app_id":"wx1","secret":"x","kind":"website","keep":true}`), "apps.web.kind: a website has no token"},
		"odd time":           {configWithApp(`"shop":{"app_id":"wx1","secret":"x","expires_at":"tomorrow"}`), `expires_at: want a time such as`},
		"zero time":          {configWithApp(`"shop":{"app_id":"wx1","secret":"x","expires_at":"0001-01-01T00:00:00Z"}`), `apps.shop.expires_at: want a time such as`},
		"zero time of a key": {`{"keys":[{"name":"a","key":"0123456789abcdef","apps":["*"],"scopes":["*"],"expires_at":"0001-01-01T08:00:00+08:00"}]}`, `keys[0].expires_at: want a time such as`},
		"odd proxies":        {`{"keys":[{"name":"a","key":"0123456789abcdef","apps":["*"],"scopes":["*"]}],"trusted_proxies":["10.0.0.1"]}`, `trusted_proxies[0]: want a range of addresses such as 10.0.0.0/8`},
		"IPv4 in IPv6":       {`{"keys":[{"name":"a","key":"0123456789abcdef","apps":["*"],"scopes":["*"]}],"trusted_proxies":["::ffff:10.0.0.0/104"]}`, `trusted_proxies[0]: is IPv4 written as IPv6`},
		"WeCom, no agent":    {configWithApp(`"corp":{"app_id":"ww1","secret":"x","kind":"work","hosts":["a.example.com"]}`), "apps.corp.agent_id: must be set"},
		"no message token":   {configWithMessage(`{}`), "apps.shop.message.token: is empty"},
		"short aes_key":      {configWithMessage(`{"token":"t","aes_key":"short"}`), "apps.shop.message.aes_key: is not an EncodingAESKey"},
		"short old aes_key":  {configWithMessage(`{"token":"t","aes_key":"` + aesKeyOf + `","previous_aes_key":"short"}`), "apps.shop.message.previous_aes_key: is not an EncodingAESKey"},
		"lone old aes_key":   {configWithMessage(`{"token":"t","previous_aes_key":"` + aesKeyOf + `"}`), "apps.shop.message.aes_key: is empty"},
		"secure, no aes_key": {configWithMessage(`{"token":"t","mode":"secure"}`), "apps.shop.message.aes_key: is empty"},
		"odd message mode":   {configWithMessage(`{"token":"t","mode":"open"}`), `apps.shop.message.mode: want plain, compatible or secure`},
		"backend's URL":      {configWithMessage(`{"token":"t","forward":[{"url":"crm"}]}`), "apps.shop.message.forward[0].url: is not an absolute"},
		"backend's password": {configWithMessage(`{"token":"t","forward":[{"url":"http://u:p@crm"}]}`), "apps.shop.message.forward[0].url: want one without a user and a password"},
		"backend's form":     {configWithMessage(`{"token":"t","forward":[{"url":"http://crm","form":"yaml"}]}`), "apps.shop.message.forward[0].form: want xml, json or raw"},
		"backend's timeout":  {configWithMessage(`{"token":"t","forward":[{"url":"http://crm","timeout":"4"}]}`), `timeout: want a duration such as 4s`},
		"endless timeout":    {configWithMessage(`{"token":"t","forward":[{"url":"http://crm","answer":true,"timeout":"1h"}]}`), `apps.shop.message.forward[0].timeout: is 1h`},
		"late copy":          {configWithMessage(`{"token":"t","forward":[{"url":"http://crm","late":true}]}`), `apps.shop.message.forward[0].late: is for a backend that answers`},
		"odd pattern":        {configWithMessage(`{"token":"t","forward":[{"url":"http://crm","when":{"pattern":"("}}]}`), `forward[0].when.pattern`},
		"number for text":    {configWithMessage(`{"token":"t","forward":[{"url":"http://crm","when":{"type":5}}]}`), `apps.shop.message.forward[0].when.type: want text or a list of texts`},
		"key of no event":    {configWithMessage(`{"token":"t","forward":[{"url":"http://crm","when":{"event_key":"x"}}]}`), `forward[0].when.event_key: needs event`},
		"empty in a rule":    {configWithMessage(`{"token":"t","forward":[{"url":"http://crm","when":{"type":["text",""]}}]}`), `forward[0].when.type: is empty`},
		"empty keyword":      {configWithMessage(`{"token":"t","forward":[{"url":"http://crm","when":{"keyword":""}}]}`), `forward[0].when.keyword: is empty`},
		"WeCom in plain":     {configWithApp(`"corp":{"app_id":"ww1","secret":"x","kind":"work","message":{"token":"t"}}`), "apps.corp.message: want mode secure and an aes_key for WeCom"},
		"key in capitals":    {`{"apps":{"shop":{"Secret":"x"}}}`, `apps.shop: unknown key "Secret": want secret`},
		"two cases":          {`{"apps":{"shop":{"secret":"x","SECRET":"y"}}}`, `apps.shop: unknown key "SECRET": want secret`},
		"deep in capitals":   {configWithMessage(`{"token":"t","forward":[{"url":"http://crm","when":{"Type":"text"}}]}`), `apps.shop.message.forward[0].when: unknown key "Type": want type`},
		"a key twice":        {`{"apps":{"shop":{"secret":"x","secret":"y"}}}`, `apps.shop: key "secret" is given twice`},
		"an app twice":       {`{"apps":{"shop":{"app_id":"x"},"shop":{"secret":"y"}}}`, `apps: key "shop" is given twice`},
		"text for forward":   {configWithMessage(`{"token":"t","forward":"http://crm"}`), "apps.shop.message.forward: want a list, not text"},
		"text for truth":     {`{"apps":{"shop":{"keep":"yes"}}}`, "apps.shop.keep: want true or false, not text"},
		"truth for text":     {`{"apps":{"shop":{"secret":true}}}`, "apps.shop.secret: want text, not true or false (true and false as text need quotes)"},
		"list for all":       {`[]`, "config: want a mapping, not a list"},
		"nothing at all":     {`null`, "config: is empty"},
		"huge agent":         {`{"apps":{"shop":{"agent_id":99999999999999999999}}}`, "apps.shop.agent_id: want a whole number"},
		"no JSON":            {`{"apps":{"shop":}}`, "not JSON at byte"},
		"cut off":            {`{"apps":{"shop":{"secret":"x"`, "not JSON, or cut off"},
		"empty aes_key":      {configWithMessage(`{"token":"t","aes_key":""}`), "apps.shop.message.aes_key: is empty"},
		"null aes_key":       {configWithMessage(`{"token":"t","aes_key":null}`), "apps.shop.message.aes_key: is empty"},
		"empty old aes_key":  {configWithMessage(`{"token":"t","aes_key":"` + aesKeyOf + `","previous_aes_key":""}`), "apps.shop.message.previous_aes_key: is empty"},
		"empty token":        {configWithMessage(`{"token":""}`), "apps.shop.message.token: is empty"},
		"empty old token":    {configWithMessage(`{"token":"t","previous_token":""}`), "apps.shop.message.previous_token: is empty"},
		"empty sign_key":     {configWithApp(`"shop":{"app_id":"wx1","secret":"x","sign_key":""}`), "apps.shop.sign_key: is empty"},
		"empty old sign key": {configWithApp(`"shop":{"app_id":"wx1","secret":"x","sign_key":"k","previous_sign_key":""}`), "apps.shop.previous_sign_key: is empty"},
		"empty records":      {`{"records":""}`, "records: is empty"},
		"empty endpoint":     {`{"endpoints":{"api":""}}`, "endpoints.api: is empty"},
		"empty timeout":      {configWithMessage(`{"token":"t","forward":[{"url":"http://crm","timeout":""}]}`), "apps.shop.message.forward[0].timeout: is empty"},
		"empty end":          {`{"apps":{"shop":{"expires_at":""}}}`, "apps.shop.expires_at: is empty"},
		"empty allow":        {configWithApp(`"shop":{"app_id":"wx1","secret":"x","allow":[]}`), "apps.shop.allow: is empty"},
		"null allow":         {configWithApp(`"shop":{"app_id":"wx1","secret":"x","allow":null}`), "apps.shop.allow: is empty"},
		"empty rule":         {configWithMessage(`{"token":"t","forward":[{"url":"http://crm","when":{"keyword":[]}}]}`), "forward[0].when.keyword: is empty"},
		"null rule":          {configWithMessage(`{"token":"t","forward":[{"url":"http://crm","when":null}]}`), "forward[0].when: is empty"},
		"blank in secret":    {configWithApp(`"shop":{"app_id":"wx1","secret":"x\n"}`), "apps.shop.secret: begins or ends with a blank or a line end"},
		"blank in app_id":    {configWithApp(`"shop":{"app_id":" wx1","secret":"x"}`), "apps.shop.app_id: begins or ends with a blank"},
		"blank in key":       {`{"keys":[{"name":"a","key":"0123456789abcdef\n","apps":["*"],"scopes":["*"]}]}`, "keys[0].key: begins or ends with a blank"},
		"blank in sign_key":  {configWithApp(`"shop":{"app_id":"wx1","secret":"x","sign_key":"k "}`), "apps.shop.sign_key: begins or ends with a blank"},
		"blank in aes_key":   {configWithMessage(`{"token":"t","aes_key":"` + aesKeyOf + `\n"}`), "apps.shop.message.aes_key: begins or ends with a blank"},
		"blank in token":     {configWithMessage(`{"token":"t\u200b"}`), "apps.shop.message.token: begins or ends with a blank"},
		"blank in store":     {`{"store":"memory: "}`, "store: begins or ends with a blank"},
		"blank in a scope":   {`{"keys":[{"name":"a","key":"0123456789abcdef","apps":["*"],"scopes":["token "]}]}`, "keys[0].scopes[0]: begins or ends with a blank"},
		"mode without need":  {configWithApp(`"corp":{"app_id":"ww1","secret":"x","kind":"work","token_mode":"classic"}`), "apps.corp.token_mode: must be unset for WeCom"},
	} {
		t.Run(name, func(t *testing.T) {
			parsed, err := gateway.ParseConfig([]byte(c.json))
			if err == nil {
				_, err = gateway.New(gateway.Options{Config: parsed})
			}
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestNoConfigurationErrorShowsAValue(t *testing.T) {
	const hidden = "S3cret-0123456789"
	for _, c := range []string{
		`{"public_url":"HIDDEN"}`, `{"public_url":"https://u:HIDDEN@h"}`, `{"endpoints":{"api":"HIDDEN"}}`, `{"apps":"HIDDEN"}`, `{"keys":"HIDDEN"}`,
		`{"trusted_proxies":["HIDDEN"]}`, `{"keys":[{"name":"a","key":"HIDDEN","apps":["HIDDEN"],"scopes":["*"]}]}`,
		`{"keys":[{"name":"a","key":"HIDDEN","apps":["*"],"scopes":["HIDDEN"]}]}`, `{"keys":[{"name":"a","key":"sha256:HIDDEN","apps":["*"],"scopes":["*"]}]}`,
		`{"apps":{"shop":{"expires_at":"HIDDEN"}}}`, `{"apps":{"shop":{"agent_id":"HIDDEN"}}}`, `{"apps":{"shop":{"secret:HIDDEN":"x"}}}`,
		`{"apps":{"shop":{"secret":"HIDDEN}}}`, `{"apps":{"shop":{"secret":HIDDEN}}}`,
		configWithApp(`"shop":{"app_id":"wx1","secret":"HIDDEN "}`), configWithApp(`"shop":{"app_id":"wx1","secret":"x","kind":"HIDDEN"}`),
		configWithApp(`"shop":{"app_id":"wx1","secret":"x","token_mode":"HIDDEN"}`), configWithApp(`"shop":{"app_id":"wx1","secret":"x","allow":["HIDDEN"]}`),
		configWithApp(`"shop":{"app_id":"wx1","secret":"x","hosts":["u:HIDDEN@h"]}`), configWithApp(`"shop":{"app_id":"wx1","secret":"x","verify_files":{"a.txt":["HIDDEN"]}}`),
		configWithMessage(`"HIDDEN"`), configWithMessage(`{"token":"t","mode":"HIDDEN"}`), configWithMessage(`{"token":"t","aes_key":"HIDDEN"}`),
		configWithMessage(`{"token":"t","forward":[{"url":"HIDDEN"}]}`), configWithMessage(`{"token":"t","forward":[{"url":"http://h","form":"HIDDEN"}]}`),
		configWithMessage(`{"token":"t","forward":[{"url":"http://h","timeout":"HIDDEN"}]}`), configWithMessage(`{"token":"t","forward":[{"url":"http://h","when":{"pattern":"HIDDEN("}}]}`),
		configWithMessage(`{"token":"t","forward":[{"url":"http://h","when":{"type":{"HIDDEN":1}}}]}`), configWithMessage(`{"token":"t","forward":[{"url":"http://h","when":"HIDDEN"}]}`),
	} {
		parsed, err := gateway.ParseConfig([]byte(strings.ReplaceAll(c, "HIDDEN", hidden)))
		if err == nil {
			_, err = gateway.New(gateway.Options{Config: parsed})
		}
		require.Error(t, err, c)
		require.NotContains(t, err.Error(), "S3cret", c)
		require.NotRegexp(t, `gateway\.[A-Z]|\[\]|string\b|json:`, err.Error(), "Go's types")
	}
}

func TestKeysOfEmbeddedStructsAreMatchedExactly(t *testing.T) {
	type Inner struct {
		MchID string `json:"mch_id"`
		Name  string `json:"name"`
	}
	type Outer struct {
		Inner
		Name   int              `json:"name,omitempty"`
		Hidden string           `json:"-"`
		More   map[string]Inner `json:"more"`
		Next   *Inner           `json:"next"`
	}
	var out Outer
	require.NoError(t, gateway.Decode([]byte(`{"mch_id":"1","name":2,"more":{"Any":{"name":"x"}},"next":{"mch_id":"3"}}`), &out))
	require.Equal(t, Outer{Inner: Inner{MchID: "1"}, Name: 2, More: map[string]Inner{"Any": {Name: "x"}}, Next: &Inner{MchID: "3"}}, out)
	for json, says := range map[string]string{
		`{"Mch_ID":"1"}`:                `unknown key "Mch_ID": want mch_id`,
		`{"Inner":{}}`:                  `unknown key "Inner"`,
		`{"Hidden":"x"}`:                `unknown key "Hidden"`,
		`{"-":"x"}`:                     `unknown key "-"`,
		`{"next":{"NAME":"x"}}`:         `next: unknown key "NAME": want name`,
		`{"more":{"a":{"name":1}}}`:     "more.a.name: want text, not a number",
		`{"next":null}`:                 "next: is empty",
		`{"mch_id":"1","mch_id":"2"}`:   `key "mch_id" is given twice`,
		`{"more":{"a":{},"\u0061":{}}}`: `more: key "a" is given twice`,
	} {
		require.ErrorContains(t, gateway.Decode([]byte(json), new(Outer)), says, json)
	}
}

func TestBlanksStayWhereTheyMatter(t *testing.T) {
	c, err := gateway.ParseConfig([]byte(configWithApp(`"shop":{"name":" 小店","app_id":"wx1","secret":"a b","verify_files":{"MP_verify_a.txt":"a\n"},
		"message":{"token":"t","forward":[{"url":"http://crm","when":{"type":"text","keyword":[" x "]}}]}}`)))
	require.NoError(t, err)
	require.NoError(t, c.Check())
	require.Equal(t, gateway.Texts{" x "}, c.Apps["shop"].Message.Forward[0].When.Keyword)
}

func TestOnlyHostsAreTakenForHosts(t *testing.T) {
	for host, ok := range map[string]bool{
		"shop.example.com": true, "Shop.Example.com:8443": true, "localhost": true, "127.0.0.1:8091": true, "[::1]": true, "[2001:db8::1]:80": true,
		"xn--fiqs8s.example": true, "my_shop.example.com": true, "shop.example.com.": true,
		"*.example.com": false, "shop..example.com": false, ".example.com": false, "-shop.example.com": false, "shop.example.com:": false,
		"shop.example.com:0": false, "shop.example.com:65536": false, "shop.example.com:http": false, "a:b:c": false, "::1": false, "[::1": false, "[x]": false,
		"[127.0.0.1]": false, "999.1.1.1": false, "1.2.3": false, "https://shop.example.com": false, "shop.example.com/": false, "u@shop.example.com": false,
		"商店.example.com": false, ".": false, ":80": false, "shop example.com": false, strings.Repeat("a", 64) + ".example.com": false,
	} {
		err := gateway.Config{
			PublicURL: "https://wx.example.com",
			Keys:      []gateway.Key{{Name: "a", Key: "0123456789abcdef", Apps: []string{"*"}, Scopes: []string{"*"}}},
			Apps:      map[string]gateway.App{"shop": {AppID: "wx1", Secret: "x", Hosts: []string{host}}},
		}.Check()
		if ok {
			require.NoError(t, err, host)
		} else {
			require.ErrorContains(t, err, "apps.shop.hosts[0]: want a host", host)
		}
	}
}

// configWithMessage returns a configuration with an app that gets messages.
func configWithMessage(message string) string {
	return configWithApp(`"shop":{"app_id":"wx1","secret":"x","message":` + message + `}`)
}

// configWithApp returns a configuration with a key and an app.
func configWithApp(app string) string {
	return `{"keys":[{"name":"a","key":"0123456789abcdef","apps":["*"],"scopes":["*"]}],"apps":{` + app + `}}`
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(configWithApp(`"shop":{"app_id":"wx1","secret":"x","expires_at":"2027-01-01T00:00:00Z"}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := gateway.ParseConfig(data); err == nil {
			gateway.New(gateway.Options{Config: c})
		}
	})
}

func TestAStoreThatIsNamedMustBePassed(t *testing.T) {
	const one, other = "redis://:hunter2@127.0.0.1/0", "mysql://u:hunter2@h/x"
	for _, c := range []struct {
		store, records string
		o              gateway.Options
		says           string
	}{
		{one, "", gateway.Options{}, "gateway: config: store: names a store that New does not open: pass it as Options.Store"},
		{one, "", gateway.Options{Records: new(store.Memory)}, "config: store: "},
		{"", other, gateway.Options{}, "gateway: config: records: names a store that New does not open: pass it as Options.Records"},
		{one, other, gateway.Options{Store: new(store.Memory)}, "config: records: "},
		{one, other, gateway.Options{Store: new(store.Memory), Records: new(store.Memory)}, ""},
		{one, one, gateway.Options{Store: new(store.Memory)}, ""},
		{one, "", gateway.Options{Store: new(store.Memory)}, ""},
	} {
		c.o.Config = config()
		c.o.Config.Store, c.o.Config.Records = c.store, c.records
		require.NoError(t, c.o.Config.Check(), "the file is right")
		_, err := gateway.New(c.o)
		if c.says == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.says)
		require.NotContains(t, err.Error(), "hunter2")
	}
}
