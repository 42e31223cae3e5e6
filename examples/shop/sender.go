package main

import (
	"fmt"
	"io"
	"os"

	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/examples/shop/sms"
)

// newSender returns Tencent Cloud's SendSms, configured by the variables of the old program. Without them codes are written to w.
func newSender(w io.Writer) (shop.Sender, error) {
	sender := &sms.Tencent{BaseURL: os.Getenv("SMS_URL")}
	missing, set := "", 0
	for name, field := range map[string]*string{
		"secretId": &sender.SecretID, "secretKey": &sender.SecretKey,
		"SmsSdkAppId": &sender.SDKAppID, "SignName": &sender.SignName, "TemplateId": &sender.TemplateID,
	} {
		if *field = os.Getenv(name); *field == "" {
			missing = name
		} else {
			set++
		}
	}
	switch {
	case set == 0:
		return sms.Log{W: w}, nil
	case missing != "":
		return nil, fmt.Errorf("%s is not set: Tencent Cloud's SMS needs secretId, secretKey, SmsSdkAppId, SignName and TemplateId", missing)
	}
	return sender, nil
}
