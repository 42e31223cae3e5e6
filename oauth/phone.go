package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/wetoken/wetoken/internal/wirejson"
	"github.com/wetoken/wetoken/wechat"
)

// Phone is a user's phone number. Fields have WeChat's names.
type Phone struct {
	PhoneNumber     string `json:"phoneNumber"`     // with the country code if it is not China's
	PurePhoneNumber string `json:"purePhoneNumber"` // without the country code
	CountryCode     string `json:"countryCode"`     // such as 86
}

// Phone returns the number that a user shared with the mini program (手机号快速验证). code is from the getPhoneNumber button,
// not from wx.login. It works once, within 5 minutes. With an openID, WeChat refuses the code of another user.
//
// See https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-info/phone-number/getPhoneNumber.html.
func (m *Mini) Phone(ctx context.Context, code, openID string) (Phone, error) {
	if m.Tokens == nil {
		return Phone{}, errors.New("oauth: phone number: Tokens must be set")
	}
	body := struct {
		Code   string `json:"code"`
		OpenID string `json:"openid,omitempty"`
	}{code, openID}
	var a struct {
		Info json.RawMessage `json:"phone_info"`
	}
	if err := m.api().Post(ctx, "/wxa/business/getuserphonenumber", nil, body, &a); err != nil {
		return Phone{}, fmt.Errorf("oauth: phone number: %w", adviseButton(err))
	}
	var p Phone
	if err := m.decodeData(a.Info, &p); err != nil { // the code is used up
		return Phone{}, fmt.Errorf("oauth: phone number: %w", buttonError{err, "WeChat's answer cannot be used: " + err.Error() + ": " + pressButton})
	}
	return p, nil
}

// buttonError is an error after which the user must press the button again.
type buttonError struct {
	error
	text string
}

func (e buttonError) Error() string { return e.text }
func (e buttonError) Unwrap() error { return e.error }

const pressButton = "the user must press the getPhoneNumber button again"

// adviseButton replaces the advice in a refusal of a code: to log in again does not help here.
func adviseButton(err error) error {
	var refusal *wechat.Error
	if !errors.As(err, &refusal) {
		return err
	}
	cure := pressButton
	switch refusal.Code {
	case wechat.ErrInvalidCode:
		cure = "the code must be that of the getPhoneNumber button, not of wx.login or a login_code: " + pressButton
	case wechat.ErrCodeUsed, errCodeExpired:
	default:
		return err
	}
	text := fmt.Sprintf("%d %s: %s", refusal.Code, refusal.Msg, cure)
	if refusal.RID != "" {
		text += " (rid " + refusal.RID + ")"
	}
	return buttonError{err, text}
}

// UnmarshalJSON decodes the numbers from text and from JSON numbers, since WeChat sends the country code as either.
func (p *Phone) UnmarshalJSON(b []byte) error {
	in := struct {
		PhoneNumber     wirejson.Text `json:"phoneNumber"`
		PurePhoneNumber wirejson.Text `json:"purePhoneNumber"`
		CountryCode     wirejson.Text `json:"countryCode"`
	}{PhoneNumber: wirejson.Text(p.PhoneNumber), PurePhoneNumber: wirejson.Text(p.PurePhoneNumber)}
	if err := wirejson.Unmarshal(b, &in); err != nil {
		return err
	}
	*p = Phone{string(in.PhoneNumber), string(in.PurePhoneNumber), string(in.CountryCode)}
	return nil
}
