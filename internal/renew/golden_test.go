package renew_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// The files in testdata are records as this package has stored them since its first release. Later formats must read
// them, and must be comparable with them while processes of two releases share a store. Their instants are those of a
// synctest bubble, which begins on 2000-01-01 UTC.

const goldenKey = "token/app"

// golden returns the record in testdata/name.json.
func golden(t *testing.T, name string) string {
	raw, err := os.ReadFile("testdata/" + name + ".json")
	require.NoError(t, err)
	return strings.TrimSpace(string(raw))
}

// goldenKeeper returns a keeper of a classic token over s. It records its calls in calls, and runs during in each Fetch.
func goldenKeeper(s store.Store, calls *[]string, during func()) *renew.Keeper {
	answer := func(name, value string) func(context.Context) (wechat.Credential, error) {
		return func(context.Context) (wechat.Credential, error) {
			*calls = append(*calls, name)
			start := time.Now()
			if name == "fetch" && during != nil {
				during()
			}
			return wechat.Credential{Value: value, Expires: start.Add(2 * time.Hour)}, nil
		}
	}
	return &renew.Keeper{
		Store: s, Key: goldenKey, Overlaps: true, Supersedes: true, Jitter: func() float64 { return 0 },
		Fetch: answer("fetch", "v2"), Alone: answer("alone", "v3"),
		OnError: func(context.Context, error) {},
	}
}

func stored(t *testing.T, s store.Store, key string) string {
	raw, _, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	return string(raw)
}

func TestGoldenRecordsAreWritten(t *testing.T) {
	bubble := func(name string, f func(t *testing.T, s store.Store, calls *[]string)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, new(store.Memory), new([]string)) })
		})
	}
	bubble("value", func(t *testing.T, s store.Store, calls *[]string) {
		k := goldenKeeper(s, calls, nil)
		k.Supersedes = false
		_, err := k.Copy().Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, golden(t, "value"), stored(t, s, goldenKey))
	})
	bubble("none", func(t *testing.T, s store.Store, calls *[]string) {
		var during string
		_, err := goldenKeeper(s, calls, func() { during = stored(t, s, goldenKey) }).Copy().Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, golden(t, "none"), during)
	})
	bubble("asked", func(t *testing.T, s store.Store, calls *[]string) {
		require.NoError(t, s.Set(t.Context(), goldenKey, []byte(golden(t, "value")), 2*time.Hour))
		time.Sleep(time.Hour)
		var during string
		k := goldenKeeper(s, calls, nil)
		k.Fetch = func(ctx context.Context) (wechat.Credential, error) {
			during = stored(t, s, goldenKey)
			return k.Alone(ctx)
		}
		_, err := k.Copy().Renew(t.Context(), "v2")
		require.NoError(t, err)
		require.Equal(t, golden(t, "asked"), during)
	})
	bubble("brief", func(t *testing.T, s store.Store, calls *[]string) {
		other := strings.Replace(golden(t, "value"), `"v2"`, `"v1"`, 1)
		other = strings.Replace(other, `"gen":946684800000`, `"gen":946684800009`, 1)
		crossed := func() { require.NoError(t, s.Set(t.Context(), goldenKey, []byte(other), time.Hour)) }
		_, err := goldenKeeper(s, calls, crossed).Copy().Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, golden(t, "brief"), stored(t, s, goldenKey))
	})
	bubble("ration", func(t *testing.T, s store.Store, calls *[]string) {
		require.NoError(t, s.Set(t.Context(), goldenKey, []byte(golden(t, "value")), time.Hour))
		k := goldenKeeper(s, calls, nil)
		k.Supersedes, k.Force = false, k.Alone
		c, err := k.Copy().Renew(renew.WithCaller(t.Context(), "shop"), "v2")
		require.NoError(t, err)
		require.Equal(t, "v3", c.Value)
		require.Equal(t, golden(t, "ration"), stored(t, s, goldenKey+"/forced"))
		require.Equal(t, golden(t, "ration"), stored(t, s, goldenKey+"/forced/shop"))
	})
}

func TestGoldenRecordsAreRead(t *testing.T) {
	bubble := func(name string, f func(t *testing.T, s store.Store, calls *[]string)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(store.Memory)
				require.NoError(t, s.Set(t.Context(), goldenKey, []byte(golden(t, name)), 2*time.Hour))
				f(t, s, new([]string))
			})
		})
	}
	bubble("value", func(t *testing.T, s store.Store, calls *[]string) {
		c, err := goldenKeeper(s, calls, nil).Copy().Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, "v2", c.Value)
		require.True(t, c.Expires.Equal(time.Now().Add(2*time.Hour-time.Minute)), c.Expires) // clocks differ by a minute at most
		require.Empty(t, *calls)
	})
	bubble("none", func(t *testing.T, s store.Store, calls *[]string) { // the next generation is later
		ahead := strings.Replace(golden(t, "none"), "946684800000", "946685400000", 1)
		require.NoError(t, s.Set(t.Context(), goldenKey, []byte(ahead), time.Minute))
		c, err := goldenKeeper(s, calls, nil).Copy().Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, "v2", c.Value)
		require.Contains(t, stored(t, s, goldenKey), `"gen":946685400003`)
	})
	bubble("asked", func(t *testing.T, s store.Store, calls *[]string) { // it is served, and no process fetches meanwhile
		time.Sleep(time.Hour)
		c, err := goldenKeeper(s, calls, nil).Copy().Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, "v2", c.Value)
		require.Empty(t, *calls)
	})
	bubble("brief", func(t *testing.T, s store.Store, calls *[]string) { // it is served, and followed by a value from Alone
		copy := goldenKeeper(s, calls, nil).Copy()
		c, err := copy.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, "v2", c.Value)
		require.Empty(t, *calls)
		time.Sleep(4 * time.Minute)
		c, err = copy.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, "v3", c.Value)
		require.Equal(t, []string{"alone"}, *calls)
	})
	t.Run("ration", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, calls := new(store.Memory), new([]string)
			full := strings.Replace(golden(t, "ration"), `"count":1`, `"count":20`, 1)
			require.NoError(t, s.Set(t.Context(), goldenKey+"/forced", []byte(full), time.Hour))
			k := goldenKeeper(s, calls, nil)
			k.Supersedes, k.Force = false, k.Alone
			_, err := k.Copy().Renew(t.Context(), "v2")
			require.ErrorIs(t, err, renew.ErrRationed)
		})
	})
}
