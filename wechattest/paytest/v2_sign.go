package paytest

import (
	"crypto/aes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

// The types of v2's signatures.
const (
	signMD5  = "MD5"
	signHMAC = "HMAC-SHA256"
)

// signature returns the signature of all fields that are not empty, except sign.
func (v values) signature(kind, key string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if name != "sign" && v[name] != "" {
			b.WriteString(name + "=" + v[name] + "&")
		}
	}
	b.WriteString("key=" + key)
	if kind == signHMAC {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(b.String()))
		return strings.ToUpper(hex.EncodeToString(mac.Sum(nil)))
	}
	sum := md5.Sum([]byte(b.String()))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// verifies reports whether sign is the signature of the fields.
func (v values) verifies(kind, key, sign string) bool {
	return subtle.ConstantTimeCompare([]byte(v.signature(kind, key)), []byte(sign)) == 1
}

// otherSign returns the type of signature that kind is not.
func otherSign(kind string) string {
	if kind == signHMAC {
		return signMD5
	}
	return signHMAC
}

// signed returns the fields as XML, signed in a way. how Stale has no meaning in v2, which signs no time.
func (v values) signed(kind, key string, how Signing) []byte {
	v = maps.Clone(v)
	switch how {
	case Unsigned:
	case Forged, Probe, Unknown:
		v["sign"] = v.signature(kind, randomText(32))
	case Downgraded:
		kind = otherSign(kind)
		v["sign_type"] = kind
		v["sign"] = v.signature(kind, key)
	default:
		v["sign"] = v.signature(kind, key)
	}
	return spoil(toXML("xml", v), how)
}

// spoil returns body as it arrives when a byte of it changes on the way, or half of it is lost. The byte that changes is
// in the text of an element, so that the XML stays one.
func spoil(body []byte, how Signing) []byte {
	switch how {
	case Altered:
		const before = "<nonce_str><![CDATA["
		if at := strings.Index(string(body), before); at >= 0 && at+len(before) < len(body) {
			body[at+len(before)] ^= 1
		}
	case Truncated:
		body = body[:len(body)/2]
	}
	return body
}

// sealRefund encrypts req_info: AES-256-ECB under the hex digits of the key's MD5.
func sealRefund(key string, plain []byte) string {
	sum := md5.Sum([]byte(key))
	block, err := aes.NewCipher([]byte(hex.EncodeToString(sum[:])))
	if err != nil {
		panic("paytest: req_info: " + err.Error()) // 32 digits are a key
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	text := append(slices.Clone(plain), slices.Repeat([]byte{byte(pad)}, pad)...)
	for i := 0; i < len(text); i += aes.BlockSize {
		block.Encrypt(text[i:], text[i:i+aes.BlockSize])
	}
	return base64.StdEncoding.EncodeToString(text)
}
