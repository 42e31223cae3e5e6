package handlers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/wetoken/wetoken/examples/miniapp/account"
	"github.com/wetoken/wetoken/oauth"
)

// phoneBody is the body of update-phone: the code of the getPhoneNumber button, or what older mini programs get.
type phoneBody struct {
	Code          string `json:"code"`
	EncryptedData string `json:"encryptedData"`
	IV            string `json:"iv"`
}

// updatePhone binds the phone that WeChat vouches for. The token is replaced.
func (h *Handlers) updatePhone(w http.ResponseWriter, r *http.Request, s account.Session) {
	var body phoneBody
	if !h.read(w, r, &body) {
		return
	}
	phone, err := h.readPhone(r.Context(), s, body)
	var fresh string
	var a account.Account
	if err == nil {
		fresh, a, err = h.Accounts.BindPhone(r.Context(), r.Header.Get("token"), phone)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	answer(w, joinFlag(fresh, a))
}

func (h *Handlers) readPhone(ctx context.Context, s account.Session, body phoneBody) (string, error) {
	switch {
	case s.AppID != h.Mini.AppID:
		return "", errOtherApp
	case body.Code != "" && len(body.Code) <= maxCode:
		p, err := h.Mini.Phone(ctx, body.Code, s.OpenID) // WeChat refuses the code of another user
		return p.PhoneNumber, err
	case body.EncryptedData == "" || body.IV == "":
		return "", errBody
	}
	return h.decryptPhone(ctx, s.OpenID, body)
}

// Life of encryptedData, and how long its use is remembered. WeChat's clock may differ from ours.
const (
	dataLife  = 5 * time.Minute
	clockSkew = 5 * time.Minute
)

// decryptPhone decrypts a phone with the session_key that never leaves this server. Each encryptedData is good once, and not for
// long: otherwise a person could bind a number again that is somebody else's now.
func (h *Handlers) decryptPhone(ctx context.Context, openID string, body phoneBody) (string, error) {
	var data json.RawMessage
	if err := h.Mini.DecryptData(ctx, openID, body.EncryptedData, body.IV, &data); err != nil {
		return "", err
	}
	var phone oauth.Phone
	var mark struct {
		Watermark struct {
			Timestamp int64 `json:"timestamp"`
		} `json:"watermark"`
	}
	if json.Unmarshal(data, &phone) != nil || json.Unmarshal(data, &mark) != nil {
		return "", fmt.Errorf("%w: it has no phone number", oauth.ErrData)
	}
	if age := time.Since(time.Unix(mark.Watermark.Timestamp, 0)); age > dataLife || age < -clockSkew {
		return "", errUsedData
	}
	sum := sha256.Sum256([]byte(openID + "\n" + string(data)))
	fresh, err := h.Used.Swap(ctx, "miniapp/used/"+hex.EncodeToString(sum[:]), nil, []byte("1"), dataLife+2*clockSkew)
	switch {
	case err != nil:
		return "", err
	case !fresh:
		return "", errUsedData
	}
	return phone.PhoneNumber, nil
}
