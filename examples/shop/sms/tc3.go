package sms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// header is a signed header. Its name is in lower case.
type header struct{ name, value string }

// authorize returns the Authorization header of a POST to an API of Tencent Cloud: the signature v3, TC3-HMAC-SHA256. The headers
// are sorted by name and include content-type and host. Service is the first label of the API's host name.
//
// https://cloud.tencent.com/document/api/362/4208
func authorize(secretID, secretKey, service string, at time.Time, headers []header, body []byte) string {
	const algorithm = "TC3-HMAC-SHA256"
	date := at.UTC().Format(time.DateOnly)
	scope := date + "/" + service + "/tc3_request"
	canonical, signed := canonicalize(headers, body)
	text := fmt.Sprintf("%s\n%d\n%s\n%s", algorithm, at.Unix(), scope, hash([]byte(canonical)))

	key := []byte("TC3" + secretKey)
	for _, part := range []string{date, service, "tc3_request"} {
		key = mac(key, part)
	}
	return fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%x", algorithm, secretID, scope, signed, mac(key, text))
}

// canonicalize returns the canonical request, and the names of the signed headers.
func canonicalize(headers []header, body []byte) (canonical, signed string) {
	var lines strings.Builder
	names := make([]string, len(headers))
	for i, h := range headers {
		names[i] = h.name
		lines.WriteString(h.name + ":" + strings.ToLower(strings.TrimSpace(h.value)) + "\n")
	}
	signed = strings.Join(names, ";")
	return strings.Join([]string{"POST", "/", "", lines.String(), signed, hash(body)}, "\n"), signed
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
