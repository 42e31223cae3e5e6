package oauth_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func TestMiniProgramDataIsVerifiedAndDecrypted(t *testing.T) {
	wx, m := newMini()
	wx.AddPerson(wechattest.Person{Name: "li", Nickname: `<b>"李'雷"</b>👍`, Phone: "13900139000"})
	u, err := m.Session(t.Context(), wx.MiniCode(appID, "li"))
	require.NoError(t, err)

	data, ok := wx.UserData(appID, "li")
	require.True(t, ok)
	require.NoError(t, m.VerifyRawData(t.Context(), u.OpenID, data.RawData, data.Signature))
	var who struct {
		OpenID   string `json:"openId"`
		UnionID  string `json:"unionId"`
		NickName string `json:"nickName"`
	}
	require.NoError(t, m.DecryptData(t.Context(), u.OpenID, data.EncryptedData, data.IV, &who))
	require.Equal(t, u.OpenID, who.OpenID)
	require.Equal(t, u.UnionID, who.UnionID)
	require.Equal(t, `<b>"李'雷"</b>👍`, who.NickName)

	data, ok = wx.PhoneData(appID, "li")
	require.True(t, ok)
	var phone struct{ PhoneNumber string }
	require.NoError(t, m.DecryptData(t.Context(), u.OpenID, data.EncryptedData, data.IV, &phone))
	require.Equal(t, "13900139000", phone.PhoneNumber)
}

func TestDataOfAnotherKeyNeedsANewLogin(t *testing.T) {
	wx, m := newMini()
	u, err := m.Session(t.Context(), wx.MiniCode(appID, "ming"))
	require.NoError(t, err)
	old, ok := wx.UserData(appID, "ming")
	require.True(t, ok)
	_, err = m.Session(t.Context(), wx.MiniCode(appID, "ming"))
	require.NoError(t, err)
	var out any
	require.ErrorIs(t, m.DecryptData(t.Context(), u.OpenID, old.EncryptedData, old.IV, &out), oauth.ErrSession)
	require.ErrorIs(t, m.VerifyRawData(t.Context(), u.OpenID, old.RawData, old.Signature), oauth.ErrSession)
	require.ErrorIs(t, m.DecryptData(t.Context(), "oNobody", old.EncryptedData, old.IV, &out), oauth.ErrSession)
	require.ErrorIs(t, m.VerifyRawData(t.Context(), "", old.RawData, old.Signature), oauth.ErrSession)
	require.Nil(t, out)
}

func TestMalformedDataIsRefused(t *testing.T) {
	wx, m := newMini()
	u, err := m.Session(t.Context(), wx.MiniCode(appID, "ming"))
	require.NoError(t, err)
	good, _ := wx.UserData(appID, "ming")
	block := base64.StdEncoding.EncodeToString(make([]byte, 16))
	for _, c := range [][2]string{
		{"", good.IV}, {"%", good.IV}, {base64.StdEncoding.EncodeToString(make([]byte, 15)), good.IV},
		{good.EncryptedData, ""}, {good.EncryptedData, "%"}, {good.EncryptedData, base64.StdEncoding.EncodeToString(make([]byte, 17))},
		{block, block}, {strings.Repeat("A", 1<<20), good.IV}, {good.EncryptedData[24:], good.IV},
	} {
		err := m.DecryptData(t.Context(), u.OpenID, c[0], c[1], new(any))
		require.True(t, errors.Is(err, oauth.ErrData) || errors.Is(err, oauth.ErrSession), "%v", err)
	}
	const key = "HyVFkGl5F5OQWJZZaNzBBg=="
	for pad, opens := range map[string]bool{"\x03\x03\x03": true, "\x02\x03\x03": false, "\x00\x00\x00": false, "   ": false} {
		known, id := phoneOf(t, appID, key)
		plain := []byte(`{"watermark":{"appid":"wx0123456789abcdef"},"a":"bcdefg"}`)
		plain = append(plain, strings.Repeat(" ", (16-(len(plain)+3)%16)%16)+pad...)
		raw, err := base64.StdEncoding.DecodeString(key)
		require.NoError(t, err)
		block, err := aes.NewCipher(raw)
		require.NoError(t, err)
		cipher.NewCBCEncrypter(block, make([]byte, 16)).CryptBlocks(plain, plain)
		err = known.DecryptData(t.Context(), id, base64.StdEncoding.EncodeToString(plain), "AAAAAAAAAAAAAAAAAAAAAA==", new(any))
		require.Equal(t, opens, err == nil, "%q: %v", pad, err)
	}
	bad, id := phoneOf(t, appID, "not base64")
	require.ErrorContains(t, bad.DecryptData(t.Context(), id, good.EncryptedData, good.IV, new(any)), "session_key")
}

func TestPhoneReturnsTheNumberOfACode(t *testing.T) {
	wx, m := newMini()
	wx.AddPerson(wechattest.Person{Name: "li", Phone: "13900139000"})
	p, err := m.Phone(t.Context(), wx.PhoneCode(appID, "li"), "")
	require.NoError(t, err)
	require.Equal(t, oauth.Phone{PhoneNumber: "13900139000", PurePhoneNumber: "13900139000", CountryCode: "86"}, p)

	code := wx.PhoneCode(appID, "li")
	_, err = m.Phone(t.Context(), code, wx.OpenID(appID, "li"))
	require.NoError(t, err)
	_, err = m.Phone(t.Context(), code, "")
	require.ErrorIs(t, err, wechat.ErrCodeUsed)
	_, err = m.Phone(t.Context(), wx.PhoneCode(appID, "li"), "oSomebodyElse")
	require.ErrorIs(t, err, wechat.Code(40003))
	_, err = m.Phone(t.Context(), wx.MiniCode(appID, "li"), "")
	require.ErrorIs(t, err, wechat.ErrInvalidCode)
}

func TestPhoneDecodesTextAndNumbers(t *testing.T) {
	wx, m := newMini()
	answer := func(country, app string) {
		wx.ClearFaults()
		wx.AddFault(wechattest.Fault{Path: "/wxa/business/getuserphonenumber", Body: `{"errcode":"0","phone_info":{"phoneNumber":"+44 1",` +
			`"purePhoneNumber":13900139000,"countryCode":` + country + `,"watermark":{"timestamp":1,"appid":"` + app + `"}}}`})
	}
	for written, want := range map[string]string{`86`: "86", `"86"`: "86", `86.0`: "86", `"+86"`: "+86", `null`: ""} {
		answer(written, appID)
		p, err := m.Phone(t.Context(), "code", "")
		require.NoError(t, err, written)
		require.Equal(t, oauth.Phone{PhoneNumber: "+44 1", PurePhoneNumber: "13900139000", CountryCode: want}, p)
	}
	answer("86", "wxanother")
	_, err := m.Phone(t.Context(), "code", "")
	require.ErrorContains(t, err, "watermark names another app")
	m.Tokens = nil
	_, err = m.Phone(t.Context(), "code", "")
	require.ErrorContains(t, err, "Tokens must be set")
}

func TestDataWithBlanksInsteadOfPlusIsNamed(t *testing.T) {
	wx, m := newMini()
	u, err := m.Session(t.Context(), wx.MiniCode(appID, "ming"))
	require.NoError(t, err)
	for _, data := range [][2]string{{"q83v AAA", "AAAAAAAAAAAAAAAAAAAAAA=="}, {"q83vAAAAAAAAAAAAAAAAAA==", "AAAA AAAAAAAAAAAAAAAAA=="}} {
		err := m.DecryptData(t.Context(), u.OpenID, data[0], data[1], new(any))
		require.ErrorContains(t, err, "contains blanks instead of +: percent-encode it")
		require.NotErrorIs(t, err, oauth.ErrSession, "a new login would not help")
		require.ErrorIs(t, err, oauth.ErrData)
	}
}

func TestAPhoneNumberOfAnotherAppAdvisesTheButtonAndNoRetry(t *testing.T) {
	for _, body := range []string{
		`{"errcode":0,"phone_info":{"phoneNumber":"1","watermark":{"timestamp":1,"appid":"wxother"}}}`,
		`{"errcode":0,"phone_info":{"phoneNumber":{},"watermark":{"timestamp":1,"appid":"` + appID + `"}}}`, `{"errcode":0}`,
	} {
		wx, m := newMini()
		private := &oauth.Handler{Source: m, Guard: open}
		wx.AddFault(wechattest.Fault{Path: "/wxa/business/getuserphonenumber", Body: body})
		w := post(private, "/phone", `{"code":"c"}`)
		require.Equal(t, 502, w.Code, w.Body)
		require.Contains(t, w.Body.String(), "press the getPhoneNumber button again")
		require.Empty(t, w.Header().Get("Retry-After"))
	}
}

func TestALoginCodeUsedForThePhoneNumberIsNamed(t *testing.T) {
	wx, m := newMini()
	code := wx.MiniCode(appID, "ming")
	_, err := m.Phone(t.Context(), code, "")
	require.ErrorIs(t, err, wechat.ErrInvalidCode)
	for _, said := range []string{err.Error(), post(&oauth.Handler{Source: m, Guard: open}, "/phone", `{"code":"`+code+`"}`).Body.String()} {
		require.Contains(t, said, "not of wx.login or a login_code")
		require.Contains(t, said, "press the getPhoneNumber button again")
		require.NotContains(t, said, "log in again")
	}
}
