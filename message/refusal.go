package message

import "net/http"

// Refusal is why a callback was not accepted. It is an error, found with errors.Is under the error that tells more,
// and its number is the errcode the sender is answered. The numbers from -40001 to -40007 are those of WeChat's own
// sample code, the others are ours and begin with their HTTP status.
type Refusal int

// A sender who has not shown the token learns nothing of the app: ErrSignature, ErrStale, or that a body which is too
// large, compressed or cut off is not read. The other refusals are given to signed callbacks only: they tell of a wrong
// setting, not of a stranger.
const (
	ErrSignature Refusal = -40001 // signature or msg_signature is missing or wrong (401)
	ErrBody      Refusal = -40002 // the body cannot be read as WeChat's XML or JSON (400)
	ErrReceiveID Refusal = -40005 // sealed for another app (403)
	ErrSeal      Refusal = -40007 // cannot be decrypted: another EncodingAESKey, or a damaged text (400)
	ErrStale     Refusal = -40101 // timestamp is more than 10 minutes from our clock (401)
	ErrPlaintext Refusal = -40301 // not encrypted, and Mode is Secure (403)
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
	case ErrReceiveID:
		return "message: sealed for another app"
	case ErrSeal:
		return "message: cannot be decrypted"
	case ErrStale:
		return "message: timestamp is more than 10 minutes from our clock"
	case ErrPlaintext:
		return "message: plaintext is not accepted in secure mode"
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
	case ErrSignature, ErrStale:
		return http.StatusUnauthorized
	case ErrReceiveID, ErrPlaintext, ErrTarget:
		return http.StatusForbidden
	case ErrTooLarge:
		return http.StatusRequestEntityTooLarge
	case ErrMediaType:
		return http.StatusUnsupportedMediaType
	}
	return http.StatusBadRequest
}
