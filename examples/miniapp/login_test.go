package main_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/miniapp/store"
	"github.com/wetoken/wetoken/wechattest"
)

func TestADefaultLoginMakesAnAccountThatThePhoneRenames(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints)
	token, flag := p.login("小明")
	require.Equal(t, "1", flag)
	user := p.call("GET", "/app/miniapp/user", token, nil).fields(t)
	require.Equal(t, true, user["initial"])
	require.True(t, strings.HasPrefix(user["user_name"].(string), "wx"))

	fresh := p.bind("小明", token)
	p.refused(p.call("GET", "/app/miniapp/user", token, nil), 401, "token")
	user = p.call("GET", "/app/miniapp/user", fresh, nil).fields(t)
	require.Equal(t, "13800138000", user["user_name"])
	again, flag := p.login("小明")
	require.Equal(t, "0", flag)
	require.NotEqual(t, fresh, again)

	other, flag := p.login("老明")
	require.Equal(t, "1", flag)
	r := p.call("PUT", "/app/miniapp/update-phone", other, map[string]string{"code": p.world.WeChat.PhoneCode(miniAppID, "老明")})
	p.refused(r, 400, "phone_bound")
	require.Contains(t, r.Msg, "已绑定其他账号")
	english := p.call("PUT", "/app/miniapp/update-phone", other, map[string]string{"code": p.world.WeChat.PhoneCode(miniAppID, "老明")}, "Accept-Language", "en-US")
	require.Contains(t, english.Msg, "another account")

	// The routes under the names of other installations.
	require.Equal(t, 200, p.call("POST", "/wechat-miniapp/sign/default", "", map[string]string{"jsCode": p.world.WeChat.MiniCode(miniAppID, "小红")}).status)
	require.Equal(t, 200, p.call("GET", "/wechat/app/miniapp/user", other, nil).status)
}

func TestAnOldClientBindsByEncryptedData(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints)
	token, _ := p.login("小红")
	data, ok := p.world.WeChat.PhoneData(miniAppID, "小红")
	require.True(t, ok)
	body := map[string]string{"encryptedData": data.EncryptedData, "iv": data.IV}
	fresh := strings.TrimSuffix(p.call("PUT", "/app/miniapp/update-phone", token, body).text(t), "_0")
	require.Equal(t, "13900139000", p.call("GET", "/app/miniapp/user", fresh, nil).fields(t)["phone"])
	r := p.call("PUT", "/app/miniapp/update-phone", fresh, body)
	p.refused(r, 400, "used")
	require.Contains(t, r.Msg, "重新点击")
}

func TestTheSessionKeyIsSealedInTheDatabase(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints)
	key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))
	p.world.WeChat.AddFault(wechattest.Fault{Path: "/sns/jscode2session", Body: `{"openid":"o1","session_key":"` + key + `"}`, Times: 1})
	p.login("小明")
	rows, err := p.db.QueryContext(t.Context(), "SELECT * FROM miniapp_store")
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	found := false
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new([]byte)
		}
		require.NoError(t, rows.Scan(values...))
		for _, v := range values {
			found = found || strings.Contains(string(*v.(*[]byte)), "session_key")
			require.NotContains(t, string(*v.(*[]byte)), key)
		}
	}
	require.NoError(t, rows.Err())
	require.True(t, found, "the name of the record")
}

// seal encrypts phone data as WeChat does.
func seal(t *testing.T, key []byte, appID string, at time.Time) map[string]string {
	t.Helper()
	plain := fmt.Appendf(nil, `{"phoneNumber":"13700137000","purePhoneNumber":"13700137000","countryCode":"86","watermark":{"timestamp":%d,"appid":"%s"}}`, at.Unix(), appID)
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	plain = append(plain, bytes.Repeat([]byte{byte(pad)}, pad)...)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	iv := make([]byte, aes.BlockSize)
	_, _ = rand.Read(iv)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(plain, plain)
	return map[string]string{"encryptedData": base64.StdEncoding.EncodeToString(plain), "iv": base64.StdEncoding.EncodeToString(iv)}
}

func TestPhoneDataThatIsNotOfThisSessionIsRefusedInWords(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints)
	key := []byte("0123456789abcdef")
	session := wechattest.Fault{Path: "/sns/jscode2session", Body: `{"openid":"o1","session_key":"` + base64.StdEncoding.EncodeToString(key) + `"}`, Times: 1}
	p.world.WeChat.AddFault(session)
	token, _ := p.login("小明")
	put := func(body any) reply { return p.call("PUT", "/app/miniapp/update-phone", token, body) }
	refused := func(body map[string]string, code, says string) {
		t.Helper()
		r := put(body)
		p.refused(r, 400, code)
		require.Contains(t, r.Msg, says)
	}

	tampered := seal(t, key, miniAppID, time.Now())
	raw, err := base64.StdEncoding.DecodeString(tampered["encryptedData"])
	require.NoError(t, err)
	raw[20] ^= 1
	tampered["encryptedData"] = base64.StdEncoding.EncodeToString(raw)
	refused(tampered, "session", "重新登录")
	refused(map[string]string{"encryptedData": "%%", "iv": tampered["iv"]}, "data", "无效")
	refused(seal(t, key, "wxother", time.Now()), "data", "不是本小程序")
	refused(seal(t, []byte("fedcba9876543210"), miniAppID, time.Now()), "session", "重新登录")
	refused(seal(t, key, miniAppID, time.Now().Add(-time.Hour)), "used", "已过期")
	refused(seal(t, key, miniAppID, time.Now().Add(time.Hour)), "used", "已过期")
	refused(map[string]string{}, "body", "格式")
	p.refused(put("{"), 400, "body")
	p.refused(put(`{"code":"`+strings.Repeat("x", 600<<10)+`"}`), 413, "body")

	old := seal(t, key, miniAppID, time.Now())
	_, _ = p.login("小明") // elsewhere: WeChat makes a new session_key, which o1 does not have
	p.world.WeChat.AddFault(wechattest.Fault{Path: "/sns/jscode2session", Body: strings.Replace(session.Body, base64.StdEncoding.EncodeToString(key), "MDAwMDAwMDAwMDAwMDAwMA==", 1), Times: 1})
	_, _ = p.login("小明") // o1 again: the session of the data has ended
	refused(old, "session", "已过期")
	user := p.call("GET", "/app/miniapp/user", token, nil).fields(t)
	require.Empty(t, user["phone"])
}

func TestCodesOfOthersAndUsedCodesAreRefusedInWords(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints)
	code := p.world.WeChat.MiniCode(miniAppID, "小明")
	sign := func(code string) reply {
		return p.call("POST", "/wechat/sign/default", "", map[string]string{"jsCode": code})
	}
	token, _, _ := strings.Cut(sign(code).text(t), "_")
	r := sign(code)
	p.refused(r, 400, "code")
	require.Contains(t, r.Msg, "已使用")
	p.refused(sign("made-up"), 400, "code")
	p.refused(sign(""), 400, "code")
	p.refused(sign(strings.Repeat("x", 1000)), 400, "code")
	p.refused(sign(p.world.WeChat.PhoneCode(miniAppID, "小明")), 400, "code")

	put := func(code string) reply {
		return p.call("PUT", "/app/miniapp/update-phone", token, map[string]string{"code": code})
	}
	p.refused(put(p.world.WeChat.PhoneCode(miniAppID, "小红")), 400, "code") // the phone of another person
	used := p.world.WeChat.PhoneCode(miniAppID, "小明")
	token, _, _ = strings.Cut(put(used).text(t), "_")
	p.refused(put(used), 400, "code")

	p.world.WeChat.AddPerson(wechattest.Person{Name: "小红", Blocked: true})
	p.refused(sign(p.world.WeChat.MiniCode(miniAppID, "小红")), 400, "blocked")
	p.world.WeChat.AddFault(wechattest.Fault{Path: "/sns/jscode2session", Status: 500})
	p.refused(sign(p.world.WeChat.MiniCode(miniAppID, "小明")), 503, "unavailable")
	require.Contains(t, p.log.String(), "jscode2session")
	require.NotContains(t, p.log.String(), "simulated", "the secret")
}

func TestAProfileIsUpdatedAsThePersonGivesIt(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints)
	token, _ := p.login("小明")
	update := func(body any) reply { return p.call("PUT", "/wechat/app/miniapp/user/update-info", token, body) }
	const pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
	r := update(map[string]string{"nickname": `<b>小明</b>`, "avatar": pixel})
	require.Equal(t, 200, r.status)
	require.JSONEq(t, "{}", r.raw)
	user := p.call("GET", "/app/miniapp/user", token, nil).fields(t)
	require.Equal(t, `<b>小明</b>`, user["nickname"])
	resp, err := http.Get(p.url + user["avatar"].(string))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "image/png", resp.Header.Get("Content-Type"))
	require.Equal(t, 404, p.call("GET", "/avatar/other", "", nil).status)

	require.Equal(t, 200, update(map[string]string{"nickName": "ming", "avatarUrl": "https://example.com/1.png"}).status)
	require.Equal(t, "https://example.com/1.png", p.call("GET", "/app/miniapp/user", token, nil).fields(t)["avatar"])
	p.refused(update(map[string]string{"nickname": "a\x14"}), 400, "nickname")
	p.refused(update(map[string]string{"avatar": "javascript:1"}), 400, "avatar")
	p.refused(update(map[string]string{}), 400, "body")
	p.refused(p.call("PUT", "/app/miniapp/user/update-info", "", map[string]string{"nickname": "x"}), 401, "token")
	p.refused(p.call("PUT", "/app/miniapp/user/update-info", "x_1", map[string]string{"nickname": "x"}), 401, "token")
}

func TestAPartThatIsNotActiveIsNotMounted(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints, "mini-app:\n      active: true", "mini-app:\n      active: false", "pay:\n      active: true", "pay:\n      active: false")
	require.Equal(t, 404, p.call("POST", "/wechat/sign/default", "", "{}").status)
	require.Equal(t, 404, p.call("GET", "/app/miniapp/products", "", nil).status)
	require.Equal(t, 404, p.call("POST", "/wechat/pay/notify", "", "{}").status)
	require.Equal(t, 200, p.call("GET", "/official", "", nil).status)
	p = start(t, store.GivePoints, "activate: true", "activate: false")
	require.Equal(t, 404, p.call("GET", "/official", "", nil).status)
	require.Equal(t, 404, p.call("GET", "/wechat/official-account/login", "", nil).status)
	require.Equal(t, 200, p.call("GET", "/", "", nil).status)
}

// The client is a program of its own language, as the mini programs of the old module are.
func TestAJavaScriptClientSplitsTokenAndFlagAtTheUnderscore(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("WETOKEN_TEST_REQUIRE") == "1" {
			t.Fatal("WETOKEN_TEST_REQUIRE is 1, but node is missing")
		}
		t.Skip("SKIPPED, NOT TESTED: the JavaScript client: node is missing")
	}
	p := start(t, store.GivePoints)
	codes := []string{p.world.WeChat.MiniCode(miniAppID, "小明"), p.world.WeChat.PhoneCode(miniAppID, "小明"), p.world.WeChat.MiniCode(miniAppID, "小明")}
	out, err := exec.Command("node", append([]string{"testdata/client.js", p.url}, codes...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "1 provisional\n0 bound 13800138000\n0 again 13800138000\n", string(out))
}
