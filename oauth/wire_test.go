package oauth_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechattest"
)

const oddName, cleanName = "小\x14明\x01\"\\", `小明"\`

func TestANicknameMayHaveControlCharacters(t *testing.T) {
	s := newStage(allowConsent)
	s.wx.AddPerson(wechattest.Person{Name: "odd", Nickname: oddName})
	s.wx.Browse("odd", wechattest.Allow)
	p := s.browser(t).open(loginURL(shop, "scope", oauth.ScopeUserInfo))
	u, err := s.login.Redeem(t.Context(), p.url.Query().Get("login_code"))
	require.NoError(t, err)
	require.Equal(t, s.wx.OpenID(appID, "odd"), u.OpenID)
	require.Equal(t, cleanName, u.Nickname)
}

func TestUserDataMayHaveControlCharacters(t *testing.T) {
	wx, m := newMini()
	wx.AddPerson(wechattest.Person{Name: "odd", Nickname: oddName, Phone: "1\x1439"})
	u, err := m.Session(t.Context(), wx.MiniCode(appID, "odd"))
	require.NoError(t, err)
	data, ok := wx.UserData(appID, "odd")
	require.True(t, ok)
	require.Contains(t, data.RawData, "\x14")
	require.NoError(t, m.VerifyRawData(t.Context(), u.OpenID, data.RawData, data.Signature), "the signature is over the data as it came")
	var user struct{ NickName string }
	require.NoError(t, m.DecryptData(t.Context(), u.OpenID, data.EncryptedData, data.IV, &user))
	require.Equal(t, cleanName, user.NickName)

	data, ok = wx.PhoneData(appID, "odd")
	require.True(t, ok)
	var phone oauth.Phone
	require.NoError(t, m.DecryptData(t.Context(), u.OpenID, data.EncryptedData, data.IV, &phone))
	require.Equal(t, oauth.Phone{PhoneNumber: "139", PurePhoneNumber: "139", CountryCode: "86"}, phone)
	got, err := m.Phone(t.Context(), wx.PhoneCode(appID, "odd"), "")
	require.NoError(t, err)
	require.Equal(t, phone, got)
}

// sealed returns data of a mini program's user as encryptedData, under key and an iv of zeros.
func sealed(t *testing.T, key, plain string) string {
	raw, err := base64.StdEncoding.DecodeString(key)
	require.NoError(t, err)
	block, err := aes.NewCipher(raw)
	require.NoError(t, err)
	pad := 16 - len(plain)%16
	b := []byte(plain + strings.Repeat(string(rune(pad)), pad))
	cipher.NewCBCEncrypter(block, make([]byte, 16)).CryptBlocks(b, b)
	return base64.StdEncoding.EncodeToString(b)
}

func TestDecryptDataDecodesDataOfWeChat(t *testing.T) {
	const key, iv = "HyVFkGl5F5OQWJZZaNzBBg==", "AAAAAAAAAAAAAAAAAAAAAA=="
	m, id := phoneOf(t, appID, key)
	const mark = `"watermark":{"appid":"` + appID + `"}`
	var out struct {
		A string
		N int8
	}
	require.NoError(t, m.DecryptData(t.Context(), id, sealed(t, key, "\ufeff{\"a\":\"b\x1fc\",\n"+mark+"}"), iv, &out))
	require.Equal(t, "bc", out.A)

	err := m.DecryptData(t.Context(), id, sealed(t, key, `{"n":123456,`+mark+`}`), iv, &out)
	require.ErrorContains(t, err, "field .N of type int8, at offset 11")
	require.NotContains(t, err.Error(), "123456")
	var mistyped *json.UnmarshalTypeError
	require.ErrorAs(t, err, &mistyped)

	err = m.DecryptData(t.Context(), id, sealed(t, key, `{"n":1,`+mark), iv, &out)
	require.ErrorIs(t, err, oauth.ErrSession)
	require.EqualError(t, m.DecryptData(t.Context(), id, sealed(t, key, "\x00"), iv, &out), err.Error(), "both kinds of wrong data have one error")
}

func TestNumbersAreDecodedInAnyForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for written, want := range map[string]struct {
			life     time.Duration
			snapshot bool
			sex      int
		}{
			`7200`: {2 * time.Hour, true, 7200}, `"7200"`: {2 * time.Hour, true, 7200}, `7200.0`: {2 * time.Hour, true, 7200},
			`"1.0"`: {time.Second, true, 1}, `1`: {time.Second, true, 1}, `"0"`: {}, `0.0`: {}, `""`: {}, `null`: {},
			`-1`: {0, true, -1}, `"9007199254740992"`: {24 * time.Hour, true, 1 << 53},
		} {
			s := newStage()
			s.wx.AddFault(wechattest.Fault{Path: "/sns/oauth2/access_token", Body: `{"access_token":"a","refresh_token":"r","openid":"o","scope":"snsapi_base",` +
				`"expires_in":` + written + `,"is_snapshotuser":` + written + `}`})
			g, err := s.login.Exchange(t.Context(), "code")
			require.NoError(t, err, written)
			require.Equal(t, time.Now().Add(want.life), g.Expires, written)
			require.Equal(t, want.snapshot, g.Snapshot, written)

			s.wx.AddFault(wechattest.Fault{Path: "/sns/userinfo", Body: `{"openid":"o","nickname":"n","sex":` + written + `}`})
			u, err := s.login.UserInfo(t.Context(), g, "")
			require.NoError(t, err, written)
			require.Equal(t, oauth.User{OpenID: "o", Nickname: "n", Sex: want.sex}, u)
		}
		for _, written := range []string{`"NaN"`, `1e300`, `true`, `{}`, `"tiihtNczf5v6AKRyjwEUhQ"`} {
			s := newStage()
			s.wx.AddFault(wechattest.Fault{Path: "/sns/oauth2/access_token", Body: `{"openid":"o","expires_in":` + written + `}`})
			_, err := s.login.Exchange(t.Context(), "code")
			require.ErrorContains(t, err, "expires_in", written)
			require.NotContains(t, err.Error(), "tiiht")
		}
	})
}

func TestTextOfAMemberIsDecodedFromNumbers(t *testing.T) {
	s := newStage(wecom)
	for written, want := range map[string]string{`"1"`: "1", `1`: "1", `1.0`: "1", `null`: ""} {
		s.wx.ClearFaults()
		s.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/auth/getuserdetail", Body: `{"errcode":0,"userid":"li","gender":` + written + `,"mobile":` + written + `}`})
		u, err := s.login.UserInfo(t.Context(), oauth.Grant{UserID: "li", UserTicket: "t"}, "")
		require.NoError(t, err, written)
		require.Equal(t, oauth.User{UserID: "li", Gender: want, Mobile: want}, u)
	}
}
