package payv3

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/wetoken/wetoken/pay"
)

// certificateSet is immutable.
type certificateSet struct {
	bySerial map[string]certificate // by serial without leading zeros
	at       time.Time              // of the download
	none     error                  // WeChat's refusal, where it has none
}

// certificate is a platform certificate, with its serial as WeChat writes it.
type certificate struct {
	serial string
	*x509.Certificate
}

// find returns the certificate with a serial in capitals.
func (s *certificateSet) find(serial string) (c certificate, ok bool) {
	if s != nil {
		c, ok = s.bySerial[strings.TrimLeft(serial, "0")]
	}
	return c, ok
}

// newest returns the certificate that became valid last.
func (s *certificateSet) newest() (newest certificate, ok bool) {
	if s == nil {
		return newest, false
	}
	now := time.Now()
	for _, c := range s.bySerial {
		if now.After(c.NotAfter) || now.Before(c.NotBefore) {
			continue
		}
		if !ok || c.NotBefore.After(newest.NotBefore) || c.NotBefore.Equal(newest.NotBefore) && c.serial > newest.serial {
			newest, ok = c, true
		}
	}
	return newest, ok
}

// downloadCertificates replaces the set. The answer is trusted because the APIv3 key decrypts it: there is no other key to
// verify it with.
func (w *wire) downloadCertificates(ctx context.Context) error {
	r := &request{op: "GET " + certificatesPath, method: http.MethodGet, path: certificatesPath, unsigned: true, serial: w.publicKeyID}
	body, err := w.askOnce(ctx, r)
	if err != nil {
		if w.publicKey != nil {
			w.log.Debug("no platform certificates, and a public key in their place", "mch_id", w.mchID, "err", err)
		}
		if saysNone(err, w.publicKey != nil) {
			w.keepNone(err)
			return nil
		}
		return err
	}
	set, err := w.openCertificates(body)
	if err != nil {
		return &pay.Error{Op: r.op, Cause: pay.ErrSettings, Err: err}
	}
	if set.none != nil {
		w.keepNone(set.none)
		return nil
	}
	w.certificates.set.Store(set)
	return nil
}

// askOnce sends r once, so that each download is one request.
func (w *wire) askOnce(ctx context.Context, r *request) ([]byte, error) {
	if err := w.prepare(ctx, r); err != nil {
		return nil, err
	}
	c := &w.certificates
	o := w.try(ctx, r, c.backup) // no other download runs at this time
	c.backup = o.lost && !c.backup
	if o.doubt != nil {
		return nil, o.unknown(r)
	}
	return o.result(r, false)
}

// saysNone reports whether err is one of the four refusals that mean that there are no certificates. One of them is a
// system error, which has this meaning only for merchants with a public key.
func saysNone(err error, withPublicKey bool) bool {
	var e *pay.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Status {
	case http.StatusNotFound:
		return e.Code == "RESOURCE_NOT_EXISTS" || strings.Contains(e.Message, "证书不存在")
	case http.StatusForbidden:
		return strings.Contains(e.Message, "平台证书")
	case http.StatusInternalServerError:
		return withPublicKey && e.Code == "SYSTEM_ERROR"
	}
	return false
}

// withoutCause returns an error with the text of err alone: the cause of a failed download is not that of the call.
func withoutCause(err error) error { return errors.New(strings.TrimPrefix(err.Error(), "pay: ")) }

// keepNone stores that there are none. Certificates held already stay until they expire.
func (w *wire) keepNone(none error) {
	set := &certificateSet{at: time.Now(), none: withoutCause(none)}
	if old := w.certificates.set.Load(); old != nil {
		set.bySerial = old.bySerial
	}
	w.certificates.set.Store(set)
}

func (w *wire) openCertificates(body []byte) (*certificateSet, error) {
	var list struct {
		Data []struct {
			SerialNo string   `json:"serial_no"`
			Sealed   resource `json:"encrypt_certificate"`
		} `json:"data"`
	}
	if err := decode(body, &list); err != nil {
		return nil, err
	}
	set := &certificateSet{bySerial: make(map[string]certificate), at: time.Now()}
	var failure error
	for _, item := range list.Data {
		text, err := w.unseal(item.Sealed)
		if err != nil {
			failure = fmt.Errorf("platform certificate %.40q: %w", item.SerialNo, err)
			continue
		}
		c, err := ParseCertificate(text)
		if err != nil {
			failure = fmt.Errorf("platform certificate %.40q: %w", item.SerialNo, err)
			continue
		}
		if _, ok := c.PublicKey.(*rsa.PublicKey); !ok {
			failure = fmt.Errorf("platform certificate %.40q holds no RSA key", item.SerialNo)
			continue
		}
		serial, written := serialOf(c), strings.ToUpper(item.SerialNo)
		if sameSerial(serial, w.serial) {
			failure = fmt.Errorf("platform certificate %s is our own", serial)
			continue
		}
		if !sameSerial(serial, written) || len(written) > maxSerial {
			written = serial
		}
		set.bySerial[serial] = certificate{written, c}
	}
	if len(set.bySerial) == 0 && failure != nil {
		return nil, failure
	}
	if len(set.bySerial) == 0 {
		set.none = errors.New("WeChat lists no platform certificate")
	}
	return set, nil
}
