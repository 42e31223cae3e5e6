package wechattest_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func miniServer() *wechattest.Server {
	wx := new(wechattest.Server)
	wx.Add(wechattest.App{ID: "wx1", Secret: "s1", Kind: wechattest.Mini, Owner: "owner"})
	return wx
}

type miniSession struct {
	Code       int    `json:"errcode"`
	OpenID     string `json:"openid"`
	UnionID    string `json:"unionid"`
	SessionKey string `json:"session_key"`
}

func codeToSession(t *testing.T, wx *wechattest.Server, code string) (s miniSession) {
	t.Helper()
	q := url.Values{"appid": {"wx1"}, "secret": {"s1"}, "js_code": {code}, "grant_type": {"authorization_code"}}
	require.NoError(t, json.Unmarshal([]byte(get(t, wx, api+"/sns/jscode2session?"+q.Encode()).Raw), &s))
	return s
}

func TestACodeOfWXLoginOpensASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := miniServer()
		wx.AddPerson(wechattest.Person{Name: "li"})
		wx.AddPerson(wechattest.Person{Name: "bad", Blocked: true})
		code := wx.MiniCode("wx1", "li")
		s := codeToSession(t, wx, code)
		require.Equal(t, wx.OpenID("wx1", "li"), s.OpenID)
		require.Equal(t, wx.UnionID("owner", "li"), s.UnionID)
		key, err := base64.StdEncoding.DecodeString(s.SessionKey)
		require.NoError(t, err)
		require.Len(t, key, 16)

		form := "appid=wx1&secret=s1&grant_type=authorization_code&js_code=" + wx.MiniCode("wx1", "li")
		posted := send(t, wx.Client(), "POST", api+"/sns/jscode2session", "application/x-www-form-urlencoded", form)
		require.Equal(t, 41002, posted.Code)

		require.Equal(t, 40163, codeToSession(t, wx, code).Code)
		require.Equal(t, 40029, codeToSession(t, wx, "made-up").Code)
		require.Equal(t, 41008, codeToSession(t, wx, "").Code)
		require.Equal(t, 40226, codeToSession(t, wx, wx.MiniCode("wx1", "bad")).Code)
		require.Equal(t, 40029, codeToSession(t, wx, wx.PhoneCode("wx1", "li")).Code, "another kind of code")
		code = wx.MiniCode("wx1", "li")
		pass(5 * time.Minute)
		require.Equal(t, 42003, codeToSession(t, wx, code).Code)
		require.Empty(t, wx.MiniCode("wx9", "li"))
		require.Empty(t, wx.MiniCode("wx1", "nobody"))

		for i := range 101 {
			s = codeToSession(t, wx, wx.MiniCode("wx1", "li"))
			require.Equal(t, i == 100, s.Code == 45011, i)
		}
	})
}

func TestASessionIsCheckedWithTheKeysText(t *testing.T) {
	wx := miniServer()
	s := codeToSession(t, wx, wx.MiniCode("wx1", ""))
	sign := func(key []byte) string {
		mac := hmac.New(sha256.New, key)
		return hex.EncodeToString(mac.Sum(nil))
	}
	check := func(path, openID, signature, method string) answer {
		token := classic(t, wx).Token
		q := url.Values{"access_token": {token}, "openid": {openID}, "signature": {signature}, "sig_method": {method}}
		return get(t, wx, api+path+"?"+q.Encode())
	}
	right := sign([]byte(s.SessionKey))
	decoded, err := base64.StdEncoding.DecodeString(s.SessionKey)
	require.NoError(t, err)
	require.Zero(t, check("/wxa/checksession", s.OpenID, right, "hmac_sha256").Code)
	require.Equal(t, 87009, check("/wxa/checksession", s.OpenID, sign(decoded), "hmac_sha256").Code)
	require.Equal(t, 87008, check("/wxa/checksession", s.OpenID, right, "md5").Code)
	require.Equal(t, 87007, check("/wxa/checksession", "oNobody", right, "hmac_sha256").Code)
	require.Equal(t, 41009, check("/wxa/checksession", "", right, "hmac_sha256").Code)

	var fresh miniSession
	require.NoError(t, json.Unmarshal([]byte(check("/wxa/resetusersessionkey", s.OpenID, right, "hmac_sha256").Raw), &fresh))
	require.NotEqual(t, s.SessionKey, fresh.SessionKey)
	require.Equal(t, 87009, check("/wxa/checksession", s.OpenID, right, "hmac_sha256").Code)
	require.Zero(t, check("/wxa/checksession", s.OpenID, sign([]byte(fresh.SessionKey)), "hmac_sha256").Code)
	wx.EndSession("wx1", "")
	require.Equal(t, 87007, check("/wxa/checksession", s.OpenID, right, "hmac_sha256").Code)
}

func TestAPhoneCodeIsUsedOnceByItsOwner(t *testing.T) {
	wx := miniServer()
	wx.AddPerson(wechattest.Person{Name: "li", Phone: "13900139000"})
	ask := func(body string) answer {
		return post(t, wx, api+"/wxa/business/getuserphonenumber?access_token="+classic(t, wx).Token, body)
	}
	code := wx.PhoneCode("wx1", "li")
	a := ask(`{"code":"` + code + `"}`)
	require.Zero(t, a.Code)
	require.Contains(t, a.Raw, `"purePhoneNumber":"13900139000"`)
	require.Contains(t, a.Raw, `"countryCode":"86"`)
	require.Contains(t, a.Raw, `"appid":"wx1"`)
	require.Equal(t, 40163, ask(`{"code":"`+code+`"}`).Code)
	wx.Add(wechattest.App{ID: "wx1", Secret: "s1", Kind: wechattest.Mini, CountryCodeNumber: true})
	require.Contains(t, ask(`{"code":"`+wx.PhoneCode("wx1", "li")+`"}`).Raw, `"countryCode":86,`)
	require.Equal(t, 40003, ask(`{"code":"`+wx.PhoneCode("wx1", "li")+`","openid":"oOther"}`).Code)
	require.Zero(t, ask(`{"code":"`+wx.PhoneCode("wx1", "li")+`","openid":"`+wx.OpenID("wx1", "li")+`"}`).Code)
	require.Equal(t, 40029, ask(`{}`).Code)
	require.Equal(t, 47001, ask(`{"code":1}`).Code)
	require.Equal(t, 47001, ask(`code=`+code).Code)
}

func TestOpenDataIsSignedAndSealedWithTheKey(t *testing.T) {
	wx := miniServer()
	wx.AddPerson(wechattest.Person{Name: "li", Nickname: `"<李>"`})
	_, ok := wx.UserData("wx1", "li")
	require.False(t, ok)
	s := codeToSession(t, wx, wx.MiniCode("wx1", "li"))
	data, ok := wx.UserData("wx1", "li")
	require.True(t, ok)
	sum := sha1.Sum([]byte(data.RawData + s.SessionKey))
	require.Equal(t, hex.EncodeToString(sum[:]), data.Signature)
	require.Contains(t, data.RawData, `"nickName":"\"<李>\""`)

	decode := func(text string) []byte {
		b, err := base64.StdEncoding.DecodeString(text)
		require.NoError(t, err)
		return b
	}
	block, err := aes.NewCipher(decode(s.SessionKey))
	require.NoError(t, err)
	plain := decode(data.EncryptedData)
	cipher.NewCBCDecrypter(block, decode(data.IV)).CryptBlocks(plain, plain)
	plain = plain[:len(plain)-int(plain[len(plain)-1])]
	var who struct {
		OpenID, UnionID string
		Watermark       struct{ AppID string }
	}
	require.NoError(t, json.Unmarshal(plain, &who))
	require.Equal(t, s.OpenID, who.OpenID)
	require.Equal(t, s.UnionID, who.UnionID)
	require.Equal(t, "wx1", who.Watermark.AppID)
}

func TestControlCharactersOfANameComeRaw(t *testing.T) {
	wx := miniServer()
	wx.AddPerson(wechattest.Person{Name: "odd", Nickname: "a\x14\x00b\\u0014\"\n<"})
	_ = get(t, wx, api+"/sns/jscode2session?appid=wx1&secret=s1&grant_type=authorization_code&js_code="+wx.MiniCode("wx1", "odd"))
	data, ok := wx.UserData("wx1", "odd")
	require.True(t, ok)
	require.Contains(t, data.RawData, "\"nickName\":\"a\x14\x00b\\\\u0014\\\"\\n<\"")
}
