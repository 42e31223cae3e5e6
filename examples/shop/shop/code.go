package shop

import "context"

// Sender sends a code to a mobile by SMS.
type Sender interface {
	Send(ctx context.Context, mobile, code string) error
}
