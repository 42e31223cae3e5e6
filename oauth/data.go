package oauth

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/wetoken/wetoken/internal/wirejson"
)

// VerifyRawData returns nil if signature is the one WeChat made for rawData and this user (the signature of
// wx.getUserInfo and similar calls). rawData must be byte for byte what the mini program received. For any other
// signature the error wraps ErrSession, since the usual cause is an old session_key.
//
// See https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/signature.html (开放数据校验与解密).
func (m *Mini) VerifyRawData(ctx context.Context, openID, rawData, signature string) error {
	key, err := m.readSessionKey(ctx, openID)
	if err != nil {
		return fmt.Errorf("oauth: verify data: %w", err)
	}
	sum := sha1.Sum([]byte(rawData + key))
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(signature)) != 1 {
		return fmt.Errorf("oauth: verify data: the signature is not for this data: %w", ErrSession)
	}
	return nil
}

// maxData is the greatest length of encryptedData.
const maxData = 64 << 10

// ErrData is the error of data that WeChat did not give to this mini program: a new login would not help.
var ErrData = errors.New("the data is not of this mini program")

// DecryptData decrypts encryptedData with the iv that came with it, and decodes its JSON into out, a pointer. The error
// wraps ErrSession if the user's session_key does not decrypt the data, and ErrData for other data that is not WeChat's,
// such as data whose watermark names another app.
func (m *Mini) DecryptData(ctx context.Context, openID, encryptedData, iv string, out any) error {
	key, err := m.readSessionKey(ctx, openID)
	if err != nil {
		return fmt.Errorf("oauth: decrypt data: %w", err)
	}
	if len(encryptedData) > maxData {
		return fmt.Errorf("oauth: decrypt data: %w: encryptedData is longer than %d bytes", ErrData, maxData)
	}
	plain, err := decrypt(key, encryptedData, iv)
	if err != nil {
		return fmt.Errorf("oauth: decrypt data: %w", err)
	}
	if wirejson.Check(plain) != nil {
		return fmt.Errorf("oauth: decrypt data: wrong key: %w", ErrSession)
	}
	if err := m.decodeData(plain, out); err != nil {
		return fmt.Errorf("oauth: decrypt data: %w", err)
	}
	return nil
}

var errWatermark = fmt.Errorf("%w: the watermark names another app", ErrData)

// decodeData decodes data whose watermark names this app.
func (m *Mini) decodeData(data []byte, out any) error {
	var mark struct {
		Watermark struct {
			AppID string `json:"appid"`
		} `json:"watermark"`
	}
	if wirejson.Unmarshal(data, &mark) != nil || mark.Watermark.AppID != m.AppID {
		return errWatermark
	}
	return wirejson.Unmarshal(data, out)
}

func (m *Mini) readSessionKey(ctx context.Context, openID string) (string, error) {
	if openID == "" || len(openID) > maxOpenID {
		return "", ErrSession
	}
	b, ok, err := m.store().Get(ctx, m.sessionRecordKey(openID))
	if err != nil {
		return "", fmt.Errorf("read session: %w", err)
	}
	if !ok || bytes.HasPrefix(b, []byte("{")) { // base64 is the first format, and a later one is JSON
		return "", ErrSession
	}
	return string(b), nil
}

// decrypt decrypts AES-128-CBC with the decoded session_key. Its errors do not say why the padding is wrong, since such
// answers would let a stranger decrypt the data step by step.
func decrypt(sessionKey, encryptedData, iv string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(sessionKey)
	if err != nil || len(key) != 16 {
		return nil, errors.New("the stored session_key is not 16 bytes of base64")
	}
	for name, value := range map[string]string{"encryptedData": encryptedData, "iv": iv} {
		if strings.Contains(value, " ") {
			return nil, fmt.Errorf("%w: %s contains blanks instead of +: percent-encode it, as encodeURIComponent does, or send it as JSON", ErrData, name)
		}
	}
	data, err := base64.StdEncoding.DecodeString(encryptedData)
	if err != nil || len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%w: encryptedData must be whole blocks in base64", ErrData)
	}
	vector, err := base64.StdEncoding.DecodeString(iv)
	if err != nil || len(vector) != aes.BlockSize {
		return nil, fmt.Errorf("%w: iv must be 16 bytes in base64", ErrData)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	cipher.NewCBCDecrypter(block, vector).CryptBlocks(data, data)
	pad := int(data[len(data)-1])
	if pad < 1 || pad > aes.BlockSize {
		return nil, fmt.Errorf("wrong key: %w", ErrSession)
	}
	for _, b := range data[len(data)-pad:] {
		if int(b) != pad {
			return nil, fmt.Errorf("wrong key: %w", ErrSession)
		}
	}
	return data[:len(data)-pad], nil
}

// UserSignature returns the signature of a call's body, or of "" for a call without one, made with the user's
// session_key (用户态签名). Calls that act for a present user need it, such as those of virtual payment.
//
// See https://developers.weixin.qq.com/miniprogram/dev/platform-capabilities/business-capabilities/virtual-payment.html.
func (m *Mini) UserSignature(ctx context.Context, openID, body string) (string, error) {
	key, err := m.readSessionKey(ctx, openID)
	if err != nil {
		return "", fmt.Errorf("oauth: user signature: %w", err)
	}
	return userSignature(key, body), nil
}

// userSignature returns the signature of body. Its key is the text of the session_key, not the decoded bytes.
func userSignature(sessionKey, body string) string {
	mac := hmac.New(sha256.New, []byte(sessionKey))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}
