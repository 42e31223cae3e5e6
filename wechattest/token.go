package wechattest

import (
	"crypto/rand"
	"encoding/base64"
	"time"
)

// State is the state of a token.
type State string

const (
	Current    State = "current"    // the newest of its kind, and valid
	Grace      State = "grace"      // superseded, but still valid for a while
	Superseded State = "superseded" // ended by a newer one: 40001
	Expired    State = "expired"    // ended by its life: 42001
	Revoked    State = "revoked"    // ended by [Server.Revoke], or refused by [Server.Refuse]: 40001
)

// Token is an access_token that the Server has issued.
type Token struct {
	Value   string    `json:"access_token"`
	AppID   string    `json:"app"`
	Secret  string    `json:"secret"`             // the secret that it was issued for
	AgentID int       `json:"agent_id,omitempty"` // Work
	Path    string    `json:"path"`               // of the call that issued it, such as /cgi-bin/stable_token
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires"` // end of its life, even if it was cut short
	State   State     `json:"state"`
}

// issued is a token and its state.
type issued struct {
	value    string
	app      *app
	secret   string
	path     string
	grant    *grant // of an account for a platform; else nil
	at       time.Time
	expires  time.Time
	replaced bool
	until    time.Time // replaced: usable until then, never past expires
	revoked  bool      // by Revoke
	refused  bool      // by Refuse
}

// verdict returns the state of a token, and the errcode of a business call with it. The cause of its end decides: a token
// that a newer one cut short has 40001 from then on, a token that expired has 42001.
func (t *issued) verdict(now time.Time) (State, int) {
	switch {
	case t.revoked || t.refused:
		return Revoked, 40001
	case t.replaced && !now.Before(t.until) && t.until.Before(t.expires):
		return Superseded, 40001
	case !now.Before(t.expires):
		return Expired, 42001
	case t.replaced:
		return Grace, 0
	}
	return Current, 0
}

// chain is the sequence of one app's tokens of one kind. Classic and stable tokens are two independent chains.
type chain struct {
	current, previous *issued
}

// alive returns the current token if the endpoint would still return it. It ignores [issued.refused], which applies only to
// business calls.
func (ch *chain) alive(now time.Time) *issued {
	if t := ch.current; t != nil && !t.revoked && now.Before(t.expires) {
		return t
	}
	return nil
}

// remaining returns the remaining life of the current token.
func (ch *chain) remaining(now time.Time) time.Duration {
	if t := ch.alive(now); t != nil {
		return t.expires.Sub(now)
	}
	return 0
}

func (t *issued) replace(until time.Time) {
	if t == nil {
		return
	}
	if until.After(t.expires) {
		until = t.expires
	}
	if !t.replaced || until.Before(t.until) {
		t.replaced, t.until = true, until
	}
}

const keptTokens = 10_000 // per app; older ones are dropped, and get 40014

// issue returns a new token. The token before stays valid until oldUntil at most, older ones end now.
func (s *Server) issue(a *app, ch *chain, path string, now, oldUntil time.Time) *issued {
	ch.previous.replace(now)
	ch.current.replace(oldUntil)
	t := &issued{
		value:   newID("token", 136),
		app:     a,
		secret:  a.Secret,
		path:    path,
		at:      now,
		expires: now.Add(a.life()),
	}
	ch.previous, ch.current = ch.current, t

	if s.tokens == nil {
		s.tokens = make(map[string]*issued)
	}
	s.tokens[t.value] = t
	a.history = append(a.history, t)
	if len(a.history) > keptTokens {
		delete(s.tokens, a.history[0].value)
		a.history = a.history[1:]
	}
	return t
}

// newID returns a random value of n characters that cannot be mistaken for a real one.
func newID(what string, n int) string {
	random := make([]byte, n)
	rand.Read(random) // never fails
	return ("wechattest_" + what + "_" + base64.RawURLEncoding.EncodeToString(random))[:n]
}

// seconds is a remaining life as expires_in says it: whole, and never 0 for what is still alive.
func seconds(d time.Duration) int64 {
	return max(int64(d/time.Second), 1)
}

// Check tells what a business call with the token would be answered now: 0 when it would be served, else 40014 (not one
// of ours), 40001 (superseded or revoked) or 42001 (expired).
func (s *Server) Check(token string) (code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[token]
	if t == nil {
		return 40014
	}
	_, code = t.verdict(time.Now())
	return code
}

// Revoke ends a token early, as WeChat may: business calls answer 40001, and the next call for a token is given another
// one. A token the Server did not issue is left alone.
func (s *Server) Revoke(token string) {
	s.change(token, func(t *issued) { t.revoked = true })
}

// Refuse makes business calls refuse a token with 40001, while stable_token and gettoken, which do not check that, continue
// to return it until it is due or the caller forces another one.
func (s *Server) Refuse(token string) {
	s.change(token, func(t *issued) { t.refused = true })
}

// Expire ends a token as if its life had ended: 42001.
func (s *Server) Expire(token string) {
	s.change(token, func(t *issued) {
		if now := time.Now(); now.Before(t.expires) {
			t.expires = now
		}
	})
}

func (s *Server) change(token string, how func(*issued)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tokens[token]; t != nil {
		how(t)
	}
}

// Tokens returns the tokens of an app, oldest first, with their current states: at most the last 10000. For Work it returns
// those of all secrets of the corp, secret by secret.
func (s *Server) Tokens(id string) []Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	var apps []*app
	if a := s.apps[id]; a != nil {
		apps = append(apps, a)
	}
	if co := s.corps[id]; co != nil {
		apps = append(apps, co.sorted()...)
	}
	now := time.Now()
	var list []Token
	for _, a := range apps {
		for _, t := range a.history {
			state, _ := t.verdict(now)
			list = append(list, Token{
				Value: t.value, AppID: a.ID, Secret: t.secret, AgentID: a.AgentID, Path: t.path,
				Issued: t.at, Expires: t.expires, State: state,
			})
		}
	}
	return list
}
