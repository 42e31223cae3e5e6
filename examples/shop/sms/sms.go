// Package sms sends verification codes to mobile phones: Tencent through Tencent Cloud, Log to the output of the program.
package sms

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Sender sends a verification code to a mobile number of mainland China, which has 11 digits. ErrLimited and ErrMobile are errors
// that the user can correct. After any other error the message may have been sent or not.
type Sender interface {
	Send(ctx context.Context, mobile, code string) error
}

var (
	// ErrLimited reports that too many messages were sent, to this number or by this account.
	ErrLimited = errors.New("sms: too many messages")

	// ErrMobile reports a number that gets no messages.
	ErrMobile = errors.New("sms: number gets no messages")
)

// Log writes codes to W in the place of a phone. It is for demonstrations: whoever reads W can use the codes.
type Log struct {
	W io.Writer
}

// Send writes one line.
func (l Log) Send(_ context.Context, mobile, code string) error {
	if _, err := fmt.Fprintf(l.W, "sms: the code for %s is %s\n", mobile, code); err != nil {
		return fmt.Errorf("sms: write code: %w", err)
	}
	return nil
}
