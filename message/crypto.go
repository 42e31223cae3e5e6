package message

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
)

// WeChat encrypts messages of all kinds of accounts in the same way (消息加解密):
// base64(AES-256-CBC(16 random bytes, length in 4 bytes, text, receiver, padding)), with the first half of the key as IV.
// https://developer.work.weixin.qq.com/document/path/91144
const (
	headerSize  = 16 + 4
	paddingSize = 32 // of PKCS #7; the block size of AES is 16
)

// aesKey is a decoded EncodingAESKey. It is safe for concurrent use.
type aesKey struct {
	block cipher.Block
	iv    [aes.BlockSize]byte
}

func parseAESKey(encodingAESKey string) (*aesKey, error) {
	if n := len(encodingAESKey); n != 43 {
		return nil, fmt.Errorf("it has %d characters: want 43", n)
	}
	// 43 characters are 258 bits, of which 256 are used. The last two are often not zero, and must not be checked.
	raw, err := base64.StdEncoding.DecodeString(encodingAESKey + "=")
	if err != nil || len(raw) != 32 {
		return nil, errors.New("it has other characters than A-Z, a-z, 0-9, + and /")
	}
	k := &aesKey{iv: [aes.BlockSize]byte(raw)}
	k.block, err = aes.NewCipher(raw)
	return k, err
}

// decrypt decrypts base64 text. The results do not share its memory. The error is ErrSeal, and the time to detect an
// invalid padding does not depend on its position.
func (k *aesKey) decrypt(sealed string) (text, receiver []byte, err error) {
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: not base64", ErrSeal)
	}
	if len(b) < paddingSize || len(b)%aes.BlockSize != 0 {
		return nil, nil, fmt.Errorf("%w: %d bytes are not whole blocks", ErrSeal, len(b))
	}
	cipher.NewCBCDecrypter(k.block, k.iv[:]).CryptBlocks(b, b)
	pad := int(b[len(b)-1])
	good := subtle.ConstantTimeLessOrEq(1, pad) & subtle.ConstantTimeLessOrEq(pad, paddingSize)
	for i := 1; i <= paddingSize; i++ {
		beyond := subtle.ConstantTimeLessOrEq(pad+1, i)
		good &= beyond | subtle.ConstantTimeByteEq(b[len(b)-i], byte(pad))
	}
	end := headerSize + uint64(binary.BigEndian.Uint32(b[16:])) // in 64 bits, as the sender chooses the length
	if good == 0 || headerSize+pad > len(b) || end > uint64(len(b)-pad) {
		return nil, nil, fmt.Errorf("%w: %w", ErrSeal, errKey)
	}
	return b[headerSize:end], b[end : len(b)-pad], nil
}

// encrypt encrypts buf in place and returns it extended. buf is headerSize free bytes and the text.
func (k *aesKey) encrypt(buf []byte, receiver string, random io.Reader) ([]byte, error) {
	if _, err := io.ReadFull(random, buf[:16]); err != nil {
		return nil, fmt.Errorf("message: read random bytes: %w", err)
	}
	binary.BigEndian.PutUint32(buf[16:], uint32(len(buf)-headerSize))
	buf = append(buf, receiver...)
	pad := paddingSize - len(buf)%paddingSize
	for range pad {
		buf = append(buf, byte(pad))
	}
	cipher.NewCBCEncrypter(k.block, k.iv[:]).CryptBlocks(buf, buf)
	return buf, nil
}

// sign returns the SHA-1 in hex of the parts, sorted and joined.
func sign(parts ...[]byte) (sum [2 * sha1.Size]byte) {
	slices.SortFunc(parts, bytes.Compare)
	h := sha1.New()
	for _, p := range parts {
		h.Write(p)
	}
	var raw [sha1.Size]byte
	hex.Encode(sum[:], h.Sum(raw[:0]))
	return sum
}

// findSigner returns the token that made the signature of up to three parts. The time does not depend on how much of
// the signature is right.
func findSigner(tokens []string, given string, parts ...string) (token *string, ok bool) {
	size := 32 // of a token
	for _, p := range parts {
		size += len(p)
	}
	buf := make([]byte, 0, size)
	var joined [4][]byte
	for i, p := range parts {
		buf = append(buf, p...)
		joined[i] = buf[len(buf)-len(p):]
	}
	for i := range tokens {
		all := joined
		all[len(parts)] = append(buf[len(buf):], tokens[i]...)
		sum := sign(all[:len(parts)+1]...)
		if subtle.ConstantTimeCompare([]byte(given), sum[:]) == 1 {
			token, ok = &tokens[i], true
		}
	}
	return token, ok
}
