package main

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// weChat is WeChat and WeChat Pay as the shop uses them.
type weChat struct {
	appID     string
	merchants []pay.Merchant // the first takes new orders
	client    *wechat.Client // for shipping information, or nil
	phone     string         // URL of the simulated WeChat Pay; empty for the real one
}

// connect returns the merchant that the environment configures, with the first of its API versions for new orders. Without a merchant
// it simulates WeChat.
func connect(version string, shared store.Store) (w weChat, err error) {
	if version != "v2" && version != "v3" {
		return w, fmt.Errorf("invalid version %q: want v3 or v2", version)
	}
	if os.Getenv("WECHAT_MCH_ID") == "" {
		return simulate(version, shared)
	}
	w.appID = os.Getenv("WECHAT_APP_ID")
	if os.Getenv("WECHAT_API_V3_KEY") != "" {
		m, err := newV3()
		if err != nil {
			return w, err
		}
		w.merchants = append(w.merchants, m)
	}
	if os.Getenv("WECHAT_API_KEY") != "" {
		m, err := newV2()
		if err != nil {
			return w, err
		}
		w.merchants = append(w.merchants, m)
	}
	if len(w.merchants) == 0 {
		return w, errors.New("WECHAT_MCH_ID is set: set WECHAT_API_V3_KEY for APIv3, or WECHAT_API_KEY for APIv2, too")
	}
	if version == "v2" { // the other one serves the orders that it placed
		slices.Reverse(w.merchants)
	}
	if secret := os.Getenv("WECHAT_SECRET"); secret != "" {
		w.client = newClient(&wechat.Client{BaseURL: os.Getenv("WECHAT_URL")}, w.appID, secret, shared)
	}
	return w, nil
}

// newClient returns a client that calls with the access_token of a mini program.
func newClient(base *wechat.Client, appID, secret string, shared store.Store) *wechat.Client {
	base.Tokens = &token.Manager{
		AppID: appID, Secret: secret, Kind: wechat.Mini, Store: shared, Client: &wechat.Client{BaseURL: base.BaseURL, HTTP: base.HTTP},
	}
	return base
}

// newV3 returns the merchant of APIv3. Without WECHAT_PUBLIC_KEY answers are verified by platform certificates.
func newV3() (pay.Merchant, error) {
	config := payv3.Config{
		AppID: os.Getenv("WECHAT_APP_ID"), MchID: os.Getenv("WECHAT_MCH_ID"), SerialNo: os.Getenv("WECHAT_SERIAL_NO"),
		APIv3Key: os.Getenv("WECHAT_API_V3_KEY"), PublicKeyID: os.Getenv("WECHAT_PUBLIC_KEY_ID"), BaseURL: os.Getenv("WECHAT_PAY_URL"),
	}
	text, err := readFile("WECHAT_KEY")
	if err != nil {
		return nil, err
	}
	if config.Key, err = payv3.ParseKey(text); err != nil {
		return nil, fmt.Errorf("WECHAT_KEY: %w", err)
	}
	if os.Getenv("WECHAT_PUBLIC_KEY") != "" {
		if text, err = readFile("WECHAT_PUBLIC_KEY"); err != nil {
			return nil, err
		}
		if config.PublicKey, err = payv3.ParsePublicKey(text); err != nil {
			return nil, fmt.Errorf("WECHAT_PUBLIC_KEY: %w", err)
		}
	}
	return payv3.New(config)
}

// newV2 returns the merchant of APIv2. Without WECHAT_CERT it cannot refund.
func newV2() (pay.Merchant, error) {
	config := payv2.Config{
		AppID: os.Getenv("WECHAT_APP_ID"), MchID: os.Getenv("WECHAT_MCH_ID"), APIKey: os.Getenv("WECHAT_API_KEY"),
		SignType: payv2.SignType(cmp.Or(os.Getenv("WECHAT_SIGN_TYPE"), string(payv2.HMACSHA256))), BaseURL: os.Getenv("WECHAT_PAY_URL"),
	}
	if os.Getenv("WECHAT_CERT") != "" {
		certificate, err := readFile("WECHAT_CERT")
		if err != nil {
			return nil, err
		}
		key, err := readFile("WECHAT_KEY")
		if err != nil {
			return nil, err
		}
		if config.Certificate, err = tls.X509KeyPair(certificate, key); err != nil {
			return nil, fmt.Errorf("WECHAT_CERT and WECHAT_KEY: %w", err)
		}
	}
	return payv2.New(config)
}

// readFile returns the content of the file that a variable names.
func readFile(variable string) ([]byte, error) {
	text, err := os.ReadFile(os.Getenv(variable))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return text, nil
}
