package answer_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/wechat"
)

func TestACredentialIsAnsweredWithALifeOfASecondAtLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := new(answer.Credential)
		c := wechat.Credential{Value: "t", Expires: time.Now().Add(3 * time.Second)}
		for _, seconds := range []int{3, 2, 1, 1, 1, 1} {
			w := httptest.NewRecorder()
			a.Write(w, "ticket", c)
			var got struct {
				Ticket    string
				ExpiresIn int       `json:"expires_in"`
				ExpiresAt time.Time `json:"expires_at"`
			}
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
			require.Equal(t, "t", got.Ticket)
			require.Equal(t, seconds, got.ExpiresIn)
			require.True(t, got.ExpiresAt.Equal(time.Now().Add(time.Duration(seconds)*time.Second)), "%s at %s", got.ExpiresAt, time.Now())
			<-time.After(time.Second)
		}
	})
}
