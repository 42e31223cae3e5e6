package pay

import (
	"context"
	"io"
)

// Notifications have a few kilobytes. Anyone can send more and stall, so only maxLargeBodies bodies of this process are read at a time that
// are larger than smallNotification bytes.
const (
	smallNotification = 16 << 10
	maxLargeBodies    = 16
)

var largeBodies = make(chan struct{}, maxLargeBodies)

// readNotification reads a body. Large ones wait for each other until ctx ends.
func readNotification(ctx context.Context, from io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(from, smallNotification))
	if err != nil || len(body) < smallNotification {
		return body, err
	}
	select {
	case largeBodies <- struct{}{}:
		defer func() { <-largeBodies }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	rest, err := io.ReadAll(from)
	return append(body, rest...), err
}
