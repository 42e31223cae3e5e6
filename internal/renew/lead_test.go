package renew

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRenewalsOfOneTimeAreSpreadEvenly(t *testing.T) {
	const all = 20000
	for _, c := range []struct {
		ours          bool
		earliest, end time.Duration
	}{{true, 285 * time.Second, 90 * time.Second}, {false, 240 * time.Second, 75 * time.Second}} {
		tenth := make([]int, 10)
		for i := range all {
			r := &record{Life: (2 * time.Hour).Milliseconds(), Gen: 946684800000}
			key := fmt.Sprintf("token/wx%016d/stable", i)
			lead := r.lead(key, c.ours)
			require.LessOrEqual(t, lead, c.earliest)
			require.Greater(t, lead, c.end)
			require.Equal(t, lead, r.lead(key, c.ours), "every process has the same one")
			require.GreaterOrEqual(t, r.lead(key, true)-r.lead(key, false), 15*time.Second, "the process that fetched is first")
			tenth[int(float64(c.earliest-lead)/float64(c.earliest-c.end)*10)]++
		}
		for _, n := range tenth {
			require.InDelta(t, all/10, n, all/100)
		}
	}
}

func TestAnAppIsNotAlwaysAmongTheFirst(t *testing.T) {
	seen := map[time.Duration]bool{}
	for gen := range int64(100) {
		r := &record{Life: (2 * time.Hour).Milliseconds(), Gen: gen}
		seen[r.lead("token/app", true).Truncate(10*time.Second)] = true
	}
	require.Greater(t, len(seen), 15)
}

func TestEarlyRenewalsAreSpreadOverTheLastHour(t *testing.T) {
	const all = 20000
	k := &Keeper{Early: true}
	tenth := make([]int, 10)
	for i := range all {
		k.Key = fmt.Sprintf("token/wx%016d/by/wxplatform", i)
		r := &record{Life: (2 * time.Hour).Milliseconds(), Gen: 946684800000}
		lead := k.lead(r, true)
		require.LessOrEqual(t, lead, 60*time.Minute)
		require.Greater(t, lead, 22*time.Minute)
		require.InDelta(t, 2*time.Minute, lead-k.lead(r, false), float64(time.Millisecond), "the process that fetched is first")
		tenth[int(float64(60*time.Minute-lead)/float64(38*time.Minute)*10)]++
	}
	for _, n := range tenth {
		require.InDelta(t, all/10, n, all/100)
	}
}
