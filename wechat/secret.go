package wechat

import (
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/internal/wirejson"
)

// secrets returns the values that no error may contain: the token, and the values of query parameters and JSON fields
// whose names are those of secrets. Each value is listed in plain and in URL form.
func (r *request) secrets(token string) []string {
	secrets := []string{token}
	for key, values := range r.query {
		if namesSecret(key) {
			secrets = append(secrets, values...)
		}
	}
	var body map[string]json.RawMessage
	if !strings.HasPrefix(r.contentType, multipartType) && wirejson.Unmarshal(r.body, &body) == nil {
		for key, raw := range body {
			var value string
			if namesSecret(key) && json.Unmarshal(raw, &value) == nil {
				secrets = append(secrets, value)
			}
		}
	}
	for _, s := range secrets {
		if escaped := url.QueryEscape(s); escaped != s {
			secrets = append(secrets, escaped)
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // longest first, since one may contain another
	return secrets
}

func namesSecret(key string) bool {
	key = strings.ToLower(key)
	return strings.Contains(key, "secret") || strings.Contains(key, "token") ||
		strings.Contains(key, "ticket") || strings.Contains(key, "code")
}

// redactText replaces each secret in text by stars.
func redactText(text string, secrets []string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	return text
}

// withoutSecrets removes the request's URL, which has the token, from an error of net/http, and redacts secrets that
// the server's answer repeats.
func withoutSecrets(err error, secrets []string) error {
	for u := (*url.Error)(nil); errors.As(err, &u); {
		err = u.Err
	}
	text := err.Error()
	if clean := redactText(text, secrets); clean != text {
		return &redactedError{clean, err}
	}
	return err
}

// redactedError replaces an error whose text contains a secret. It matches the same errors, but does not unwrap to it,
// since logs print each error of a chain.
type redactedError struct {
	text  string
	cause error
}

func (b *redactedError) Error() string { return b.text }

func (b *redactedError) Is(target error) bool { return errors.Is(b.cause, target) }

// Timeout and Temporary implement net.Error.
func (b *redactedError) Timeout() bool {
	e := net.Error(nil)
	return errors.As(b.cause, &e) && e.Timeout()
}

func (b *redactedError) Temporary() bool { return b.Timeout() }
