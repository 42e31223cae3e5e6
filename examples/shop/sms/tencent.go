package sms

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Tencent sends codes with SendSms of Tencent Cloud (腾讯云短信). The template has one parameter, the code.
//
// https://cloud.tencent.com/document/api/382/55981
type Tencent struct {
	SecretID, SecretKey string
	SDKAppID            string // SmsSdkAppId
	SignName            string // 签名内容, approved
	TemplateID          string // approved

	Region  string       // default ap-guangzhou
	BaseURL string       // default https://sms.tencentcloudapi.com
	HTTP    *http.Client // default one with a timeout of 10 seconds; redirects are not followed
}

// Format implements fmt.Formatter. It prints no secrets.
func (t Tencent) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "sms.Tencent{SDKAppID:%q SignName:%q TemplateID:%q}", t.SDKAppID, t.SignName, t.TemplateID)
}

// MarshalText implements encoding.TextMarshaler, which package slog and encoding/json use. It shows no secrets.
func (t Tencent) MarshalText() ([]byte, error) { return fmt.Append(nil, t), nil }

// Error is a refusal by Tencent Cloud. It wraps ErrLimited or ErrMobile, if its code says so.
//
// https://cloud.tencent.com/document/api/382/59177
type Error struct {
	Code, Message, RequestID string
}

func (e *Error) Error() string {
	return fmt.Sprintf("sms: Tencent Cloud refused: %s: %s (request %s)", e.Code, e.Message, e.RequestID)
}

func (e *Error) Unwrap() error {
	switch {
	case strings.HasPrefix(e.Code, "LimitExceeded"), strings.HasPrefix(e.Code, "RequestLimitExceeded"):
		return ErrLimited
	case e.Code == "InvalidParameterValue.IncorrectPhoneNumber", e.Code == "FailedOperation.PhoneNumberInBlacklist":
		return ErrMobile
	}
	return nil
}

// answer is what SendSms answers.
type answer struct {
	Response *struct {
		Error         *struct{ Code, Message string }
		RequestID     string `json:"RequestId"`
		SendStatusSet []struct{ PhoneNumber, Code, Message string }
	}
}

// Send sends code to mobile.
func (t *Tencent) Send(ctx context.Context, mobile, code string) error {
	number := "+86" + mobile
	body, err := json.Marshal(map[string]any{
		"PhoneNumberSet": []string{number}, "SmsSdkAppId": t.SDKAppID, "SignName": t.SignName,
		"TemplateId": t.TemplateID, "TemplateParamSet": []string{code},
	})
	if err != nil {
		return fmt.Errorf("sms: encode request: %w", err)
	}
	answered, err := t.call(ctx, body)
	if err != nil {
		return err
	}
	return answered.check(number)
}

// call posts the body of SendSms, signed.
func (t *Tencent) call(ctx context.Context, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, cmp.Or(t.BaseURL, "https://sms.tencentcloudapi.com")+"/", bytes.NewReader(body))
	if err != nil {
		return answer{}, errors.New("sms: invalid BaseURL: want https://HOST")
	}
	const action, contentType = "SendSms", "application/json; charset=utf-8"
	now := time.Now()
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-TC-Action", action)
	req.Header.Set("X-TC-Version", "2021-01-11")
	req.Header.Set("X-TC-Region", cmp.Or(t.Region, "ap-guangzhou"))
	req.Header.Set("X-TC-Timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("Authorization", authorize(t.SecretID, t.SecretKey, "sms", now, []header{
		{"content-type", contentType}, {"host", req.URL.Host}, {"x-tc-action", action},
	}, body))

	resp, err := t.client().Do(req)
	if err != nil {
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) { // prints the URL
			err = wrapped.Err
		}
		return answer{}, fmt.Errorf("sms: call SendSms: %w", err)
	}
	defer resp.Body.Close()
	const limit = 64 << 10
	text, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return answer{}, fmt.Errorf("sms: read answer of SendSms: %w", err)
	}
	var a answer
	if resp.StatusCode != http.StatusOK || len(text) > limit || json.Unmarshal(text, &a) != nil {
		return answer{}, fmt.Errorf("sms: SendSms answered status %d and %d bytes: want 200 and a JSON object", resp.StatusCode, len(text))
	}
	return a, nil
}

func (t *Tencent) client() *http.Client {
	client := http.Client{Timeout: 10 * time.Second}
	if t.HTTP != nil {
		client = *t.HTTP
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// check returns nil if the message to number was accepted, and only then.
func (a answer) check(number string) error {
	r := a.Response
	switch {
	case r == nil:
		return errors.New("sms: SendSms answered without Response")
	case r.Error != nil:
		return &Error{Code: r.Error.Code, Message: r.Error.Message, RequestID: r.RequestID}
	case len(r.SendStatusSet) != 1:
		return fmt.Errorf("sms: SendSms answered %d states: want 1 (request %s)", len(r.SendStatusSet), r.RequestID)
	}
	switch sent := r.SendStatusSet[0]; {
	case sent.Code == "":
		return fmt.Errorf("sms: SendSms answered a state without Code (request %s)", r.RequestID)
	case sent.Code != "Ok":
		return &Error{Code: sent.Code, Message: sent.Message, RequestID: r.RequestID}
	case sent.PhoneNumber != number:
		return fmt.Errorf("sms: SendSms answered for another number (request %s)", r.RequestID)
	}
	return nil
}
