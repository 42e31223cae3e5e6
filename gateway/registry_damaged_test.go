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

// unreadableRecords are what a record may have become, by what it is. Those that are sealed are written with the master keys.
var unreadableRecords = map[string]struct {
	value  string
	sealed bool
}{
	"not sealed":      {`{"id":"x"}`, false},
	"no JSON":         {"x", true},
	"a later version": {`{"v":1,"id":["x"]}`, true},
	"another entry":   {`{"id":"another","name":"another","revision":"r","settings":{}}`, true},
	"too large":       {strings.Repeat(" ", 3<<20), true},
}

func TestARegistrationWhoseRecordCannotBeReadIsDeleted(t *testing.T) {
	payKeys()
	for what, c := range unreadableRecords {
		for _, kind := range []struct{ record, name, path string }{
			{"app/s1", "app-name/later", "/apps/later"},
			{"merchant/" + mchID, "merchant-name/m2", "/merchants/m2"},
			{"key/" + gateway.IDOfKey("backend"), "key-name/backend", "/keys/backend"},
		} {
			for _, index := range []string{"a good index", "a damaged index", "no index"} {
				t.Run(what+" "+kind.path+" "+index, func(t *testing.T) {
					runTills(t, func(t *testing.T, d *tills) {
						d.register(t, func(a *gateway.App) { a.ID, a.Pay = "s1", nil })
						_ = createKey(t, d.first, shopKey())
						advance(2 * time.Minute) // the indexes are settled
						raw := d.records.(*store.Sealed).Store
						plant := func(s store.Store, key, value string) {
							require.NoError(t, s.Set(t.Context(), "registry/"+key, []byte(value), 0))
						}
						if c.sealed {
							plant(d.records, kind.record, c.value)
						} else {
							plant(raw, kind.record, c.value)
						}
						path := kind.path
						switch index {
						case "a damaged index":
							plant(raw, kind.name, "x")
						case "no index":
							require.NoError(t, raw.Delete(t.Context(), "registry/"+kind.name))
						}
						if _, id, _ := strings.Cut(kind.record, "/"); index != "a good index" && !strings.HasPrefix(path, "/keys") {
							require.Equal(t, 404, askAdmin(t, d.first, adminKey, "DELETE", path, "", nil).Code)
							path = path[:strings.LastIndex(path, "/")+1] + id
						}
						if !strings.HasPrefix(path, "/keys") {
							require.Equal(t, 412, callRegistry(t, d.first.Private(), "DELETE", path, "", "If-Match", `"X"`).Code)
						}
						w := askAdmin(t, d.first, adminKey, "DELETE", path, "", nil)
						require.Equal(t, 204, w.Code, w.Body)
						require.Equal(t, 404, askAdmin(t, d.first, adminKey, "DELETE", path, "", nil).Code)
						_, ok, err := raw.Get(t.Context(), "registry/"+kind.record)
						require.NoError(t, err)
						require.False(t, ok)
						if strings.HasPrefix(path, "/apps") {
							_, ok, err = raw.Get(t.Context(), "registry/app-list/appid/"+laterID)
							require.NoError(t, err)
							require.False(t, ok, "it is no longer listed under its appid")
						}
						require.Contains(t, d.log.text(), "a registration that could not be read was removed")
						require.Contains(t, d.log.text(), "action=delete")

						d.register(t, func(a *gateway.App) { a.ID, a.Pay = "s1", nil })
						if strings.HasPrefix(path, "/keys") {
							_ = createKey(t, d.first, shopKey())
						}
					})
				})
			}
		}
	}
}

// An index that cannot be read keeps nothing from being changed.
func TestADamagedIndexIsRebuilt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := new(store.Memory)
		records := newSealed(t, raw)
		g := openGateway(t, records, newWeChat(), withAdmins)
		app := gateway.App{ID: "s1", AppID: laterID, Secret: laterSecret}
		for _, name := range []string{"later", "other"} {
			_, err := g.Apps().Put(t.Context(), name, app, "")
			require.NoError(t, err)
			app.ID = "s2"
		}
		key := createKey(t, g, shopKey())
		damage := func() {
			for _, key := range []string{"app-name/later", "app-name/free", "app-list/appid/" + laterID, "key-name/backend"} {
				require.NoError(t, raw.Set(t.Context(), "registry/"+key, []byte("x"), 0))
			}
		}
		damage()
		app.ID = ""
		_, err := g.Apps().Put(t.Context(), "later", app, "")
		require.NoError(t, err)
		list, err := g.Apps().WithAppID(t.Context(), laterID)
		require.NoError(t, err)
		require.Len(t, list, 2)
		damage()
		r, err := g.Apps().Rename(t.Context(), "later", "free", "")
		require.NoError(t, err)
		require.Equal(t, "s1", r.App.ID)
		got, err := g.Apps().Get(t.Context(), "free")
		require.NoError(t, err)
		require.Equal(t, "s1", got.App.ID)
		damage()
		require.NoError(t, g.Apps().Delete(t.Context(), "free", ""))
		require.NoError(t, g.Keys().Delete(t.Context(), "backend"))
		require.Equal(t, http.StatusUnauthorized, readToken(t, g, "shop", key))
	})
}

// A key stays revocable by its name if the index of that is lost.
func TestAKeyWithoutAnIndexIsRevoked(t *testing.T) {
	raw := new(store.Memory)
	g := openGateway(t, newSealed(t, raw), newWeChat(), withAdmins)
	key := createKey(t, g, shopKey())
	require.NoError(t, raw.Delete(t.Context(), "registry/key-name/backend"))
	require.Equal(t, 204, askAdmin(t, g, adminKey, "DELETE", "/keys/backend", "", nil).Code)
	require.Equal(t, http.StatusUnauthorized, readToken(t, g, "shop", key))
}

// The payments of an app whose record is damaged do not keep it from being deleted, and are finished once it is registered again.
func TestThePaymentsOfADamagedAppWaitForTheNextOne(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		status, got := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
		require.Equal(t, http.StatusOK, status, got)
		require.NoError(t, d.records.Set(t.Context(), "registry/app/later", []byte(`{"v":1}`), 0))
		var unfinished *gateway.UnfinishedError
		require.ErrorAs(t, d.first.Apps().Delete(t.Context(), "later", ""), &unfinished, "the later release serves it")
		for _, record := range []string{"app/later", "merchant/" + mchID} {
			require.NoError(t, d.records.Set(t.Context(), "registry/"+record, []byte("x"), 0))
		}
		require.NoError(t, d.first.Merchants().Delete(t.Context(), "m2", ""))
		require.NoError(t, d.first.Apps().Delete(t.Context(), "later", ""))
		require.Contains(t, d.log.text(), "out_trade_no order-1")
		advance(5 * time.Second)
		_, err := d.wx.Pay(mchID, "order-1", "o1")
		require.NoError(t, err)
		advance(time.Hour)
		require.Empty(t, d.reports())
		d.register(t)
		advance(time.Hour)
		require.Len(t, d.reports(), 1)
	})
}

// The token of an app stays that of its other apps if the record of one of these cannot be read, so the app is deleted.
func TestAnAppIsDeletedAlthoughAnotherOneOfItsAppIDCannotBeRead(t *testing.T) {
	raw := new(store.Memory)
	g := openGateway(t, newSealed(t, raw), newWeChat(), withAdmins)
	for _, name := range []string{"later", "other"} {
		_, err := g.Apps().Put(t.Context(), name, gateway.App{AppID: laterID, Secret: laterSecret}, "")
		require.NoError(t, err)
	}
	require.NoError(t, raw.Set(t.Context(), "registry/app/other", []byte("x"), 0))
	require.Equal(t, 204, askAdmin(t, g, adminKey, "DELETE", "/apps/later", "", nil).Code)
	require.Equal(t, 404, askAdmin(t, g, adminKey, "DELETE", "/apps/later", "", nil).Code)
}
