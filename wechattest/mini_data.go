package wechattest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"time"
)

// OpenData is the data about its user that a mini program gets, for its server to verify and decrypt.
type OpenData struct {
	RawData       string `json:"rawData"`
	Signature     string `json:"signature"`
	EncryptedData string `json:"encryptedData"`
	IV            string `json:"iv"`
}

// UserData returns the result of wx.getUserProfile for a person, under the session_key of the last jscode2session. ok is
// false before the first one.
func (s *Server) UserData(appID, name string) (data OpenData, ok bool) {
	return s.openData(appID, name, func(got *session, now time.Time) (open, whole fields) {
		open = fields{"nickName": got.person.Nickname, "gender": 0, "language": "zh_CN", "city": "", "province": "", "country": "", "avatarUrl": got.person.HeadImgURL}
		whole = fields{"openId": s.OpenID(appID, got.person.Name), "watermark": fields{"timestamp": now.Unix(), "appid": appID}}
		if got.app.Owner != "" {
			whole["unionId"] = s.UnionID(got.app.Owner, got.person.Name)
		}
		for k, v := range open {
			whole[k] = v
		}
		return open, whole
	})
}

// PhoneData returns the encrypted phone number that older mini programs get. It has no signature.
func (s *Server) PhoneData(appID, name string) (data OpenData, ok bool) {
	return s.openData(appID, name, phoneFields)
}

func phoneFields(got *session, now time.Time) (open, whole fields) {
	return nil, phoneOf(got.person, got.app, now)
}

func (s *Server) openData(appID, name string, build func(*session, time.Time) (open, whole fields)) (data OpenData, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sealData(appID, name, build)
}

// sealData is called with the Server locked.
func (s *Server) sealData(appID, name string, build func(*session, time.Time) (open, whole fields)) (data OpenData, ok bool) {
	p, ok := s.person(name)
	if !ok {
		return OpenData{}, false
	}
	got := s.people.sessions[s.OpenID(appID, p.Name)]
	if got == nil {
		return OpenData{}, false
	}
	open, whole := build(got, time.Now())
	if open != nil {
		data.RawData = string(encode(open))
		sum := sha1.Sum([]byte(data.RawData + got.key))
		data.Signature = hex.EncodeToString(sum[:])
	}
	data.EncryptedData, data.IV = encrypt(got.key, encode(whole))
	return data, true
}

// encode returns JSON as WeChat writes it, without HTML escapes.
func encode(v fields) []byte {
	return rawControls(jsonReply("", v).body)
}

func encrypt(sessionKey string, plain []byte) (data, iv string) {
	key, err := base64.StdEncoding.DecodeString(sessionKey)
	if err != nil {
		return "", ""
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", ""
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	plain = append(plain, bytes.Repeat([]byte{byte(pad)}, pad)...)
	vector := make([]byte, aes.BlockSize)
	rand.Read(vector)
	cipher.NewCBCEncrypter(block, vector).CryptBlocks(plain, plain)
	return base64.StdEncoding.EncodeToString(plain), base64.StdEncoding.EncodeToString(vector)
}
