package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/internal/relay"
)

// backendTimeout is how long Backend may take to answer.
const backendTimeout = 5 * time.Second

// tell POSTs a finished login to Backend, and waits for its 2xx: the browser that returns next, with loginCode, finds its
// site informed.
func (l *Login) tell(ctx context.Context, s state, loginCode string, u User) error {
	if l.SignKey == "" {
		return errors.New("oauth: SignKey must be set for Backend to know who speaks")
	}
	body, err := json.Marshal(struct {
		AppID     string `json:"appid"`
		To        string `json:"to"`
		Nonce     string `json:"nonce"`
		LoginCode string `json:"login_code"`
		User      User   `json:"user"`
	}{l.AppID, s.To, s.Nonce, loginCode, u})
	if err != nil {
		return fmt.Errorf("oauth: tell backend: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, backendTimeout)
	defer cancel()
	sender := relay.Sender{Key: l.SignKey, PreviousKey: l.PreviousSignKey, HTTP: l.HTTP}
	if _, err := sender.Post(ctx, l.Backend, "application/json; charset=utf-8", body); err != nil {
		return fmt.Errorf("oauth: tell backend: %w", err)
	}
	return nil
}
