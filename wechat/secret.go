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

// secretsOf lists what no error may repeat: the token, and what the query and a JSON body hold under such a name.
// Values are listed as they are and as they stand in a URL.
func (r *request) secretsOf(token string) []string {
	secrets := []string{token}
	for key, values := range r.query {
		if secretive(key) {
			secrets = append(secrets, values...)
		}
	}
	var body map[string]json.RawMessage
	if !strings.HasPrefix(r.contentType, multipartType) && wirejson.Unmarshal(r.body, &body) == nil {
		for key, raw := range body {
			var value string
			if secretive(key) && json.Unmarshal(raw, &value) == nil {
				secrets = append(secrets, value)
			}
		}
	}
	for _, s := range secrets {
		if escaped := url.QueryEscape(s); escaped != s {
			secrets = append(secrets, escaped)
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // or the end of a longer one would stay
	return secrets
}

func secretive(key string) bool {
	key = strings.ToLower(key)
	return strings.Contains(key, "secret") || strings.Contains(key, "token") ||
		strings.Contains(key, "ticket") || strings.Contains(key, "code")
}

// blot puts stars in place of each secret in text.
func blot(text string, secrets []string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	return text
}

// withoutSecrets takes off the request's URL, which holds the token, from an error of net/http, and blots out the
// secrets where the error quotes a server that sends them back.
func withoutSecrets(err error, secrets []string) error {
	for u := (*url.Error)(nil); errors.As(err, &u); {
		err = u.Err
	}
	text := err.Error()
	if clean := blot(text, secrets); clean != text {
		return &blotted{clean, err}
	}
	return err
}

// blotted stands in for an error whose text holds a secret. It tells what kind of error that is, and does not unwrap
// to it, as logs print each error of a chain.
type blotted struct {
	text  string
	cause error
}

func (b *blotted) Error() string { return b.text }

func (b *blotted) Is(target error) bool { return errors.Is(b.cause, target) }

// Timeout and Temporary make a net.Error of it.
func (b *blotted) Timeout() bool {
	e := net.Error(nil)
	return errors.As(b.cause, &e) && e.Timeout()
}

func (b *blotted) Temporary() bool { return b.Timeout() }
