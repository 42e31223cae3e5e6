package main_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// proxy is a connection between one server and its store. It delays the data from the server, and shifts times in both
// directions, so that the server's clock seems to be wrong.
type proxy struct {
	target string
	delay  time.Duration
	skew   time.Duration // of the server's clock: above 0 it is ahead of the store's
	cuts   *cuts
}

// cuts break connections while they are on: one read in thirty, from either side.
type cuts struct {
	on   atomic.Bool
	made atomic.Int64
}

// listen returns the proxy's address. The proxy ends with t.
func (p proxy) listen(t testing.TB) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", freeAddress(t))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(ctx, near)
		}
	}()
	return l.Addr().String()
}

func (p proxy) serve(ctx context.Context, near net.Conn) {
	defer near.Close()
	far, err := net.DialTimeout("tcp", p.target, 2*time.Second)
	if err != nil {
		return
	}
	defer far.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() { near.Close(); far.Close() })
	go func() {
		defer cancel()
		p.carry(ctx, near, far, p.delay, -p.skew)
	}()
	p.carry(ctx, far, near, 0, p.skew)
}

// carry copies from one end to the other. Each read is sent once it is delay old, so that a delay does not limit the amount
// of data on the way.
func (p proxy) carry(ctx context.Context, from io.Reader, to io.Writer, delay, shift time.Duration) {
	type parcel struct {
		data []byte
		due  time.Time
	}
	way := make(chan parcel, 1024)
	go func() {
		defer close(way)
		for {
			buffer := make([]byte, 64<<10)
			n, err := from.Read(buffer)
			if p.cuts != nil && p.cuts.on.Load() && rand.N(30) == 0 {
				p.cuts.made.Add(1)
				return
			}
			if n > 0 {
				select {
				case way <- parcel{shifted(buffer[:n], shift), time.Now().Add(delay)}:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	for next := range way {
		select {
		case <-time.After(time.Until(next.due)):
		case <-ctx.Done():
			return
		}
		if _, err := to.Write(next.data); err != nil {
			return
		}
	}
}

// instant is one in a token's record, in milliseconds of Unix time. Records are small, and come in one read.
var instant = regexp.MustCompile(`("(?:expires|gen)":)(\d{13})\b`)

// shifted shifts the times in data. The length stays the same, since the protocol states it before.
func shifted(data []byte, d time.Duration) []byte {
	if d == 0 {
		return data
	}
	return instant.ReplaceAllFunc(data, func(b []byte) []byte {
		digits := b[len(b)-13:]
		ms, err := strconv.ParseInt(string(digits), 10, 64)
		if err != nil {
			return b
		}
		return strconv.AppendInt(append([]byte{}, b[:len(b)-13]...), ms+d.Milliseconds(), 10)
	})
}
