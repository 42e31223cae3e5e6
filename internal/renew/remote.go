package renew

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/wetoken/wetoken/internal/redact"
	"github.com/wetoken/wetoken/wechat"
)

// Remote gets a credential from another process, which keeps it.
type Remote struct {
	URL   string // GET returns the credential, and POST {"refused": …} another one
	Key   string // caller key, sent as Bearer
	Field string // field of the answer: access_token or ticket

	HTTP    *http.Client                 // default http.DefaultClient without redirects
	OnError func(context.Context, error) // as Copy.OnError

	redact.Struct
}

// maxRemote is how many bytes of an answer are read.
const maxRemote = 64 << 10

// Copy makes the copy of the credential that this process reads.
func (r *Remote) Copy() *Copy { return &Copy{Load: r.load, OnError: r.OnError} }

func (r *Remote) load(ctx context.Context, held *Kept, refused string) (*Kept, error) {
	now := time.Now()
	c, err := r.ask(ctx, refused)
	switch {
	case err == nil && c.Value == refused:
		err = ErrStillRefused
	case err == nil:
		return &Kept{Credential: c, RenewAfter: c.Expires, WaitAfter: c.Expires, ServeUntil: c.Expires}, nil
	}
	if held.usable(now, refused) {
		return held, err
	}
	return nil, err
}

func (r *Remote) ask(ctx context.Context, refused string) (c wechat.Credential, err error) {
	start := time.Now()
	req, err := r.request(ctx, refused)
	if err != nil {
		return c, err
	}
	hc := http.Client{}
	if r.HTTP != nil {
		hc = *r.HTTP
	}
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := hc.Do(req)
	if err != nil {
		for u := (*url.Error)(nil); errors.As(err, &u); {
			err = u.Err
		}
		return c, fmt.Errorf("reach %s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRemote))
	if err != nil {
		return c, fmt.Errorf("reach %s: %w", req.URL.Host, err)
	}
	return r.read(req, resp.StatusCode, body, start)
}

func (r *Remote) request(ctx context.Context, refused string) (*http.Request, error) {
	method, body := http.MethodGet, []byte(nil)
	if refused != "" {
		var err error
		if body, err = json.Marshal(map[string]string{"refused": refused}); err != nil {
			return nil, err
		}
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("invalid URL: want http(s)://…")
	}
	req.Header.Set("Authorization", "Bearer "+r.Key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// read takes the credential, or the refusal, from an answer.
func (r *Remote) read(req *http.Request, status int, body []byte, start time.Time) (c wechat.Credential, err error) {
	var refusal struct {
		Code wechat.Code `json:"errcode"`
		Msg  string      `json:"errmsg"`
	}
	op := req.Method + " " + req.URL.Path
	if json.Unmarshal(body, &refusal) == nil && (refusal.Code < 0 || refusal.Code >= 1000) {
		return c, &wechat.Error{Op: op, Code: refusal.Code, Msg: refusal.Msg}
	}
	if status == http.StatusTooManyRequests {
		return c, fmt.Errorf("%s at %s: %w: %s", op, req.URL.Host, ErrRationed, refusal.Msg)
	}
	if status != http.StatusOK {
		return c, fmt.Errorf("%s at %s: HTTP status %d %s", op, req.URL.Host, status, refusal.Msg)
	}
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		return c, fmt.Errorf("%s at %s: the answer is not JSON", op, req.URL.Host)
	}
	value, _ := answer[r.Field].(string)
	seconds, _ := answer["expires_in"].(float64)
	if value == "" || seconds < 1 || seconds > MaxLife.Seconds() {
		return c, fmt.Errorf("%s at %s: the answer holds no live %s", op, req.URL.Host, r.Field)
	}
	return wechat.Credential{Value: value, Expires: start.Add(time.Duration(seconds) * time.Second)}, nil
}
