package gateway_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

func hexDigest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestAConfigurationThatCannotBeServedNamesItsKey(t *testing.T) {
	for name, c := range map[string]struct{ json, says string }{
		"unknown key":       {`{"kyes":[]}`, `unknown key "kyes"`},
		"unknown deep key":  {`{"apps":{"shop":{"secrte":"x"}}}`, `unknown key "secrte"`},
		"no blank":          {`{"apps":{"shop":{"secret:x":null}}}`, `unknown key "secret:…": a blank must follow the colon`},
		"digits for text":   {`{"apps":{"shop":{"secret":123}}}`, "apps.shop.secret: want string, not number (text of digits needs quotes)"},
		"text for a number": {`{"apps":{"a":{"agent_id":1,"hosts":["x","y"]},"shop":{"hosts":[],"agent_id":"x"}}}`, "apps.shop.agent_id: want int, not string"},
		"fraction":          {`{"apps":{"shop":{"agent_id":1.5}}}`, "apps.shop.agent_id: want int, not number"},
		"text for a list":   {`{"keys":[{"name":"a"},{"name":"b","apps":"shop"}]}`, "keys[1].apps: want []string, not string"},
		"list for an app":   {`{"store":"memory:","apps":{"shop":[{}]}}`, "apps.shop: want gateway.App, not array"},
		"app for a text":    {`{"apps":{"shop":{"app_id":{"a":1}}}}`, "apps.shop.app_id: want string, not object"},
		"number in a list":  {`{"apps":{"shop":{"hosts":["a",7]}}}`, "apps.shop.hosts[1]: want string, not number"},
		"more after it":     {`{} {}`, "more after the end"},
		"no keys":           {`{"apps":{}}`, "keys:"},
		"short key":         {`{"keys":[{"name":"a","key":"short","apps":["*"],"scopes":["*"]}]}`, "keys[0].key: must have at least 16 characters"},
		"odd digest":        {`{"keys":[{"name":"a","key":"sha256:zz","apps":["*"],"scopes":["*"]}]}`, "keys[0].key: sha256: must be followed by 64 hex digits"},
		"digest of nothing": {`{"keys":[{"name":"a","key":"sha256:` + hexDigest("") + `","apps":["*"],"scopes":["*"]}]}`, "keys[0].key: sha256: is followed by the digest of the empty text"},
		"one key twice":     {`{"keys":[{"name":"a","key":"0123456789abcdef","apps":["*"],"scopes":["token"]},{"name":"b","key":"sha256:` + hexDigest("0123456789abcdef") + `","apps":["*"],"scopes":["renew"]}]}`, `keys[1].key: "b" and "a" (keys[0]) have the same key`},
		"nameless key":      {`{"keys":[{"key":"0123456789abcdef","apps":["*"],"scopes":["*"]}]}`, "keys[0].name"},
		"key for no app":    {`{"keys":[{"name":"a","key":"0123456789abcdef","apps":["shop"],"scopes":["*"]}]}`, `there is no app "shop"`},
		"odd scope":         {`{"keys":[{"name":"a","key":"0123456789abcdef","apps":["*"],"scopes":["all"]}]}`, `there is no scope "all"`},
		"cards of a mini":   {keyed(`"m":{"app_id":"wx1","secret":"x","kind":"mini","cards":true}`), "apps.m.cards: only an official account signs cards"},
		"no secret":         {keyed(`"shop":{"app_id":"wx1"}`), "apps.shop.secret: must be set"},
		"no app id":         {keyed(`"shop":{"secret":"x"}`), "apps.shop.app_id: must be set"},
		"odd kind":          {keyed(`"shop":{"app_id":"wx1","secret":"x","kind":"oa"}`), `apps.shop.kind: there is no kind "oa"`},
		"odd mode":          {keyed(`"shop":{"app_id":"wx1","secret":"x","token_mode":"new"}`), "apps.shop.token_mode"},
		"name like appid":   {keyed(`"wx0123456789abcdef":{"app_id":"wx1","secret":"x"}`), "must not look like an appid"},
		"name with slash":   {keyed(`"a/b":{"app_id":"wx1","secret":"x"}`), "apps:"},
		"public URL":        {`{"public_url":"wx.example.com"}`, "public_url: want a base URL"},
		"endpoint":          {`{"endpoints":{"api":"https://u:p@api.example.com"}}`, "endpoints.api: want a base URL"},
		"route without /":   {keyed(`"shop":{"app_id":"wx1","secret":"x","allow":["token"]}`), `allow: "token" must begin with /`},
		"hosts, no URL":     {keyed(`"shop":{"app_id":"wx1","secret":"x","hosts":["a.example.com"]}`), "public_url: must be set"},
		"odd host":          {keyed(`"shop":{"app_id":"wx1","secret":"x","hosts":["https://a"]}`), `apps.shop.hosts: "https://a" is no host`},
		"odd verify file":   {keyed(`"shop":{"app_id":"wx1","secret":"x","verify_files":{"../x.txt":"x"}}`), "apps.shop.verify_files"},
		"two verify files":  {keyed(`"a":{"app_id":"wx1","secret":"x","verify_files":{"a.txt":"1"}},"b":{"app_id":"wx2","secret":"x","verify_files":{"a.txt":"2"}}`), "verify_files: another app has another a.txt"},
		"token of a site":   {keyed(`"web":{"app_id":"wx1","secret":"x","kind":"website","keep":true}`), "apps.web.kind: a website application has no token"},
		"odd time":          {keyed(`"shop":{"app_id":"wx1","secret":"x","expires_at":"tomorrow"}`), `expires_at: want a time such as`},
		"odd proxies":       {`{"keys":[{"name":"a","key":"0123456789abcdef","apps":["*"],"scopes":["*"]}],"trusted_proxies":["10.0.0.1"]}`, `trusted_proxies: "10.0.0.1" is no range`},
		"IPv4 in IPv6":      {`{"keys":[{"name":"a","key":"0123456789abcdef","apps":["*"],"scopes":["*"]}],"trusted_proxies":["::ffff:10.0.0.0/104"]}`, `trusted_proxies: "::ffff:10.0.0.0/104" is IPv4 written as IPv6`},
		"WeCom, no agent":   {keyed(`"corp":{"app_id":"ww1","secret":"x","kind":"work","hosts":["a.example.com"]}`), "apps.corp.agent_id: must be set"},
		"no message token":  {messaged(`{}`), "apps.shop.message.token: is empty"},
		"odd token":         {messaged(`{"token":" t"}`), "apps.shop.message.token: begins or ends with a blank"},
		"odd old token":     {messaged(`{"token":"t","previous_token":"x "}`), "apps.shop.message.previous_token: begins or ends with a blank"},
		"odd app_id":        {keyed(`"shop":{"app_id":"wx1 ","secret":"x","message":{"token":"t"}}`), "apps.shop.app_id: begins or ends with a blank"},
		"short aes_key":     {messaged(`{"token":"t","aes_key":"short"}`), "apps.shop.message.aes_key: is not an EncodingAESKey"},
		"short old aes_key": {messaged(`{"token":"t","aes_key":"` + aesKeyOf + `","previous_aes_key":"short"}`), "apps.shop.message.previous_aes_key: is not an EncodingAESKey"},
		"lone old aes_key":  {messaged(`{"token":"t","previous_aes_key":"` + aesKeyOf + `"}`), "apps.shop.message.aes_key: is empty"},
		"secure, no key":    {messaged(`{"token":"t","mode":"secure"}`), "apps.shop.message.aes_key: is empty"},
		"odd message mode":  {messaged(`{"token":"t","mode":"open"}`), `apps.shop.message.mode: is "open"`},
		"backend's URL":     {messaged(`{"token":"t","forward":[{"url":"crm"}]}`), "apps.shop.message.forward[0].url: is not a whole"},
		"backend's form":    {messaged(`{"token":"t","forward":[{"url":"http://crm","form":"yaml"}]}`), "apps.shop.message.forward[0].form: is"},
		"backend's timeout": {messaged(`{"token":"t","forward":[{"url":"http://crm","timeout":"4"}]}`), `timeout: want a time such as 4s`},
		"endless timeout":   {messaged(`{"token":"t","forward":[{"url":"http://crm","answer":true,"timeout":"1h"}]}`), `apps.shop.message.forward[0].timeout: is 1h`},
		"late copy":         {messaged(`{"token":"t","forward":[{"url":"http://crm","late":true}]}`), `apps.shop.message.forward[0].late: is for a backend that answers`},
		"odd pattern":       {messaged(`{"token":"t","forward":[{"url":"http://crm","when":{"pattern":"("}}]}`), `forward[0].when.pattern`},
		"number for text":   {messaged(`{"token":"t","forward":[{"url":"http://crm","when":{"type":5}}]}`), `when: want a text or a list of texts, not 5`},
		"key of no event":   {messaged(`{"token":"t","forward":[{"url":"http://crm","when":{"event_key":"x"}}]}`), `forward[0].when.event_key: needs event`},
		"empty in a rule":   {messaged(`{"token":"t","forward":[{"url":"http://crm","when":{"type":["text",""]}}]}`), `forward[0].when.type: is empty`},
		"empty keyword":     {messaged(`{"token":"t","forward":[{"url":"http://crm","when":{"keyword":""}}]}`), `forward[0].when.keyword: is empty`},
		"WeCom in plain":    {keyed(`"corp":{"app_id":"ww1","secret":"x","kind":"work","message":{"token":"t"}}`), "apps.corp.message: WeCom knows mode secure alone"},
		"mode without need": {keyed(`"corp":{"app_id":"ww1","secret":"x","kind":"work","token_mode":"classic"}`), "WeCom has one mode"},
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

// messaged is a configuration with an app that gets messages.
func messaged(message string) string {
	return keyed(`"shop":{"app_id":"wx1","secret":"x","message":` + message + `}`)
}

// keyed is a configuration with a key, and an app.
func keyed(app string) string {
	return `{"keys":[{"name":"a","key":"0123456789abcdef","apps":["*"],"scopes":["*"]}],"apps":{` + app + `}}`
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(keyed(`"shop":{"app_id":"wx1","secret":"x","expires_at":"2027-01-01T00:00:00Z"}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := gateway.ParseConfig(data); err == nil {
			gateway.New(gateway.Options{Config: c})
		}
	})
}
