package jssdk_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/jssdk"
	"github.com/wetoken/wetoken/wechat"
)

// tickets returns the same ticket for each type, or an error.
type tickets map[string]string

func (t tickets) Ticket(_ context.Context, typ string) (wechat.Credential, error) {
	value, ok := t[typ]
	if !ok {
		return wechat.Credential{}, errors.New("ticket: " + typ + ": none here")
	}
	return wechat.Credential{Value: value, Expires: time.Now().Add(time.Hour)}, nil
}

var all = tickets{"jsapi": "ticket-of-jsapi", "wx_card": "ticket-of-card", "agent_config": "ticket-of-agent"}

func official() *jssdk.Signer {
	return &jssdk.Signer{AppID: "wx0123456789abcdef", Tickets: all, Hosts: []string{"shop.example.com", "127.0.0.1:8080"}}
}

func work() *jssdk.Signer {
	s := official()
	s.AppID, s.Kind, s.AgentID = "ww0123456789abcdef", wechat.Work, 1000002
	return s
}

type vector struct {
	Name     string
	Inputs   map[string]string
	Expected map[string]string
}

func vectors(t *testing.T) []vector {
	b, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var list []vector
	require.NoError(t, json.Unmarshal(b, &list))
	return list
}

func TestPublishedSignatures(t *testing.T) {
	seen := 0
	for _, v := range vectors(t) {
		in := v.Inputs
		switch {
		case strings.HasPrefix(v.Name, "jssdk-"):
			at, err := strconv.ParseInt(in["timestamp"], 10, 64)
			require.NoError(t, err)
			require.Equal(t, v.Expected["signature"], jssdk.Sign(in["jsapi_ticket"], in["noncestr"], at, in["page_url"]), v.Name)
			require.Equal(t, "f4d90daf4b3bca3078ab155816175ba34c443a7b", // from an older page of the manual
				jssdk.Sign(in["jsapi_ticket"], in["noncestr"], at, "http://mp.weixin.qq.com"))
		case strings.HasPrefix(v.Name, "card-"):
			values := []string{in["api_ticket"], in["timestamp"], in["nonce_str"], in["card_id"], in["code"], ""}
			require.Equal(t, v.Expected["signature"], jssdk.SignCard(values...), v.Name)
			require.Equal(t, in["api_ticket"], values[0], "SignCard must not reorder its caller's values")
		default:
			continue
		}
		seen++
	}
	require.Equal(t, 3, seen)
}

// signature is a second implementation of the documented formula.
func signature(ticket, nonce string, timestamp int64, page string) string {
	digest := sha1.Sum(fmt.Appendf(nil, "jsapi_ticket=%s&noncestr=%s&timestamp=%d&url=%s", ticket, nonce, timestamp, page))
	return hex.EncodeToString(digest[:])
}

func TestConfigSignsTheWholeAddressWithoutItsFragment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := official().Config(t.Context(), "https://shop.example.com/a/b.html?x=1&y=%E5%95%86#/cart?z")
		require.NoError(t, err)
		require.Equal(t, time.Now().Unix(), c.Timestamp)
		require.Equal(t, signature("ticket-of-jsapi", c.NonceStr, c.Timestamp, "https://shop.example.com/a/b.html?x=1&y=%E5%95%86"), c.Signature)
	})
}

func TestConfigHasTheFieldsOfWeChatsScript(t *testing.T) {
	c, err := official().Config(t.Context(), "https://shop.example.com/")
	require.NoError(t, err)
	require.Len(t, c.NonceStr, 26)
	c.NonceStr, c.Timestamp, c.Signature = "n", 1, "s"
	b, err := json.Marshal(c)
	require.NoError(t, err)
	require.Equal(t, `{"debug":false,"appId":"wx0123456789abcdef","timestamp":1,"nonceStr":"n","signature":"s","jsApiList":[`+
		`"updateAppMessageShareData","updateTimelineShareData","onMenuShareAppMessage","onMenuShareTimeline","onMenuShareQQ",`+
		`"onMenuShareWeibo","onMenuShareQZone"]}`, string(b))

	c.JSAPIList[0] = "changed"
	again, err := official().Config(t.Context(), "https://shop.example.com/")
	require.NoError(t, err)
	require.Equal(t, "updateAppMessageShareData", again.JSAPIList[0], "a caller's list is its own")
}

func TestConfigOfWeComHasBeta(t *testing.T) {
	c, err := work().Config(t.Context(), "https://shop.example.com/")
	require.NoError(t, err)
	require.True(t, c.Beta)
	require.Equal(t, "ww0123456789abcdef", c.AppID)
}

func TestAgentConfigIsSignedWithTheApplicationsTicket(t *testing.T) {
	c, err := work().AgentConfig(t.Context(), "https://shop.example.com/a?b=c#d")
	require.NoError(t, err)
	require.Equal(t, signature("ticket-of-agent", c.NonceStr, c.Timestamp, "https://shop.example.com/a?b=c"), c.Signature)
	c.NonceStr, c.Timestamp, c.Signature = "n", 1, "s"
	b, err := json.Marshal(c)
	require.NoError(t, err)
	require.Equal(t, `{"corpid":"ww0123456789abcdef","agentid":1000002,"timestamp":1,"nonceStr":"n","signature":"s","jsApiList":[]}`, string(b))
}

func TestAKindWithoutTicketsIsNamed(t *testing.T) {
	for _, kind := range []wechat.Kind{wechat.Mini, wechat.Website, "wecom"} {
		s := official()
		s.Kind = kind
		_, err := s.Config(t.Context(), "https://shop.example.com/")
		require.EqualError(t, err, fmt.Sprintf("jssdk: Signer.Kind is %q: want official or work", kind))
	}
}

func TestOnlyApplicationsOfWeComHaveAgentConfig(t *testing.T) {
	noAgent := work()
	noAgent.AgentID = 0
	for _, s := range []*jssdk.Signer{official(), noAgent} {
		_, err := s.AgentConfig(t.Context(), "https://shop.example.com/")
		require.ErrorIs(t, err, jssdk.ErrPage)
		require.ErrorContains(t, err, "want Kind work and an AgentID")
	}
}

func TestPagesOfOtherHostsAreNotSigned(t *testing.T) {
	for _, page := range []string{
		"", "https://evil.example.net/", "//shop.example.com/", `https:\\shop.example.com/`, "https://shop.example.com@evil.example.net/",
		"https://shop.example.com.evil.example.net/", "https://shop.example.com:8443/", "file:///etc/passwd", "about:blank",
	} {
		_, err := official().Config(t.Context(), page)
		require.ErrorIs(t, err, jssdk.ErrPage, page)
		_, err = work().AgentConfig(t.Context(), page)
		require.ErrorIs(t, err, jssdk.ErrPage, page)
	}
}

func TestARefusalNamesTheHostAndNotTheAddress(t *testing.T) {
	_, err := official().Config(t.Context(), "https://evil.example.net/path?token=hidden")
	require.EqualError(t, err, "jssdk: this page may not be signed: its host is not among the app's hosts: evil.example.net")
}

func TestTheErrorOfTheTicketIsReturned(t *testing.T) {
	s := official()
	s.Tickets = tickets{}
	_, err := s.Config(t.Context(), "https://shop.example.com/")
	require.EqualError(t, err, "jssdk: ticket: jsapi: none here")
	_, err = (&jssdk.Signer{Hosts: s.Hosts}).Config(t.Context(), "https://shop.example.com/")
	require.EqualError(t, err, "jssdk: Tickets must be set")
	_, err = s.AddCard(t.Context(), jssdk.Card{CardID: "p"})
	require.EqualError(t, err, "jssdk: ticket: wx_card: none here")
	_, err = s.ChooseCard(t.Context(), jssdk.CardChoice{})
	require.EqualError(t, err, "jssdk: ticket: wx_card: none here")
}

// cardSignature is a second implementation of the documented formula for cards.
func cardSignature(values ...string) string {
	sort.Strings(values)
	digest := sha1.Sum([]byte(strings.Join(values, "")))
	return hex.EncodeToString(digest[:])
}

func TestAddCardSignsTheFieldsOfCardExt(t *testing.T) {
	card := jssdk.Card{CardID: "pCard", Code: "c1", OpenID: "oUser", Balance: "100", FixedBeginTimestamp: 7, OuterStr: `a"b`}
	signed, err := official().AddCard(t.Context(), card)
	require.NoError(t, err)
	require.Equal(t, "pCard", signed.CardID)
	var ext map[string]any
	require.NoError(t, json.Unmarshal([]byte(signed.CardExt), &ext))
	at, nonce := ext["timestamp"].(string), ext["nonce_str"].(string)
	require.Equal(t, cardSignature("ticket-of-card", at, nonce, "pCard", "c1", "oUser", "100"), ext["signature"])
	delete(ext, "signature")
	delete(ext, "timestamp")
	delete(ext, "nonce_str")
	require.Equal(t, map[string]any{"code": "c1", "openid": "oUser", "balance": "100", "fixed_begintimestamp": 7.0, "outer_str": `a"b`}, ext)
}

func TestEmptyFieldsAreLeftOutOfCardExt(t *testing.T) {
	signed, err := official().AddCard(t.Context(), jssdk.Card{CardID: "pCard"})
	require.NoError(t, err)
	var ext map[string]string
	require.NoError(t, json.Unmarshal([]byte(signed.CardExt), &ext))
	require.Len(t, ext, 3)
	require.Equal(t, cardSignature("ticket-of-card", ext["timestamp"], ext["nonce_str"], "pCard"), ext["signature"])

	_, err = official().AddCard(t.Context(), jssdk.Card{})
	require.EqualError(t, err, "jssdk: add card: CardID must be set")
}

func TestNoTwoCardsShareANonce(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		signed, err := official().AddCard(t.Context(), jssdk.Card{CardID: "pCard"})
		require.NoError(t, err)
		require.False(t, seen[signed.CardExt])
		seen[signed.CardExt] = true
	}
}

func TestTheNonceOfACardHasNoDigits(t *testing.T) {
	for range 100 {
		signed, err := official().AddCard(t.Context(), jssdk.Card{CardID: "pCard"})
		require.NoError(t, err)
		var ext struct {
			Nonce string `json:"nonce_str"`
		}
		require.NoError(t, json.Unmarshal([]byte(signed.CardExt), &ext))
		choice, err := official().ChooseCard(t.Context(), jssdk.CardChoice{CardID: "pCard"})
		require.NoError(t, err)
		for _, nonce := range []string{ext.Nonce, choice.NonceStr} {
			require.Len(t, nonce, 26)
			require.False(t, strings.ContainsAny(nonce, "0123456789"), nonce)
		}
	}
}

func TestChooseCardSignsTheAppAndTheChoice(t *testing.T) {
	c, err := official().ChooseCard(t.Context(), jssdk.CardChoice{ShopID: "3", CardType: "GROUPON", CardID: "pCard"})
	require.NoError(t, err)
	at := strconv.FormatInt(c.Timestamp, 10)
	require.Equal(t, cardSignature("ticket-of-card", "wx0123456789abcdef", "3", at, c.NonceStr, "pCard", "GROUPON"), c.CardSign)
	c.Timestamp, c.NonceStr, c.CardSign = 1, "n", "s"
	b, err := json.Marshal(c)
	require.NoError(t, err)
	require.Equal(t, `{"shopId":"3","cardType":"GROUPON","cardId":"pCard","timestamp":1,"nonceStr":"n","signType":"SHA1","cardSign":"s"}`, string(b))
}
