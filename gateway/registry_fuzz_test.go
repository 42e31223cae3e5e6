package gateway_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

// FuzzPutOverHTTP sends any body. What is stored is what the configuration takes, can be read and written again, and no reply has a
// secret.
func FuzzPutOverHTTP(f *testing.F) {
	for _, body := range []string{
		laterBody, laterMasked, `{}`, `[]`, `null`, `{"app_id":"` + laterID + `"}`, laterBody + "}", laterBody + laterBody,
		`{"app_id":"` + laterID + `","secret":null}`, `{"app_id":"` + laterID + `","message":{"aes_key":"********"}}`,
		`{"app_id":"` + laterID + `","app\u005fid":"wx2"}`, `{"app_id":"` + laterID + `","verify_files":{"MP_verify_a.txt":"\u0000"}}`,
		`{"app_id":"` + laterID + `","receive_ids":"any","expires_at":"2099-01-01T00:00:00Z","allow":["/"]}`,
		`{"app_id":"` + laterID + `","message":{"token":"tok","forward":[{"url":"http://u:p@h/","form":"json","timeout":"4s","when":{"type":"text","pattern":"(a"}}]}}`,
		`{"app_id":"` + laterID + `","pay":{"merchant":"m1"},"cards":true,"keep":true,"tickets":["jsapi"]}`,
		"{\"app_id\":\"\xff\"}", `{"app_id":"` + laterID + `","name":"` + "\xed\xa0\x80" + `","previous_secret":"x","next_secret":"y"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := config()
		g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins)
		first := gateway.App{AppID: laterID, Secret: laterSecret, SignKey: "a-sign-key-of-sixteen"}
		before, err := g.Apps().Put(t.Context(), "later", first, "")
		require.NoError(t, err)
		put := func(body []byte) *httptest.ResponseRecorder {
			r := httptest.NewRequest("PUT", "/apps/later", bytes.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+adminKey)
			w := httptest.NewRecorder()
			g.Private().ServeHTTP(w, r)
			require.True(t, json.Valid(w.Body.Bytes()))
			return w
		}
		w := put(body)
		for _, hidden := range []string{laterSecret, first.SignKey} {
			if !bytes.Contains(body, []byte(hidden)) { // such as in the name of the app
				require.NotContains(t, w.Body.String(), hidden)
			}
		}
		r, err := g.Apps().Get(t.Context(), "later")
		require.NoError(t, err)
		if w.Code != http.StatusOK {
			require.Contains(t, []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge}, w.Code, w.Body.String())
			require.Equal(t, before.Revision, r.Revision, "nothing is stored")
			return
		}
		c.Apps["later"] = r.App
		require.NoError(t, c.Check(), "the configuration takes it")
		again := put(w.Body.Bytes())
		require.Equal(t, http.StatusOK, again.Code, again.Body.String())
		require.JSONEq(t, w.Body.String(), again.Body.String())
		same, err := g.Apps().Get(t.Context(), "later")
		require.NoError(t, err)
		require.Equal(t, r.App, same.App, "what was read can be written, and its secrets stay")
	})
}
