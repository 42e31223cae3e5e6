// Package logline writes log lines that have rules of their own: audit lines, which no level hides, and lines that outsiders can
// cause, which are limited.
package logline

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"
)

// Audit writes a line of who did what at level Info, whatever the level of the log. args are those of slog.Logger.Log.
func Audit(ctx context.Context, log *slog.Logger, msg string, args ...any) {
	r := slog.NewRecord(time.Now(), slog.LevelInfo, msg, 0)
	r.Add(args...)
	_ = log.Handler().Handle(ctx, r) // slog.Logger discards it, too
}

// Interval is the time between two lines of one kind.
const Interval = time.Minute

// MaxKinds is the number of kinds of which a Limiter writes in one Interval.
const MaxKinds = 4096

// Limiter limits the lines of each kind to one in an Interval. The zero value is ready. It is safe for concurrent use.
type Limiter[K comparable] struct {
	mu      sync.Mutex
	kinds   map[K]kind
	cleaned time.Time // when removeOld last searched
}

const cleanInterval = time.Second // between two searches

type kind struct {
	last    time.Time
	skipped int
}

// Allow reports whether a line of kind k may be written now, and how many were not since the last one.
func (l *Limiter[K]) Allow(k K) (now bool, more int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := time.Now()
	was, ok := l.kinds[k]
	switch {
	case ok && at.Sub(was.last) < Interval:
		was.skipped++
		l.kinds[k] = was
		return false, 0
	case !ok && len(l.kinds) >= MaxKinds && !l.removeOld(at):
		return false, 0
	}
	if l.kinds == nil {
		l.kinds = make(map[K]kind)
	}
	l.kinds[k] = kind{last: at}
	return true, was.skipped
}

// removeOld removes the kinds without a line in the last Interval, and reports whether there were any.
func (l *Limiter[K]) removeOld(now time.Time) bool {
	if now.Sub(l.cleaned) < cleanInterval {
		return false
	}
	l.cleaned = now
	maps.DeleteFunc(l.kinds, func(_ K, was kind) bool { return now.Sub(was.last) >= Interval })
	return len(l.kinds) < MaxKinds
}
