package push

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	crand "crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// newQuery returns the first parameters of a request.
func (c *Callback) newQuery() url.Values {
	return url.Values{
		"timestamp": {strconv.FormatInt(time.Now().Unix(), 10)},
		"nonce":     {strconv.FormatUint(uint64(rand.Uint32()), 10)},
	}
}

// sign returns the SHA-1 of the sorted token, timestamp, nonce and further texts.
func (c *Callback) sign(query url.Values, more ...string) string {
	parts := append([]string{c.Token, query.Get("timestamp"), query.Get("nonce")}, more...)
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

func (c *Callback) key() ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(c.EncodingAESKey + "=")
	if err != nil || len(key) != 32 {
		return nil, errors.New("push: invalid Callback.EncodingAESKey: want 43 characters of base64")
	}
	return key, nil
}

// sealedID returns the id at the end of encrypted texts.
func (c *Callback) sealedID() string {
	if c.Sealed != "" {
		return c.Sealed
	}
	return c.AppID
}

// seal encrypts 16 random bytes, the length, the text, the id of the receiver, and padding to 32.
func (c *Callback) seal(text string) (string, error) {
	key, err := c.key()
	if err != nil {
		return "", err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	frame := []byte(crand.Text()[:16])
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(text)))
	frame = append(append(frame, text...), c.sealedID()...)
	pad := 32 - len(frame)%32
	frame = append(frame, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, key[:16]).CryptBlocks(frame, frame)
	return base64.StdEncoding.EncodeToString(frame), nil
}

// unseal decrypts a reply.
func (c *Callback) unseal(sealed string) (string, error) {
	key, err := c.key()
	if err != nil {
		return "", err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	frame, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(frame) < 32 || len(frame)%32 != 0 {
		return "", errors.New("invalid Encrypt in the reply: want base64 of whole blocks of 32 bytes")
	}
	cipher.NewCBCDecrypter(block, key[:16]).CryptBlocks(frame, frame)
	pad := int(frame[len(frame)-1])
	if pad < 1 || pad > 32 || pad > len(frame)-20 || !bytes.Equal(frame[len(frame)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return "", errors.New("invalid Encrypt in the reply: wrong padding")
	}
	frame = frame[:len(frame)-pad]
	size := uint64(binary.BigEndian.Uint32(frame[16:20]))
	if 20+size > uint64(len(frame)) {
		return "", errors.New("invalid Encrypt in the reply: wrong length")
	}
	if id := string(frame[20+size:]); id != c.sealedID() {
		return "", errors.New("invalid Encrypt in the reply: it is for another app")
	}
	return string(frame[20 : 20+size]), nil
}

// buildRequest returns the query and body of the document of p in the Callback's mode.
func (c *Callback) buildRequest(p Message, doc string) (url.Values, []byte, error) {
	query := c.newQuery()
	if c.Kind != Work {
		query.Set("signature", c.sign(query))
	}
	if c.Kind != Work && p.InfoType == "" {
		query.Set("openid", p.From)
	}
	if c.mode() == "plain" {
		return query, []byte(doc), nil
	}
	sealed, err := c.seal(doc)
	if err != nil {
		return nil, nil, err
	}
	query.Set("msg_signature", c.sign(query, sealed))
	if c.Kind != Work {
		query.Set("encrypt_type", "aes")
	}
	envelope := []field{{"ToUserName", c.account()}, {"Encrypt", sealed}}
	switch {
	case p.InfoType != "":
		envelope[0] = field{"AppId", c.AppID}
	case c.mode() == "compatible": // plaintext, and Encrypt beside it
		return query, []byte(doc[:len(doc)-len(c.ending())] + c.member("Encrypt", sealed) + c.ending()), nil
	case c.Kind == Work && c.JSON:
		envelope = []field{{"tousername", c.account()}, {"encrypt", sealed}, {"agentid", strconv.Itoa(c.AgentID)}}
	case c.Kind == Work:
		envelope = append(envelope, field{"AgentID", strconv.Itoa(c.AgentID)})
	}
	return query, []byte(c.write(envelope)), nil
}
