package logline_test

import (
	"bytes"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/logline"
)

func TestAnAuditLineIsWrittenAtAnyLevel(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelError + 1})).With("app", "shop")
	log.Info("hidden")
	logline.Audit(t.Context(), log, "change", "caller", "c1")
	require.NotContains(t, b.String(), "hidden")
	require.Contains(t, b.String(), "level=INFO msg=change app=shop caller=c1")
}

func TestEachKindHasOneLineAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l logline.Limiter[string]
		requireAllowed := func(kind string, now bool, more int) {
			t.Helper()
			gotNow, gotMore := l.Allow(kind)
			require.Equal(t, now, gotNow)
			require.Equal(t, more, gotMore)
		}
		requireAllowed("a", true, 0)
		requireAllowed("b", true, 0)
		for range 5 {
			requireAllowed("a", false, 0)
		}
		time.Sleep(logline.Interval)
		requireAllowed("a", true, 5)
		requireAllowed("b", true, 0)
	})
}

func TestALimiterIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l logline.Limiter[int]
		for round := range 3 {
			lines := 0
			for i := range 3 * logline.MaxKinds {
				if now, _ := l.Allow(round*1_000_000 + i); now {
					lines++
				}
			}
			require.Equal(t, logline.MaxKinds, lines)
			time.Sleep(logline.Interval)
		}
	})
}
