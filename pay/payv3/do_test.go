package payv3_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
)

func payv3Encrypt(key *rsa.PublicKey, text string) (string, error) {
	b, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key, []byte(text), nil)
	return base64.StdEncoding.EncodeToString(b), err
}

func decrypt(t *testing.T, text any) string {
	b, err := base64.StdEncoding.DecodeString(text.(string))
	require.NoError(t, err)
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, keys()[1], b, nil)
	require.NoError(t, err)
	return string(plain)
}

func TestSensitiveFieldsAreEncryptedWhereverTheyAre(t *testing.T) {
	type receiver struct {
		Account string       `json:"account"`
		Name    payv3.Secret `json:"name,omitempty"`
		inside  payv3.Secret
	}
	in := map[string]any{
		"user_name": payv3.Secret("张三"), "empty": payv3.Secret(""), "amount": 1,
		"receivers": []receiver{{Account: "a", Name: "李四"}, {Account: "b", inside: "not sent"}},
		"pointer":   &receiver{Account: "c", Name: "王五"},
		"array":     [1]payv3.Secret{"赵六"}, "plain": map[string]string{"k": "v"}, "nothing": nil,
	}
	f := newFake()
	f.answer = always(200, `{}`)
	require.NoError(t, f.merchant(t).Do(t.Context(), "POST", "/v3/x", in, nil))
	require.Equal(t, publicKeyID, f.headers[0].Get("Wechatpay-Serial"))
	var sent map[string]any
	require.NoError(t, json.Unmarshal(f.bodies[0], &sent))
	require.Equal(t, "张三", decrypt(t, sent["user_name"]))
	require.Equal(t, "", sent["empty"])
	require.Equal(t, map[string]any{"k": "v"}, sent["plain"])
	list := sent["receivers"].([]any)
	require.Equal(t, "李四", decrypt(t, list[0].(map[string]any)["name"]))
	require.Equal(t, map[string]any{"account": "b"}, list[1])
	require.Equal(t, "王五", decrypt(t, sent["pointer"].(map[string]any)["name"]))
	require.Equal(t, "赵六", decrypt(t, sent["array"].([]any)[0]))
	require.Equal(t, payv3.Secret("张三"), in["user_name"], "the caller's value was changed")
	require.Equal(t, payv3.Secret("王五"), in["pointer"].(*receiver).Name)

	err := f.merchant(t).Do(t.Context(), "POST", "/v3/x", payv3.Secret(bytes.Repeat([]byte("x"), 300)), nil)
	require.ErrorContains(t, err, "214 at most")
}

func TestASecretPrintsWithoutItsText(t *testing.T) {
	s := payv3.Secret("张三")
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s)
	b, err := json.Marshal(map[string]any{"s": s})
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%s %v %q %x %+v %#v %d", s, s, s, s, s, struct{ S payv3.Secret }{s}, s)+log.String()+string(b), "张三")
	require.NotContains(t, fmt.Sprintf("%x %X", s, s), "e5bca0")
}

func TestSensitiveFieldsOfAnswersAreReadWhereverTheyAre(t *testing.T) {
	one, err := payv3Encrypt(&merchantKey().PublicKey, "13800000000")
	require.NoError(t, err)
	f := newFake()
	f.answer = always(200, `{"a":"`+one+`","list":[{"b":"`+one+`"}],"map":{"k":"`+one+`"},"p":{"b":"`+one+`"},"empty":"","plain":"x"}`)
	var out struct {
		A     payv3.Secret
		List  []struct{ B payv3.Secret }
		Map   map[string]payv3.Secret
		P     *struct{ B payv3.Secret }
		Empty payv3.Secret
		Plain string
	}
	require.NoError(t, f.merchant(t).Do(t.Context(), "GET", "/v3/x", nil, &out))
	for _, got := range []payv3.Secret{out.A, out.List[0].B, out.Map["k"], out.P.B} {
		require.Equal(t, "13800000000", string(got))
	}
	require.Empty(t, string(out.Empty))
	require.Equal(t, "x", out.Plain)

	f.answer = always(200, `{"a":"AAAA"}`)
	require.ErrorContains(t, f.merchant(t).Do(t.Context(), "GET", "/v3/x", nil, &out), "another of our certificates")
}

func TestAFileIsUploadedWithItsMetaSigned(t *testing.T) {
	f := newFake() // whose verification takes the meta alone
	f.answer = always(200, `{"media_id":"m1"}`)
	file := []byte("\xff\xd8\xff\xe0 picture\r\n--boundary")
	var out struct {
		MediaID string `json:"media_id"`
	}
	require.NoError(t, f.merchant(t).Do(t.Context(), "POST", "/v3/merchant/media/upload", payv3.Upload{Name: "店 1.JPG", Data: file}, &out))
	require.Equal(t, "m1", out.MediaID)
	_, params, err := mime.ParseMediaType(f.headers[0].Get("Content-Type"))
	require.NoError(t, err)
	form, err := multipart.NewReader(bytes.NewReader(f.bodies[0]), params["boundary"]).ReadForm(1 << 20)
	require.NoError(t, err)
	sum := sha256.Sum256(file)
	require.Equal(t, `{"filename":"店 1.JPG","sha256":"`+hex.EncodeToString(sum[:])+`"}`, form.Value["meta"][0])
	require.Equal(t, "店 1.JPG", form.File["file"][0].Filename)
	require.Equal(t, "image/jpeg", form.File["file"][0].Header.Get("Content-Type"))
	require.Contains(t, string(f.bodies[0]), `form-data; name="meta"`)
	for _, wrong := range []payv3.Upload{{Data: file}, {Name: `a".jpg`, Data: file}, {Name: "a.jpg"}} {
		require.Error(t, f.merchant(t).Do(t.Context(), "POST", "/v3/merchant/media/upload", wrong, nil))
	}
	require.Len(t, f.requests, 1)
}

func TestOnlyFilesMayComeUnsigned(t *testing.T) {
	f := newFake()
	f.answer = always(200, "content")
	f.fault = func(*http.Request, int) string { return "unsigned" }
	m := f.merchant(t)
	for _, path := range []string{"/v3/billdownload/file?token=x", "/v3/transferdownload/elecvoucherfile?token=x", "/v3/transferdownload/signfile", "/v3/new-tax-control-fapiao/download",
		"/v3/statements?date=1", "/v3/global/statements", "/v3/merchant-service/images/abc"} {
		var b bytes.Buffer
		require.NoError(t, m.Do(t.Context(), "GET", path, nil, &b), path)
		require.Equal(t, "content", b.String())
	}
	for _, path := range []string{"/v3/merchant-service/images/upload", "/v3/merchant-service/images/a/b", "/v3/bill/tradebill?bill_date=1", "/v3/statementsx"} {
		var b bytes.Buffer
		require.ErrorIs(t, m.Do(t.Context(), "GET", path, nil, &b), pay.ErrUnknown, path)
		require.Empty(t, b.String(), path)
	}
}

func TestAnAnswerThatCannotBeReadIsNoPlainFailure(t *testing.T) {
	f := newFake()
	f.answer = always(200, `{"state":7}`)
	var out struct {
		State string `json:"state"`
	}
	err := f.merchant(t).Do(t.Context(), "POST", "/v3/x", map[string]any{"out_bill_no": "t1"}, &out)
	require.ErrorIs(t, err, pay.ErrUnknown)
	require.ErrorContains(t, err, "it was done, but its answer cannot be read: field state is a number: want string")
	f.answer = always(200, "")
	require.ErrorIs(t, f.merchant(t).Do(t.Context(), "POST", "/v3/x", nil, &out), pay.ErrUnknown)
}
