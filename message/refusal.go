package message

import "net/http"

// Refusal is why a callback was not accepted. It is an error, found with errors.Is under an error with the details,
// and its number is the errcode the sender is answered. The numbers from -40001 to -40007 are those of WeChat's own
// sample code, the others are ours and begin with their HTTP status.
type Refusal int

// A sender who has not shown the token learns nothing of the app: ErrSignature, ErrStale, or that a body which is too large,
// compressed or cut off is not read. The other refusals are given to signed callbacks only. Everything that fails once
// decryption has begun is ErrSeal: answer it with the Refusal alone, as the error around it says more than a sender may
// know.
const (
	ErrSignature Refusal = -40001 // signature or msg_signature is missing or wrong (401)
	ErrBody      Refusal = -40002 // the body cannot be read as WeChat's XML or JSON (400)
	ErrSeal      Refusal = -40007 // cannot be decrypted: another EncodingAESKey, another app's id, or a damaged text (400)
	ErrStale     Refusal = -40101 // signed more than 10 minutes away from our clock (401)
	ErrReplay    Refusal = -40102 // its signature came before, with another body (401)
	ErrPlaintext Refusal = -40301 // not encrypted, and Mode is Secure or Compatible (403)
	ErrTarget    Refusal = -40302 // names a target, call=, that Config.Hosts does not allow (403)
	ErrTooLarge  Refusal = -41301 // more than 1 MiB (413)
	ErrMediaType Refusal = -41501 // neither XML nor JSON, or compressed (415)
)

// Error describes r, in words that hold no secret.
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
	case ErrTarget:
		return "message: a call= is not allowed"
	case ErrTooLarge:
		return "message: body is larger than 1 MiB"
	case ErrMediaType:
		return "message: body is neither XML nor JSON"
	}
	return "message: refused"
}

// Status is the HTTP status that r is answered with.
func (r Refusal) Status() int {
	switch r {
	case ErrSignature, ErrStale, ErrReplay:
		return http.StatusUnauthorized
	case ErrPlaintext, ErrTarget:
		return http.StatusForbidden
	case ErrTooLarge:
		return http.StatusRequestEntityTooLarge
	case ErrMediaType:
		return http.StatusUnsupportedMediaType
	}
	return http.StatusBadRequest
}
