package main_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
)

// limitMemory makes a Redis refuse writes until it is emptied, like one that has reached its maxmemory.
func limitMemory(t *testing.T, s *service, limit string) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.address})
	defer client.Close()
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", limit).Err())
}

func TestServersOutliveARedisThatTakesNoWrites(t *testing.T) {
	testform.NeedFull(t)
	t.Parallel()
	s := newRedis(t)
	o := outage{
		lasts: 15 * time.Second,
		begin: func(t *testing.T) { limitMemory(t, s, "1") },
		end:   func(t *testing.T) { limitMemory(t, s, "0") },
	}
	c := startCluster(t, same(s.url(s.address)), o.lives(), "")
	c.requireOutlives(t, o, "steady", "due")
}

// In this test WeChat is slow: replies come late, and the first call takes effect after its caller has gone. Tokens live
// for 80 s, so superseded ones end after 20 s.
func TestServersHoldNoTokenThatALateCallEnds(t *testing.T) {
	testform.NeedFull(t)
	t.Parallel()
	for name, limit := range map[string]string{"Redis": "0", "a Redis that takes no writes": "1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRedis(t)
			c := startCluster(t, same(s.url(s.address)), map[string]time.Duration{"classic": 80 * time.Second}, "")
			limitMemory(t, s, limit)
			c.wx.fail(t, "classic", map[string]any{"path": "/cgi-bin/token", "late": true, "delay": 12, "times": 1})
			c.wx.fail(t, "classic", map[string]any{"delay": 0.3, "times": 20})
			y, stop := c.startReaders(t, "classic", 200*time.Millisecond)
			<-time.After(50 * time.Second)
			stop()
			t.Logf("%s; %d calls to WeChat", y, c.wx.fetches(t, "classic"))
			require.Empty(t, y.dead)
			late := slices.DeleteFunc(y.errs, func(e string) bool { return !strings.Contains(e, "status 503") })
			require.Len(t, late, len(y.errs), "other failures: %s", y.errs)
			require.LessOrEqual(t, len(y.errs), size, "only those are told of it who wait for the call that hangs: %s", y.errs)
			require.NotZero(t, y.reads())
		})
	}
}
