package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/wetoken/wetoken/oauth"
)

// redeemer gets the users of finished logins from the private side of a wetoken server. A site in any language can do the same.
type redeemer struct{ url, key string }

var client = &http.Client{Timeout: 5 * time.Second}

func (s redeemer) Redeem(ctx context.Context, loginCode string) (u oauth.User, err error) {
	body, err := json.Marshal(map[string]string{"login_code": loginCode})
	if err != nil {
		return u, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/login/redeem", bytes.NewReader(body))
	if err != nil {
		return u, err
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	resp, err := client.Do(r)
	if err != nil {
		return u, fmt.Errorf("remote: redeem: %w", err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		err = json.NewDecoder(resp.Body).Decode(&u)
	case http.StatusNotFound:
		err = oauth.ErrLoginCode
	default:
		err = fmt.Errorf("remote: redeem: HTTP status %d", resp.StatusCode)
	}
	return u, err
}
