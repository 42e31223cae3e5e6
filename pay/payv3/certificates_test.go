package payv3_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
)

// certified makes f one that signs with a platform certificate, and returns the configuration of its merchant.
func (f *fake) certified() payv3.Config {
	c := certificate(keys()[1], 0x5157F09EFDC096, time.Now().Add(-time.Hour), time.Now().Add(100*24*time.Hour))
	f.certificates, f.signs = []*x509.Certificate{c}, signer{serialOf(c), keys()[1]}
	cfg := config()
	cfg.PublicKey, cfg.PublicKeyID, cfg.HTTP = nil, "", f.client()
	return cfg
}

// rotate makes f sign with a new certificate, beside which the old one is listed.
func (f *fake) rotate(serial int64) {
	c := certificate(keys()[2], serial, time.Now(), time.Now().Add(100*24*time.Hour))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.certificates, f.signs = append(f.certificates, c), signer{serialOf(c), keys()[2]}
}

func TestCertificatesAreDownloadedOnFirstNeedAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.answer = always(200, `{}`)
		m := newMerchant(t, f.certified())
		require.Zero(t, f.downloads)
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				if err := m.Do(t.Context(), "GET", "/v3/x", nil, nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1, f.downloads)
		for _, h := range f.headers[1:] {
			require.Equal(t, f.signs.serial, h.Get("Wechatpay-Serial"))
		}
	})
}

func TestCertificatesInUseAreRenewedAfterTwelveHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.answer = always(200, `{}`)
		m := newMerchant(t, f.certified())
		call := func() {
			require.NoError(t, m.Do(t.Context(), "GET", "/v3/x", nil, nil))
			synctest.Wait()
		}
		call()
		<-time.After(11 * time.Hour)
		call()
		require.Equal(t, 1, f.downloads)
		<-time.After(2 * time.Hour)
		call()
		require.Equal(t, 2, f.downloads)
		f.none = func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) } // the old ones stay
		<-time.After(13 * time.Hour)
		for range 10 {
			call()
		}
		require.Equal(t, 3, f.downloads) // the next waits a minute
	})
}

func TestARotatedCertificateIsTakenUpAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.answer = always(200, `{}`)
		m := newMerchant(t, f.certified())
		require.NoError(t, m.Do(t.Context(), "GET", "/v3/x", nil, nil))
		f.rotate(0x1111)
		require.NoError(t, m.Do(t.Context(), "GET", "/v3/x", nil, nil))
		require.Equal(t, 2, f.downloads)
		body := notification(apiV3Key, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
		_, err := m.Parse(t.Context(), f.signs.sign(body), body)
		require.NoError(t, err)
		require.NoError(t, m.Do(t.Context(), "GET", "/v3/x", nil, nil))
		require.Equal(t, "1111", f.headers[len(f.headers)-1].Get("Wechatpay-Serial")) // the newest
	})
}

var noCertificates = map[string]func(http.ResponseWriter){
	"404 code":  refuseWith(404, `{"code":"RESOURCE_NOT_EXISTS","message":"无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。"}`),
	"404 words": refuseWith(404, `{"code":"X","message":"证书不存在"}`),
	"500":       refuseWith(500, `{"code":"SYSTEM_ERROR","message":"系统繁忙"}`),
	"403":       refuseWith(403, `{"code":"NOT_ENOUGH","message":"平台证书已过期失效，请联系微信支付技术支持。"}`),
}

func refuseWith(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func TestAMerchantMayHaveNoCertificates(t *testing.T) {
	for name, none := range noCertificates {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.none, f.answer = none, always(200, `{}`)
				var log bytes.Buffer
				c := config()
				c.HTTP, c.Log = f.client(), slog.New(slog.NewTextHandler(&log, nil)) // which shows no debug lines
				m := newMerchant(t, c)
				require.NoError(t, m.Do(t.Context(), "GET", "/v3/x", nil, nil))
				require.Zero(t, f.downloads)

				f.signs = signer{"5157F09EFDC096", keys()[1]}
				body := notification(apiV3Key, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
				_, err := m.Parse(t.Context(), f.signs.sign(body), body)
				require.ErrorIs(t, err, pay.ErrSerial)
				require.ErrorIs(t, err, pay.ErrOther)
				require.ErrorContains(t, err, "5157F09EFDC096")
				require.ErrorContains(t, err, publicKeyID)
				require.Empty(t, log.String())
				f.signs = newFake().signs
				require.NoError(t, m.Do(t.Context(), "GET", "/v3/x", nil, nil))

				c.PublicKey, c.PublicKeyID = nil, ""
				sent := len(f.bodies)
				err = prepay(pay.Native)(t.Context(), newMerchant(t, c))
				require.Error(t, err)
				require.NotErrorIs(t, err, pay.ErrNotFound)
				require.NotContains(t, strings.Join(f.requests[sent:], " "), "native") // nothing was sent
				if name != "500" {
					require.ErrorIs(t, err, pay.ErrSettings)
					require.ErrorContains(t, err, "微信支付公钥")
				}
			})
		})
	}
}

func TestBothKindsOfKeysVerifyDuringTheSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.answer = always(200, `{}`)
		c := f.certified()
		c.PublicKey, c.PublicKeyID = config().PublicKey, publicKeyID
		m := newMerchant(t, c)
		platform, public := f.signs, newFake().signs
		for _, s := range []signer{platform, public, platform} { // before the switch, done, rolled back
			f.signs = s
			require.NoError(t, m.Do(t.Context(), "POST", "/v3/x", nil, nil))
			body := notification(apiV3Key, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
			_, err := m.Parse(t.Context(), s.sign(body), body)
			require.NoError(t, err)
		}
		require.Equal(t, 1, f.downloads)
		for i, h := range f.headers {
			require.Equal(t, publicKeyID, h.Get("Wechatpay-Serial"), f.requests[i])
		}
		body := []byte(`{}`)
		_, err := m.Parse(t.Context(), signer{"PUB_KEY_ID_0999", keys()[1]}.sign(body), body)
		require.ErrorIs(t, err, pay.ErrSerial)
		_, err = m.Parse(t.Context(), signer{strings.ToLower(merchantSerial), keys()[1]}.sign(body), body)
		require.ErrorContains(t, err, "our own certificate")
		require.Equal(t, 1, f.downloads)
		_, err = m.Parse(t.Context(), signer{strings.ToLower(platform.serial), platform.key}.sign(body), body)
		require.NotErrorIs(t, err, pay.ErrSerial) // in any case
	})
}

func TestAnExpiredCertificateIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.answer = always(200, `{}`)
		m := newMerchant(t, f.certified())
		require.NoError(t, m.Do(t.Context(), "GET", "/v3/x", nil, nil))
		f.none = noCertificates["403"]
		<-time.After(101 * 24 * time.Hour)
		body := notification(apiV3Key, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
		_, err := m.Parse(t.Context(), f.signs.sign(body), body)
		require.ErrorIs(t, err, pay.ErrSerial)
		require.ErrorContains(t, err, "expired on")
		require.ErrorContains(t, err, "微信支付公钥")
	})
}

func TestTheAPIv3KeyMayChange(t *testing.T) {
	f := newFake()
	c := f.certified()
	f.answer = always(200, `{}`)
	for _, sealedWith := range []string{apiV3Key, newKey} {
		f.apiV3Key = sealedWith
		for _, keys := range [][2]string{{apiV3Key, newKey}, {newKey, apiV3Key}} { // deployed before the change, and after
			c.APIv3Key, c.PreviousAPIv3Key = keys[0], keys[1]
			m := newMerchant(t, c)
			body := notification(sealedWith, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
			_, err := m.Parse(t.Context(), f.signs.sign(body), body)
			require.NoError(t, err)
		}
	}
	c.APIv3Key, c.PreviousAPIv3Key = apiV3Key, ""
	require.ErrorContains(t, newMerchant(t, c).Do(t.Context(), "GET", "/v3/x", nil, nil), "PreviousAPIv3Key")
}

// A stranger cannot make us download certificates more than 20 times an hour, and most messages not even once.
func TestForgedMessagesCauseFewDownloads(t *testing.T) {
	messages := 5_000
	if testform.Long() {
		messages = 1_000_000
	}
	for _, withPublicKey := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			c := f.certified()
			if withPublicKey {
				c.PublicKey, c.PublicKeyID = config().PublicKey, publicKeyID
			}
			m := newMerchant(t, c)
			body := notification(apiV3Key, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
			forged := signer{"", keys()[3]}.sign(body)
			start, pause := time.Now(), time.Hour/time.Duration(messages)
			next := start
			for i := range messages {
				if i%100 == 0 {
					<-time.After(time.Until(next))
					forged = signer{"", keys()[3]}.sign(body)
					next = next.Add(100 * pause)
				}
				forged.Set("Wechatpay-Serial", fmt.Sprintf("%040X", i+1))
				_, err := m.Parse(t.Context(), forged, body)
				if !errors.Is(err, pay.ErrSerial) {
					require.ErrorIs(t, err, pay.ErrSerial)
				}
			}
			require.Less(t, time.Since(start), time.Hour)
			require.Equal(t, 20, f.downloads)

			// Stale or malformed ones cause none.
			f.downloads = 0
			<-time.After(2 * time.Hour)
			_, err := m.Parse(t.Context(), forged, body)
			require.ErrorIs(t, err, pay.ErrClock)
			garbage := []byte("{}")
			_, err = m.Parse(t.Context(), signer{"ABCDEF", keys()[3]}.sign(garbage), garbage)
			require.ErrorIs(t, err, pay.ErrSerial)
			forged = signer{"ABCDEF", keys()[3]}.sign(body)
			forged.Set("Wechatpay-Signature", "AAAA")
			_, err = m.Parse(t.Context(), forged, body)
			require.ErrorIs(t, err, pay.ErrSignature)
			require.Zero(t, f.downloads)

			// A genuine one is decrypted. Answers have a ration of their own.
			_, err = m.Parse(t.Context(), f.signs.sign(body), body)
			require.NoError(t, err)
		})
	}
}

func TestDownloadsThatFailAreRationedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		m := newMerchant(t, f.certified())
		f.none = func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
		body := notification(apiV3Key, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
		for range 180 {
			_, err := m.Parse(t.Context(), signer{"ABCDEF", keys()[3]}.sign(body), body)
			require.ErrorIs(t, err, pay.ErrSerial)
			<-time.After(20 * time.Second)
		}
		require.Equal(t, 20, f.downloads)
		retried := 0
		for _, h := range f.headers {
			if strings.HasSuffix(h.Get("User-Agent"), "(Retried-V1)") {
				retried++
			}
		}
		require.Equal(t, 10, retried) // the two hosts in turn
	})
}

func TestForgedMessagesDoNotKeepAnswersFromBeingVerified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.answer = always(200, `{}`)
		m := newMerchant(t, f.certified())
		body := notification(apiV3Key, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
		for i := range 30 {
			_, err := m.Parse(t.Context(), signer{fmt.Sprintf("%X", i+1), keys()[3]}.sign(body), body)
			require.ErrorIs(t, err, pay.ErrSerial)
			<-time.After(time.Minute)
		}
		require.Equal(t, 20, f.downloads)
		f.rotate(0x2222)
		require.NoError(t, m.Do(t.Context(), "POST", "/v3/x", nil, nil))
	})
}
