package sms

import "time"

// Authorize signs with headers in pairs of name and value.
func Authorize(secretID, secretKey, service string, at time.Time, body []byte, pairs ...string) (authorization, canonical string) {
	var headers []header
	for i := 0; i < len(pairs); i += 2 {
		headers = append(headers, header{pairs[i], pairs[i+1]})
	}
	canonical, _ = canonicalize(headers, body)
	return authorize(secretID, secretKey, service, at, headers, body), canonical
}
