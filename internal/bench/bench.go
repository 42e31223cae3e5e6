// Package bench measures one piece of code against another, its floor, in a way that a noisy machine does not spoil:
// in many short turns, one after the other, of which the medians count.
package bench

import (
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	pairs = 101
	turn  = 4 * time.Millisecond
)

// Ratio runs floor and subject, each of which does its work n times, in turns, and reports how many times the floor's
// time the subject takes: the median of the pairs, and their quartiles. With more than one CPU each turn is run by as
// many goroutines.
func Ratio(b *testing.B, cpus int, floor, subject func(n int)) {
	n := 1
	for timed(cpus, n, floor) < turn && n < 1<<30 {
		n *= 2
	}
	ratios, floors, subjects := make([]float64, pairs), make([]float64, pairs), make([]float64, pairs)
	b.ResetTimer()
	for range b.N {
		for i := range pairs {
			f, s := timed(cpus, n, floor), timed(cpus, n, subject)
			ratios[i], floors[i], subjects[i] = float64(s)/float64(f), float64(f)/float64(n), float64(s)/float64(n)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(quantile(floors, 50), "floor-ns")
	b.ReportMetric(quantile(subjects, 50), "ns")
	b.ReportMetric(quantile(ratios, 25), "x-q1")
	b.ReportMetric(quantile(ratios, 50), "x-median")
	b.ReportMetric(quantile(ratios, 75), "x-q3")
}

func timed(cpus, n int, work func(n int)) time.Duration {
	if cpus == 1 {
		start := time.Now()
		work(n)
		return time.Since(start)
	}
	var wg sync.WaitGroup
	start := time.Now()
	for range cpus {
		wg.Go(func() { work(n) })
	}
	wg.Wait()
	return time.Since(start)
}

func quantile(all []float64, percent int) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)*percent/100]
}
