package payv3

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/pay"
)

const (
	defaultBaseURL   = "https://api.mch.weixin.qq.com"
	defaultBackupURL = "https://api2.wechatpay.cn"

	publicKeyPrefix = "PUB_KEY_ID_"
)

// Config configures a Merchant; the page 账户中心 → API安全 of WeChat Pay's console has the keys.
type Config struct {
	AppID string // of orders that name no other
	MchID string // 商户号

	// SerialNo is the serial of our API certificate (商户API证书), in hex. Default that of Certificate.
	SerialNo string
	// Key is the private key of that certificate, such as ParseKey returns, or one in a KMS. It must be a crypto.Decrypter
	// too if sensitive fields of answers are to be read.
	Key      crypto.Signer
	APIv3Key string // 32 bytes

	// PublicKeyID and PublicKey are WeChat's public key (微信支付公钥). Without them answers are verified with WeChat's platform
	// certificates (平台证书), which are downloaded, and which new merchants do not have. With them certificates are still
	// downloaded for messages that are signed so.
	PublicKeyID string
	PublicKey   *rsa.PublicKey

	NotifyURL string // where WeChat sends notifications on orders and refunds that name no other

	// Certificate is our API certificate (apiclient_cert.pem). Default none: it only gives SerialNo, and
	// is compared with Key.
	Certificate *x509.Certificate
	// PreviousAPIv3Key decrypts beside APIv3Key while that is changed: messages under way are sealed with the old one, and
	// a new one can be deployed before the change.
	PreviousAPIv3Key string
	// AppIDs are further appids that orders may name and notifications may be for.
	AppIDs []string

	// BaseURL is where WeChat Pay is; default https://api.mch.weixin.qq.com. BackupURL is where a call that had no answer
	// is repeated; default https://api2.wechatpay.cn, and none with another BaseURL.
	BaseURL   string
	BackupURL string
	// HTTP sends the calls. The default one, and the Transport of one that has none, close idle connections after 7 s, since
	// WeChat closes them after 8. Each try of a call has 30 s; a download is limited by its context alone.
	HTTP *http.Client
	Log  *slog.Logger // default slog.Default()
	Rand io.Reader    // of the nonces; default crypto/rand

	redacted
}

// New returns a Merchant. It makes no network call. Its error is a *[pay.FieldError].
func New(c Config) (*Merchant, error) {
	if c.Certificate != nil && c.SerialNo == "" {
		c.SerialNo = serialOf(c.Certificate)
	}
	c.SerialNo = strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(c.SerialNo), ":", ""))
	c.PublicKeyID = strings.TrimSpace(c.PublicKeyID)
	for _, check := range []func(Config) *pay.FieldError{checkIDs, checkSerial, checkKey, checkPublicKey, checkURLs} {
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
	if c.Log == nil {
		c.Log = slog.Default()
	}
	seals, err := newSeals(c)
	if err != nil {
		return nil, err
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	hc := *c.HTTP
	hc.Jar, hc.CheckRedirect = nil, stay
	if hc.Transport == nil {
		hc.Transport = defaultHTTP.Transport
	}
	w := &wire{
		mchID: c.MchID, serial: c.SerialNo, key: c.Key, publicKeyID: c.PublicKeyID, publicKey: c.PublicKey, seals: seals,
		base: c.BaseURL, backup: c.BackupURL, http: &hc, log: c.Log, rand: c.Rand,
		prefix: `WECHATPAY2-SHA256-RSA2048 mchid="` + c.MchID + `",serial_no="` + c.SerialNo + `",nonce_str="`,
	}
	return &Merchant{wire: w, appID: c.AppID, appIDs: append([]string{c.AppID}, c.AppIDs...), notifyURL: c.NotifyURL}, nil
}

func checkIDs(c Config) *pay.FieldError {
	if c.AppID == "" {
		return &pay.FieldError{Field: "AppID", Reason: "is empty: set the appid that orders are placed for"}
	}
	if !isMchID(c.MchID) {
		return &pay.FieldError{Field: "MchID", Reason: fmt.Sprintf("is %q: want the digits of the merchant number (商户号)", c.MchID)}
	}
	for _, f := range []struct{ name, key string }{{"APIv3Key", c.APIv3Key}, {"PreviousAPIv3Key", c.PreviousAPIv3Key}} {
		if len(f.key) != 32 && (f.key != "" || f.name == "APIv3Key") {
			return &pay.FieldError{Field: f.name, Reason: fmt.Sprintf("has %d bytes: want 32", len(f.key))}
		}
	}
	return nil
}

func checkSerial(c Config) *pay.FieldError {
	wrong := func(reason string) *pay.FieldError { return &pay.FieldError{Field: "SerialNo", Reason: reason} }
	switch s := c.SerialNo; {
	case s == "":
		return wrong("is empty, and so is Certificate: set the serial of the API certificate (商户API证书)")
	case strings.HasPrefix(s, publicKeyPrefix):
		return wrong("is a public key id (PUB_KEY_ID_…): want the serial of our own API certificate (apiclient_cert.pem)")
	case strings.Trim(s, "0123456789") == "" && len(s) != 40:
		return wrong("has decimal digits alone: want the serial in hex, as WeChat's console and `openssl x509 -serial` show it")
	case strings.Trim(s, "0123456789ABCDEF") != "" || len(s) > maxSerial:
		return wrong("is not a serial in hex")
	case c.Certificate != nil && !sameSerial(s, serialOf(c.Certificate)):
		return wrong("is not the serial of Certificate")
	}
	return nil
}

func checkKey(c Config) *pay.FieldError {
	if none, ok := c.Key.(*rsa.PrivateKey); c.Key == nil || ok && none == nil {
		return &pay.FieldError{Field: "Key", Reason: "is not set: want the private key of the API certificate (apiclient_key.pem)"}
	}
	ours, ok := c.Key.Public().(*rsa.PublicKey)
	if !ok || ours.Size() < 256 {
		return &pay.FieldError{Field: "Key", Reason: "is not an RSA key of 2048 bits"}
	}
	if c.Certificate == nil {
		return nil
	}
	if !ours.Equal(c.Certificate.PublicKey) {
		return &pay.FieldError{Field: "Certificate", Reason: "does not belong to Key: want apiclient_cert.pem and apiclient_key.pem of one download"}
	}
	return nil
}

func checkPublicKey(c Config) *pay.FieldError {
	switch {
	case c.PublicKeyID == "" && c.PublicKey == nil:
	case c.PublicKeyID == "":
		return &pay.FieldError{Field: "PublicKeyID", Reason: "is empty, but PublicKey is set"}
	case c.PublicKey == nil:
		return &pay.FieldError{Field: "PublicKey", Reason: "is not set, but PublicKeyID is: want pub_key.pem from WeChat's console"}
	case strings.EqualFold(c.PublicKeyID, c.SerialNo):
		return &pay.FieldError{Field: "PublicKeyID", Reason: "is the serial of our own certificate: want the id of the WeChat Pay public key (微信支付公钥ID)"}
	case !strings.HasPrefix(c.PublicKeyID, publicKeyPrefix):
		return &pay.FieldError{Field: "PublicKeyID", Reason: "does not begin with PUB_KEY_ID_: want the id as the console shows it"}
	case strings.ContainsFunc(c.PublicKeyID, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) || len(c.PublicKeyID) > 64:
		return &pay.FieldError{Field: "PublicKeyID", Reason: "has characters that no id has"}
	case c.PublicKey.N == nil:
		return &pay.FieldError{Field: "PublicKey", Reason: "is empty: want pub_key.pem from WeChat's console"}
	case c.PublicKey.Equal(c.Key.Public()):
		return &pay.FieldError{Field: "PublicKey", Reason: "is our own key: want WeChat's (pub_key.pem)"}
	case c.PublicKey.Size() < 256:
		return &pay.FieldError{Field: "PublicKey", Reason: "is not an RSA key of 2048 bits"}
	}
	return nil
}

func checkURLs(c Config) *pay.FieldError {
	for _, f := range []struct{ name, address string }{{"BaseURL", c.BaseURL}, {"BackupURL", c.BackupURL}} {
		u, err := url.Parse(f.address)
		if f.address != "" && (err != nil || u.Host == "" || !slices.Contains([]string{"http", "https"}, u.Scheme) || u.RawQuery != "" || u.Fragment != "" || u.User != nil) {
			return &pay.FieldError{Field: f.name, Reason: "is not an http or https URL without a query"}
		}
		if f.name == "BackupURL" && strings.Trim(u.Path, "/") != "" {
			return &pay.FieldError{Field: f.name, Reason: "has a path: want that of BaseURL, which is signed, to be used on another host"}
		}
	}
	if err, ok := pay.CheckNotifyURL("NotifyURL", c.NotifyURL).(*pay.FieldError); ok {
		return err
	}
	return nil
}

const maxSerial = 64

// sameSerial reports whether two serials in capitals are of one number.
func sameSerial(a, b string) bool { return strings.TrimLeft(a, "0") == strings.TrimLeft(b, "0") }

// serialOf returns the serial of a certificate in hex, without leading zeros.
func serialOf(c *x509.Certificate) string { return fmt.Sprintf("%X", c.SerialNumber) }

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

// stay follows no redirect, since a signature is for one path alone.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
