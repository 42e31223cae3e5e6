package pay

import "time"

const (
	defaultExpiry = 7 * 24 * time.Hour // WeChat's, for an order without ExpiresAt
	codeExpiry    = time.Hour          // of an order of trade code; a payment code is valid for a minute
)

// queryDelays are the ages at which Run queries an unpaid order. It then queries hourly.
var queryDelays = []time.Duration{
	10 * time.Second, 30 * time.Second, time.Minute, 3 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
}

const queryInterval = time.Hour

// nextQuery returns the time of the next query of an unpaid order. One query is made at its expiry, and hourly ones after it.
func nextQuery(placed, expiry, now time.Time) time.Time {
	age := now.Sub(placed)
	next := now.Add(queryInterval)
	for _, after := range queryDelays {
		if after > age {
			next = placed.Add(after)
			break
		}
	}
	if end := expiry.Add(time.Second); now.Before(end) && next.After(end) {
		return end
	}
	return next
}

// retryAt returns the time of the next attempt of work that has failed since a time. The delay grows from 15 s to maxDelay.
func retryAt(since, now time.Time, maxDelay time.Duration) time.Time {
	return now.Add(min(max(now.Sub(since), 15*time.Second), maxDelay))
}
