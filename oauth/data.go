package oauth

import (
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

// Verify returns nil where rawData, byte by byte as the mini program got it, bears the signature WeChat made for this
// user (signature of wx.getUserInfo and the like). Another signature is an error that wraps ErrSession, as an old
// session_key is the usual cause.
//
// See https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/signature.html (开放数据校验与解密).
func (m *Mini) Verify(ctx context.Context, openID, rawData, signature string) error {
	key, err := m.key(ctx, openID)
	if err != nil {
		return fmt.Errorf("oauth: verify data: %w", err)
	}
	sum := sha1.Sum([]byte(rawData + key))
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(signature)) != 1 {
		return fmt.Errorf("oauth: verify data: the signature is not for this data: %w", ErrSession)
	}
	return nil
}

// maxData is how long encryptedData may be.
const maxData = 64 << 10

// Decrypt opens encryptedData, with the iv that came with it, into out, a pointer for its JSON. Data of another app, by
// its watermark, is refused. An error wraps ErrSession where the data does not open with the user's session_key.
func (m *Mini) Decrypt(ctx context.Context, openID, encryptedData, iv string, out any) error {
	key, err := m.key(ctx, openID)
	if err != nil {
		return fmt.Errorf("oauth: decrypt data: %w", err)
	}
	if len(encryptedData) > maxData {
		return fmt.Errorf("oauth: decrypt data: it is longer than %d bytes", maxData)
	}
	plain, err := open(key, encryptedData, iv)
	if err != nil {
		return fmt.Errorf("oauth: decrypt data: %w", err)
	}
	if wirejson.Check(plain) != nil {
		return fmt.Errorf("oauth: decrypt data: it does not open: %w", ErrSession)
	}
	if err := m.unmarshal(plain, out); err != nil {
		return fmt.Errorf("oauth: decrypt data: %w", err)
	}
	return nil
}

var errWatermark = errors.New("its watermark is not of this app")

// unmarshal reads data that WeChat has marked as this app's.
func (m *Mini) unmarshal(data []byte, out any) error {
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

func (m *Mini) key(ctx context.Context, openID string) (string, error) {
	if openID == "" || len(openID) > maxOpenID {
		return "", ErrSession
	}
	b, ok, err := m.store().Get(ctx, m.sessionKey(openID))
	if err != nil {
		return "", fmt.Errorf("read session: %w", err)
	}
	if !ok {
		return "", ErrSession
	}
	return string(b), nil
}

// open decrypts AES-128-CBC under the decoded session_key. What is wrong with data that does not open is not told, or
// the answers would give it away piece by piece.
func open(sessionKey, encryptedData, iv string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(sessionKey)
	if err != nil || len(key) != 16 {
		return nil, errors.New("the kept session_key is not 16 bytes of base64")
	}
	for name, value := range map[string]string{"encryptedData": encryptedData, "iv": iv} {
		if strings.Contains(value, " ") {
			return nil, errors.New(name + " holds blanks in place of +: percent-encode it, as encodeURIComponent does, or send it as JSON")
		}
	}
	data, err := base64.StdEncoding.DecodeString(encryptedData)
	if err != nil || len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, errors.New("encryptedData must be whole blocks in base64")
	}
	vector, err := base64.StdEncoding.DecodeString(iv)
	if err != nil || len(vector) != aes.BlockSize {
		return nil, errors.New("iv must be 16 bytes in base64")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	cipher.NewCBCDecrypter(block, vector).CryptBlocks(data, data)
	pad := int(data[len(data)-1])
	if pad < 1 || pad > aes.BlockSize {
		return nil, fmt.Errorf("it does not open: %w", ErrSession)
	}
	for _, b := range data[len(data)-pad:] {
		if int(b) != pad {
			return nil, fmt.Errorf("it does not open: %w", ErrSession)
		}
	}
	return data[:len(data)-pad], nil
}

// UserSignature signs the body of a call, or "" for one without, with the user's session_key, as calls do that must prove
// to be made for a user who is there, such as those of virtual payment (用户态签名).
//
// See https://developers.weixin.qq.com/miniprogram/dev/platform-capabilities/business-capabilities/virtual-payment.html.
func (m *Mini) UserSignature(ctx context.Context, openID, body string) (string, error) {
	key, err := m.key(ctx, openID)
	if err != nil {
		return "", fmt.Errorf("oauth: user signature: %w", err)
	}
	return seal(key, body), nil
}

// seal is the signature over a call's body that proves the caller to hold the user's session_key, whose text is the key.
func seal(sessionKey, body string) string {
	mac := hmac.New(sha256.New, []byte(sessionKey))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}
