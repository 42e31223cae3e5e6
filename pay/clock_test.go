package pay_test

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/store"
)

// skewed is the store as a process sees it whose clock is ahead of the others by ahead (or behind, if negative): the times that it
// writes are ahead, and those that it reads seem behind. Swaps of order records take slow.
type skewed struct {
	store.Store
	ahead, slow time.Duration
}

var (
	writtenTime = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"`)
	writtenAt   = regexp.MustCompile(`"at":\d{9,}`)
)

func moveTimes(b []byte, by time.Duration) []byte {
	if b == nil {
		return nil
	}
	b = writtenTime.ReplaceAllFunc(b, func(m []byte) []byte {
		at, err := time.Parse(`"`+time.RFC3339Nano+`"`, string(m))
		if err != nil || at.Year() < 1990 {
			return m
		}
		return []byte(at.Add(by).Format(`"` + time.RFC3339Nano + `"`))
	})
	return writtenAt.ReplaceAllFunc(b, func(m []byte) []byte {
		n, _ := strconv.ParseInt(strings.TrimPrefix(string(m), `"at":`), 10, 64)
		return []byte(`"at":` + strconv.FormatInt(n+int64(by/time.Second), 10))
	})
}

func (s *skewed) Get(ctx context.Context, key string) ([]byte, bool, error) {
	b, ok, err := s.Store.Get(ctx, key)
	return moveTimes(b, -s.ahead), ok, err
}

func (s *skewed) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if strings.Contains(key, "/order/") && old == nil {
		time.Sleep(s.slow)
	}
	return s.Store.Swap(ctx, key, moveTimes(old, s.ahead), moveTimes(new, s.ahead), ttl)
}

// place on a server whose clock is behind by skew, while another one runs; the notification is lost. It returns when OnPaid was called.
func foundAfter(t *testing.T, ahead, slow time.Duration) (found time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		claims, records := new(store.Memory), new(store.Memory)
		runs := deskOn(newBank("v3/1900000001"), newShop(), claims, records)
		places := deskOn(runs.bank, runs.shop, claims, &skewed{records, ahead, slow})
		stop := runs.run()
		defer stop()
		<-time.After(7 * time.Second) // the next round begins in 3 s
		_, err := places.Prepay(t.Context(), order("order-1"))
		require.NoError(t, err)
		<-time.After(20 * time.Second)
		runs.bank.payOrder("order-1")
		begun := time.Now()
		for range 24 * 360 {
			if runs.shop.count() == 1 {
				break
			}
			<-time.After(10 * time.Second)
		}
		found = time.Since(begun)
	})
	return found
}

func TestAClockAheadDropsNoOrderThatIsBeingPlaced(t *testing.T) {
	const slow = 4 * time.Second // of the call that writes the order; any time in which a round begins does
	require.Less(t, foundAfter(t, 0, slow), 2*time.Minute, "without skew")
	require.Less(t, foundAfter(t, -30*time.Second, slow), 2*time.Minute, "30 s")
	require.Less(t, foundAfter(t, -time.Minute, slow), 2*time.Minute, "1 min")
	require.Less(t, foundAfter(t, -5*time.Minute, slow), 2*time.Hour, "5 min: a paid order of which the notification was lost")
}
