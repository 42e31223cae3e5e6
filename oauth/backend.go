package oauth

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// tell POSTs a finished login to Backend, and waits for its 2xx: the browser that returns next finds its site informed.
func (l *Login) tell(ctx context.Context, s state, u User) error {
	if l.SignKey == "" {
		return errors.New("oauth: SignKey must be set for Backend to know who speaks")
	}
	body, err := json.Marshal(struct {
		AppID string `json:"appid"`
		To    string `json:"to"`
		Nonce string `json:"nonce"`
		User  User   `json:"user"`
	}{l.AppID, s.To, s.Nonce, u})
	if err != nil {
		return fmt.Errorf("oauth: tell backend: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.Backend, bytes.NewReader(body))
	if err != nil {
		return errors.New("oauth: tell backend: Backend must be a whole address")
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Wetoken-Signature", signature(l.SignKey, time.Now(), body))
	resp, err := l.http().Do(r)
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err // the address may hold a secret of the backend's
	}
	if err != nil {
		return fmt.Errorf("oauth: tell backend: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("oauth: tell backend: it answered HTTP status %d", resp.StatusCode)
	}
	return nil
}

func signature(key string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

func (l *Login) http() *http.Client {
	c := http.Client{Timeout: 5 * time.Second}
	if l.HTTP != nil {
		c = *l.HTTP
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}
