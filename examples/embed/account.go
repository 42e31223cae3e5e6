package main

import (
	"fmt"
	"os"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
)

// account is an official account with a merchant of WeChat Pay.
type account struct {
	AppID, Secret         string
	Token, EncodingAESKey string // of the page with the callback URL in WeChat's console
	Merchant              pay.Merchant

	WeChat string // base URL of a simulated WeChat; empty for the real one
}

// accountFromEnv returns the account in the environment. All variables are required.
func accountFromEnv() (c account, err error) {
	value := func(name string) string {
		text := os.Getenv(name)
		if text == "" && err == nil {
			err = fmt.Errorf("%s is empty: want the variables that the comment of main.go lists", name)
		}
		return text
	}
	file := func(name string) []byte {
		path := value(name)
		if err != nil {
			return nil
		}
		text, readErr := os.ReadFile(path)
		if readErr != nil {
			err = fmt.Errorf("%s: %w", name, readErr)
		}
		return text
	}
	c = account{
		AppID: value("WECHAT_APP_ID"), Secret: value("WECHAT_SECRET"),
		Token: value("WECHAT_TOKEN"), EncodingAESKey: value("WECHAT_AES_KEY"),
	}
	config := payv3.Config{
		AppID: c.AppID, MchID: value("WECHAT_MCH_ID"), SerialNo: value("WECHAT_SERIAL_NO"), APIv3Key: value("WECHAT_API_V3_KEY"),
		PublicKeyID: value("WECHAT_PUBLIC_KEY_ID"),
	}
	key, public := file("WECHAT_KEY"), file("WECHAT_PUBLIC_KEY")
	if err != nil {
		return account{}, err
	}
	if config.Key, err = payv3.ParseKey(key); err != nil {
		return account{}, fmt.Errorf("WECHAT_KEY: %w", err)
	}
	if config.PublicKey, err = payv3.ParsePublicKey(public); err != nil {
		return account{}, fmt.Errorf("WECHAT_PUBLIC_KEY: %w", err)
	}
	if c.Merchant, err = payv3.New(config); err != nil {
		return account{}, err
	}
	return c, nil
}
