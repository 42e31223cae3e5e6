package payv2

import (
	"crypto/aes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
)

// unseal decrypts req_info of a refund notification with the key that fits, and returns its fields. Nothing but its form shows
// that a key fits: AES-ECB does not authenticate.
func unseal(text string, keys []string) (message, error) {
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
		return nil, errors.New("its req_info is not the base64 of whole blocks")
	}
	for _, key := range keys {
		plain, ok := decryptECB(sealed, key)
		if !ok {
			continue
		}
		if fields, err := readMessage(string(plain), "root"); err == nil {
			return fields, nil
		}
	}
	return nil, errors.New("no API key opens its req_info: was the key changed? Set PreviousAPIKey too")
}

// decryptECB decrypts AES-256-ECB with PKCS#7. The key of the cipher is the text of the API key's MD5 in hex.
func decryptECB(sealed []byte, apiKey string) (plain []byte, ok bool) {
	sum := md5.Sum([]byte(apiKey))
	block, err := aes.NewCipher([]byte(hex.EncodeToString(sum[:])))
	if err != nil {
		return nil, false
	}
	plain = make([]byte, len(sealed))
	for i := 0; i < len(sealed); i += aes.BlockSize {
		block.Decrypt(plain[i:], sealed[i:])
	}
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > aes.BlockSize {
		return nil, false
	}
	for _, c := range plain[len(plain)-pad:] {
		if int(c) != pad {
			return nil, false
		}
	}
	return plain[:len(plain)-pad], true
}
