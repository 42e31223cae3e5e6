package payv2

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/pay"
)

const (
	defaultBaseURL   = "https://api.mch.weixin.qq.com"
	defaultBackupURL = "https://api2.mch.weixin.qq.com"
)

// Config configures a Merchant; the page 账户中心 → API安全 of WeChat Pay's console has the key and the certificate.
type Config struct {
	AppID  string // of orders that name no other
	MchID  string // 商户号
	APIKey string // APIv2密钥, 32 bytes

	NotifyURL string // where WeChat sends notifications on orders and refunds that name no other

	// Certificate is our API certificate (apiclient_cert.p12, or apiclient_cert.pem and apiclient_key.pem). Default none:
	// refunds, reversals and payouts are then refused before they are sent.
	Certificate tls.Certificate
	// PreviousAPIKey verifies and decrypts beside APIKey while that is changed. It never signs.
	PreviousAPIKey string
	// SignType is the algorithm of all signatures; default HMACSHA256. A message that is signed with the other one is
	// refused: set MD5 while orders that another program placed with MD5 can still be paid. The sandboxes and payouts
	// always use MD5, and the fund flow bill HMACSHA256.
	SignType SignType
	// AppIDs are further appids that orders may name and notifications may be for.
	AppIDs []string
	// ServerIP is sent as spbill_create_ip of orders without a ClientIP; default 127.0.0.1.
	ServerIP string
	// Sandbox selects a simulation by WeChat (仿真测试系统). Default none.
	Sandbox Sandbox

	// QueryRefund confirms notifications of refunds, which are not signed. Default the Merchant's own. For a merchant that uses
	// APIv3, whose refunds in the console are still notified in the form of APIv2, it is that of its payv3.Merchant,
	// which is asked first, and the Merchant's own is asked if that returns pay.ErrNotFound.
	QueryRefund func(ctx context.Context, outRefundNo string) (pay.Refund, error)

	// BaseURL is where WeChat Pay is; default https://api.mch.weixin.qq.com. BackupURL is where a call that had no answer
	// is repeated; default https://api2.mch.weixin.qq.com, and none with another BaseURL.
	BaseURL   string
	BackupURL string
	// HTTP sends the calls. The default one, and the Transport of one that has none, close idle connections after 7 s, since
	// WeChat closes them after 8. Calls that need Certificate use a copy of its Transport, which must be an *http.Transport, or
	// present the certificate itself. Each try of a call has 30 s; a bill is limited by its context alone.
	HTTP *http.Client
	Rand io.Reader // of the nonces; default crypto/rand

	redacted
}

// New returns a Merchant. It makes no network call. Its error is a *[pay.FieldError].
func New(c Config) (*Merchant, error) {
	for _, check := range []func(Config) *pay.FieldError{checkIDs, checkSigning, checkURLs, checkServerIP} {
		if err := check(c); err != nil {
			return nil, &pay.FieldError{Field: "Config." + err.Field, Reason: err.Reason}
		}
	}
	if c.BaseURL == "" {
		c.BackupURL = cmp.Or(c.BackupURL, defaultBackupURL)
	}
	c.BaseURL = strings.TrimSuffix(cmp.Or(c.BaseURL, defaultBaseURL), "/")
	c.BackupURL = strings.TrimSuffix(cmp.Or(c.BackupURL, c.BaseURL), "/")
	if c.HTTP == nil {
		c.HTTP = defaultHTTP
	}
	hc := *c.HTTP
	hc.Jar, hc.CheckRedirect = nil, stay
	if hc.Transport == nil {
		hc.Transport = defaultHTTP.Transport
	}
	w := &wire{
		mchID: c.MchID, keys: []string{c.APIKey}, signType: cmp.Or(c.SignType, HMACSHA256), sandbox: c.Sandbox,
		base: c.BaseURL, backup: c.BackupURL, http: &hc, rand: c.Rand, queryRefund: c.QueryRefund,
	}
	if c.PreviousAPIKey != "" {
		w.keys = append(w.keys, c.PreviousAPIKey)
	}
	if len(c.Certificate.Certificate) > 0 {
		w.certified = withCertificate(hc, c.Certificate)
	}
	return &Merchant{wire: w, appID: c.AppID, appIDs: append([]string{c.AppID}, c.AppIDs...), notifyURL: c.NotifyURL, serverIP: c.ServerIP}, nil
}

func checkServerIP(c Config) *pay.FieldError {
	if _, err := netip.ParseAddr(c.ServerIP); c.ServerIP != "" && err != nil {
		return &pay.FieldError{Field: "ServerIP", Reason: "is no IP address: want one such as 192.0.2.7"}
	}
	return nil
}

// withCertificate returns a client with a Transport of its own that presents a certificate, so that no connection is shared with
// another merchant.
func withCertificate(c http.Client, certificate tls.Certificate) *http.Client {
	if t, ok := c.Transport.(*http.Transport); ok {
		t = t.Clone()
		if t.TLSClientConfig == nil {
			t.TLSClientConfig = new(tls.Config)
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{certificate}
		c.Transport = t
	}
	return &c
}

func checkIDs(c Config) *pay.FieldError {
	if c.AppID == "" {
		return &pay.FieldError{Field: "AppID", Reason: "is empty: set the appid that orders are placed for"}
	}
	if !isMchID(c.MchID) {
		return &pay.FieldError{Field: "MchID", Reason: fmt.Sprintf("is %q: want the digits of the merchant number (商户号)", c.MchID)}
	}
	return nil
}

func checkSigning(c Config) *pay.FieldError {
	for _, f := range []struct{ name, key string }{{"APIKey", c.APIKey}, {"PreviousAPIKey", c.PreviousAPIKey}} {
		if len(f.key) != 32 && (f.key != "" || f.name == "APIKey") {
			return &pay.FieldError{Field: f.name, Reason: fmt.Sprintf("has %d bytes: want 32", len(f.key))}
		}
	}
	if c.SignType != "" && c.SignType != HMACSHA256 && c.SignType != MD5 {
		return &pay.FieldError{Field: "SignType", Reason: fmt.Sprintf("is %q: want HMAC-SHA256 or MD5", string(c.SignType))}
	}
	if c.Sandbox != "" && c.Sandbox != SandboxXDC && c.Sandbox != SandboxOld {
		return &pay.FieldError{Field: "Sandbox", Reason: fmt.Sprintf("is %q: want %s or %s", string(c.Sandbox), SandboxXDC, SandboxOld)}
	}
	if (len(c.Certificate.Certificate) > 0) != (c.Certificate.PrivateKey != nil) {
		return &pay.FieldError{Field: "Certificate", Reason: "lacks a part: want apiclient_cert.pem and its private key (apiclient_key.pem)"}
	}
	return nil
}

func checkURLs(c Config) *pay.FieldError {
	for _, f := range []struct{ name, address string }{{"BaseURL", c.BaseURL}, {"BackupURL", c.BackupURL}} {
		u, err := url.Parse(f.address)
		if f.address != "" && (err != nil || u.Host == "" || !slices.Contains([]string{"http", "https"}, u.Scheme) || u.RawQuery != "" || u.Fragment != "" || u.User != nil) {
			return &pay.FieldError{Field: f.name, Reason: "is not an http or https URL without a query"}
		}
	}
	return checkNotifyURL("NotifyURL", c.NotifyURL)
}

// checkNotifyURL refuses an address to which WeChat sends no notifications of APIv2.
func checkNotifyURL(field, address string) *pay.FieldError {
	if err, ok := pay.CheckNotifyURL(field, address).(*pay.FieldError); ok {
		return err
	}
	if strings.Contains(address, "?") {
		return &pay.FieldError{Field: field, Reason: "has a query, which APIv2 does not accept"}
	}
	return nil
}

// defaultHTTP is shared by all Merchants without a client of their own, so that they share connections too.
var defaultHTTP = &http.Client{
	Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        7 * time.Second, // WeChat closes them after 8; a POST at that moment has an unknown outcome
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  tryTime,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	},
}

// stay follows no redirect, since a signature is for one call alone.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
