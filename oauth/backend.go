package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/wetoken/wetoken/internal/relay"
)

// backendTimeout is the time that BackendURL has to answer.
const backendTimeout = 5 * time.Second

// notifyBackend posts a finished login to BackendURL and waits for a 2xx answer, so that the site knows of the login
// before the browser returns with loginCode.
func (l *Login) notifyBackend(ctx context.Context, s state, loginCode string, u User) error {
	if l.SignKey == "" {
		return errors.New("SignKey must be set when BackendURL is set")
	}
	body, err := json.Marshal(struct {
		AppID     string `json:"appid"`
		To        string `json:"to"`
		Nonce     string `json:"nonce"`
		LoginCode string `json:"login_code"`
		User      User   `json:"user"`
	}{l.AppID, s.To, s.Nonce, loginCode, u})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, backendTimeout)
	defer cancel()
	sender := relay.Sender{Key: l.SignKey, PreviousKey: l.PreviousSignKey, HTTP: l.HTTP}
	if _, err := sender.Post(ctx, l.BackendURL, "application/json; charset=utf-8", body); err != nil {
		return err
	}
	return nil
}
