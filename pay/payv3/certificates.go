package payv3

import (
	"context"
	"crypto/rsa"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/pay"
)

const (
	certificatesPath = "/v3/certificates"

	refreshAfter = 12 * time.Hour
	retryAfter   = 5 * time.Second // a first download that failed
)

// certificates are WeChat's platform certificates. They are downloaded when the first one is needed, and every 12 hours
// while they are used.
type certificates struct {
	set atomic.Pointer[certificateSet]

	mu      sync.Mutex
	flight  *flight // the download under way
	failure error   // of the last download
	failed  time.Time
	backup  bool   // the next download asks the backup host, since the last had no answer
	answers ration // of downloads for unknown serials of answers, which come over TLS
	others  ration // of those for unknown serials of notifications, which anyone may send, and of renewals
}

// flight is a download that several calls wait for.
type flight struct {
	done chan struct{}
	err  error
}

// ration allows one event a minute and 20 an hour.
type ration struct {
	times [20]time.Time // a ring
	next  int
}

func (r *ration) take(now time.Time) bool {
	last := r.times[(r.next+len(r.times)-1)%len(r.times)]
	if now.Sub(last) < time.Minute || now.Sub(r.times[r.next]) < time.Hour {
		return false
	}
	r.times[r.next] = now
	r.next = (r.next + 1) % len(r.times)
	return true
}

// serials returns the serials of the keys held, as a text for people.
func (w *wire) serials() string {
	var held []string
	if w.publicKeyID != "" {
		held = append(held, w.publicKeyID)
	}
	if set := w.certificates.set.Load(); set != nil {
		for _, c := range set.bySerial {
			held = append(held, c.serial)
		}
	}
	if len(held) == 0 {
		return "none"
	}
	return strings.Join(held, ", ")
}

// theirKey returns WeChat's key that sensitive fields are encrypted with, and the serial that each call names.
func (w *wire) theirKey(ctx context.Context) (string, *rsa.PublicKey, error) {
	if w.publicKey != nil {
		return w.publicKeyID, w.publicKey, nil
	}
	if w.certificates.set.Load() == nil {
		if err := w.needCertificates(ctx); err != nil {
			return "", nil, err
		}
	}
	w.refresh()
	set := w.certificates.set.Load()
	if c, ok := set.newest(); ok {
		return c.serial, c.PublicKey.(*rsa.PublicKey), nil
	}
	e := &pay.Error{Op: "GET " + certificatesPath, Cause: pay.ErrSettings, Advice: applyForPublicKey}
	if set.none != nil {
		e.Err = set.none
	} else {
		e.Message = "all platform certificates have expired"
	}
	return "", nil, e
}

const applyForPublicKey = "apply for WeChat's public key (微信支付公钥) in its console under 账户中心, API安全, and set PublicKeyID and PublicKey"

// needCertificates downloads the certificates for a call that needs them. A failure is remembered for 5 s.
func (w *wire) needCertificates(ctx context.Context) error {
	c := &w.certificates
	c.mu.Lock()
	if c.set.Load() != nil {
		c.mu.Unlock()
		return nil
	}
	if c.flight == nil && c.failure != nil && time.Since(c.failed) < retryAfter {
		defer c.mu.Unlock()
		return c.failure
	}
	f := w.join()
	c.mu.Unlock()
	return f.wait(ctx)
}

// unknownSerial downloads the certificates for a serial that is not among them, if a ration allows it.
func (w *wire) unknownSerial(ctx context.Context, serial string, r *ration) error {
	c := &w.certificates
	c.mu.Lock()
	if _, ok := c.set.Load().find(serial); ok {
		c.mu.Unlock()
		return nil
	}
	if c.flight == nil && !r.take(time.Now()) {
		c.mu.Unlock()
		return errors.New("the platform certificates were downloaded not long ago")
	}
	f := w.join()
	c.mu.Unlock()
	return f.wait(ctx)
}

// refresh starts a download of certificates that are 12 hours old, and does not wait for it.
func (w *wire) refresh() {
	c := &w.certificates
	set := c.set.Load()
	if set == nil || time.Since(set.at) < refreshAfter || len(set.bySerial) == 0 && w.publicKey != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.set.Load() == set && c.flight == nil && c.others.take(time.Now()) {
		w.join()
	}
}

// join returns the download under way, or starts one. The caller holds mu.
func (w *wire) join() *flight {
	c := &w.certificates
	if c.flight == nil {
		f := &flight{done: make(chan struct{})}
		c.flight = f
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), tryTime)
			defer cancel()
			f.err = w.downloadCertificates(ctx)
			c.mu.Lock()
			c.flight, c.failure, c.failed = nil, f.err, time.Now()
			c.mu.Unlock()
			close(f.done)
		}()
	}
	return c.flight
}

func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
