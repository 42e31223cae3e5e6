package gateway_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

// A program that can write to the store, but has no master keys, cannot stop revocations.
func TestAKeyIsRevokedAlthoughTheRecordOfChangesWasReplaced(t *testing.T) {
	for _, running := range []bool{false, true} { // whether the processes read the record before the key is revoked
		synctest.Test(t, func(t *testing.T) {
			raw, log := new(store.Memory), new(syncBuffer)
			records := newSealed(t, raw)
			logged := func(o *gateway.Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) }
			one, stopOne := runGateway(t, records, newWeChat(), withAdmins, logged)
			defer stopOne()
			two, stopTwo := runGateway(t, records, newWeChat(), withAdmins, logged)
			defer stopTwo()
			key := createKey(t, one, shopKey())
			advance(2500 * time.Millisecond)
			require.Equal(t, http.StatusOK, readToken(t, two, "shop", key))
			require.NoError(t, raw.Set(t.Context(), "registry/changes", []byte("x"), 0))
			if running {
				advance(2 * time.Second)
			}
			require.Equal(t, 204, askAdmin(t, one, adminKey, "DELETE", "/keys/backend", "", nil).Code)
			advance(2 * time.Second)
			require.Equal(t, http.StatusUnauthorized, readToken(t, two, "shop", key))
			require.Equal(t, 1, strings.Count(log.text(), "a record could not be read, and was replaced"), log.text())
			require.Contains(t, log.text(), "registry/changes")

			again := createKey(t, two, shopKey())
			require.Equal(t, http.StatusOK, readToken(t, one, "shop", again))
			require.Equal(t, 204, askAdmin(t, two, adminKey, "DELETE", "/keys/backend", "", nil).Code)
			advance(2 * time.Second)
			require.Equal(t, http.StatusUnauthorized, readToken(t, one, "shop", again))
		})
	}
}
