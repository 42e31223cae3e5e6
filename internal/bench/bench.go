// Package bench compares the time of some code with that of a floor, and tolerates a noisy machine: it measures in many
// short alternating turns, and reports medians.
package bench

import (
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	pairs    = 101
	turnTime = 4 * time.Millisecond
)

// Ratio runs floor and subject, each of which repeats its work n times, in alternating turns. It reports the ratio of
// their times: the median of the pairs, the quartiles, and the ratio of the shortest turns. With more than one CPU, as many
// goroutines run each turn.
func Ratio(b *testing.B, cpus int, floor, subject func(n int)) {
	n := 1
	for measure(cpus, n, floor) < turnTime && n < 1<<30 {
		n *= 2
	}
	ratios, floors, subjects := make([]float64, pairs), make([]float64, pairs), make([]float64, pairs)
	b.ResetTimer()
	for range b.N {
		for i := range pairs {
			f, s := measure(cpus, n, floor), measure(cpus, n, subject)
			ratios[i], floors[i], subjects[i] = float64(s)/float64(f), float64(f)/float64(n), float64(s)/float64(n)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(quantile(floors, 50), "floor-ns")
	b.ReportMetric(quantile(subjects, 50), "ns")
	b.ReportMetric(quantile(ratios, 25), "x-q1")
	b.ReportMetric(quantile(ratios, 50), "x-median")
	b.ReportMetric(quantile(ratios, 75), "x-q3")
	b.ReportMetric(slices.Min(subjects)/slices.Min(floors), "x-minima")
}

func measure(cpus, n int, work func(n int)) time.Duration {
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
