package message

import "net/http"

// Refusal is the error of a callback that is not accepted, found with errors.Is. Its number is the errcode in the
// response. The numbers -40001 to -40007 are in WeChat's sample code; the others begin with their HTTP status.
type Refusal int

// A sender without the token gets ErrSignature or ErrStale, or ErrTooLarge, ErrBody and ErrMediaType for a body that is not
// read. Signed callbacks get the other refusals too. All failures after decryption has begun are ErrSeal. Respond with the
// Refusal alone: the error that wraps it has details that a sender must not learn.
const (
	ErrSignature Refusal = -40001 // signature or msg_signature is missing or wrong (401)
	ErrBody      Refusal = -40002 // the body is not XML or JSON of WeChat (400)
	ErrSeal      Refusal = -40007 // decryption failed: another EncodingAESKey, the id of another app, or a damaged text (400)
	ErrStale     Refusal = -40101 // the timestamp is more than 10 minutes from our clock (401)
	ErrReplay    Refusal = -40102 // the signature was used with another body before (401)
	ErrPlaintext Refusal = -40301 // not encrypted, and Mode is Secure or Compatible (403)
	ErrBackend   Refusal = -40302 // a call= names a backend that Hosts does not allow (403)
	ErrTooLarge  Refusal = -41301 // more than 1 MiB (413)
	ErrMediaType Refusal = -41501 // neither XML nor JSON, or compressed (415)
)

// Error returns a text without secrets.
func (r Refusal) Error() string {
	switch r {
	case ErrSignature:
		return "message: signature is missing or wrong"
	case ErrBody:
		return "message: body cannot be read"
	case ErrSeal:
		return "message: cannot be decrypted"
	case ErrStale:
		return "message: timestamp is more than 10 minutes from our clock"
	case ErrReplay:
		return "message: signature came before, with another body"
	case ErrPlaintext:
		return "message: plaintext is not accepted with an aes_key"
	case ErrBackend:
		return "message: a call= is not allowed"
	case ErrTooLarge:
		return "message: body is larger than 1 MiB"
	case ErrMediaType:
		return "message: body is neither XML nor JSON"
	}
	return "message: refused"
}

// Status returns the HTTP status of the response.
func (r Refusal) Status() int {
	switch r {
	case ErrSignature, ErrStale, ErrReplay:
		return http.StatusUnauthorized
	case ErrPlaintext, ErrBackend:
		return http.StatusForbidden
	case ErrTooLarge:
		return http.StatusRequestEntityTooLarge
	case ErrMediaType:
		return http.StatusUnsupportedMediaType
	}
	return http.StatusBadRequest
}
