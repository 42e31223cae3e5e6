package wechat_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechat"
)

func TestControlCharactersInStringsAreDropped(t *testing.T) {
	for _, body := range []string{
		"{\r\n\t\"nickname\":\"a\x14\x00\n\\\"b\",\"sex\":1}", "\ufeff{\"nickname\":\"\x1fa\\\"b\",\"sex\":1}\n", "\n\ufeff {\"nick\x01name\":\"a\\\x14\"b\",\"sex\":1}",
	} {
		c := newClient(t, says("text/plain", body))
		require.NoError(t, c.Get(t.Context(), "/x", nil, nil), "%q", body)
		var user struct {
			Nickname string
			Sex      int
		}
		require.NoError(t, c.Get(t.Context(), "/x", nil, &user), "%q", body)
		require.Equal(t, `a"b`, user.Nickname)
		require.Equal(t, 1, user.Sex)
		var raw json.RawMessage
		require.NoError(t, c.Get(t.Context(), "/x", nil, &raw))
		require.JSONEq(t, `{"nickname":"a\"b","sex":1}`, string(raw))

		var asItCame []byte
		require.NoError(t, c.Get(t.Context(), "/x", nil, &asItCame))
		require.Equal(t, body, string(asItCame))
	}
}

func TestARefusalIsFoundDespiteControlCharacters(t *testing.T) {
	for _, body := range []string{
		"\ufeff{\"errcode\":45009,\"errmsg\":\"quota\"}", "\r\n\ufeff\n{\"errcode\":45009}", "{\"errcode\":45009,\"errmsg\":\"of \x14 ming\n\"}",
		`{"errcode":"45009","errmsg":"quota"}`, `{"errcode":45009.0}`, `{"errcode":"45009.0"}`, `{"errcode":4.5009e4}`,
	} {
		c := newClient(t, says("image/jpeg", body))
		var b []byte
		var w bytes.Buffer
		d := wechat.Download{W: &w}
		for _, out := range []any{nil, new(struct{ Nickname string }), new(any), &b, &w, &d} {
			require.ErrorIs(t, c.Get(t.Context(), "/x", nil, out), wechat.ErrQuota, "%q into %T", body, out)
		}
		require.Nil(t, b)
		require.Zero(t, w.Len())
		require.Equal(t, wechat.Download{W: &w}, d, "a refusal leaves out untouched")
	}
	for _, body := range []string{"\ufeff{\"errcode\":0}", `{"errcode":"0"}`, `{"errcode":0.0}`, `{"errcode":""}`, `{"errcode":null}`} {
		require.NoError(t, newClient(t, says("", body)).Get(t.Context(), "/x", nil, nil), body)
	}
}

func TestAnAnswerThatIsNotJSONIsNamedByItsOffset(t *testing.T) {
	const hidden = "tiihtNczf5v6AKRyjwEUhQ"
	for body, offset := range map[string]string{
		`{"session_key":"` + hidden:                       "offset 38 of 38 bytes",
		"\ufeff{\"a\":\"\x14\",\"b\":" + hidden:           "offset 18 of 38 bytes",
		"<html>" + hidden:                                 "offset 1 of 28 bytes",
		`{"a":1}` + strings.Repeat(hidden, 1000) + "\x14": "offset 8 of 22008 bytes",
	} {
		for _, out := range []any{nil, new(any)} {
			err := newClient(t, says("", body)).Get(t.Context(), "/x", nil, out)
			require.ErrorContains(t, err, "wechat: GET /x: the answer is not JSON (HTTP status 200): ")
			require.ErrorContains(t, err, offset)
			require.NotContains(t, err.Error(), hidden[:4])
		}
	}
}

func TestACallersStructIsDecodedByEncodingJSON(t *testing.T) {
	var out struct {
		ExpiresIn int64 `json:"expires_in"`
		Code      int8
	}
	err := newClient(t, says("", `{"expires_in":"7200"}`)).Get(t.Context(), "/x", nil, &out)
	var mistyped *json.UnmarshalTypeError
	require.ErrorAs(t, err, &mistyped)
	require.Equal(t, "expires_in", mistyped.Field)
	require.ErrorContains(t, err, "at offset 20")

	err = newClient(t, says("", `{"code":123456}`)).Get(t.Context(), "/x", nil, &out)
	require.ErrorContains(t, err, "at offset 14")
	require.NotContains(t, err.Error(), "123456", "a code may be a secret")
}

func TestARefusalRepeatsNoSecretOfABodyWithControlCharacters(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"errcode":40125,"errmsg":"bad the-secret-of-this-test"}`))
	})
	err := c.Post(t.Context(), "/x", nil, strings.NewReader("\ufeff{\"secret\":\"the-secret-of-this-test\",\"name\":\"\x14\"}"), nil)
	require.ErrorIs(t, err, wechat.ErrInvalidSecret)
	require.NotContains(t, err.Error(), "the-secret")
}
