package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

const (
	toldExtra    = time.Hour // for which a token names its app after its end
	toldRetry    = 10 * time.Second
	toldTimeout  = time.Second
	maxGivenSize = 1024 // bytes of a token
)

// toldKey returns the key under which the store keeps the id of the app of a token, and nothing of the token.
func toldKey(token string) string {
	digest := sha256.Sum256([]byte(token))
	return "gateway/told/" + hex.EncodeToString(digest[:16])
}

// RememberToken lets a token that was answered name its app, in all processes: see [Gateway.AppWithToken]. It writes once for each token.
func (g *Gateway) RememberToken(ctx context.Context, a ServedApp, c wechat.Credential) {
	m, now := a.app.managers(), time.Now()
	last := m.told.Load()
	if last != nil && last.text == c.Value && now.Before(last.again) {
		return
	}
	next := &told{c.Value, now.Add(toldRetry)}
	if !m.told.CompareAndSwap(last, next) { // another request writes it
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), toldTimeout)
	defer cancel()
	if err := g.store.Set(ctx, toldKey(c.Value), []byte(a.app.id), max(c.Expires.Sub(now), 0)+toldExtra); err != nil {
		g.log.DebugContext(ctx, "a token cannot be used to name its app", "app", a.app.name, "error", err)
		return
	}
	m.told.CompareAndSwap(next, &told{c.Value, c.Expires})
}

// told is the token that RememberToken has noted last.
type told struct {
	text  string
	again time.Time // when it is written again
}

// AppWithToken returns the app that has a name or an appid, or with neither the one that [Gateway.RememberToken] has noted for a token, if
// it may be used through route. ok is false unless token is its current token. The token is compared in constant time, and WeChat is not
// asked for it.
func (g *Gateway) AppWithToken(ctx context.Context, name, token, route string) (a ServedApp, ok bool, err error) {
	if token == "" || len(token) > maxGivenSize {
		return a, false, nil
	}
	var found *app
	if name != "" {
		found, err = g.appNamed(ctx, name)
	} else if id, noted, e := g.store.Get(ctx, toldKey(token)); e != nil {
		err = e
	} else if noted {
		found, err = g.appByID(ctx, string(id))
	}
	if err != nil || found == nil {
		return a, false, err
	}
	if name == "" {
		name = found.name
	}
	if a, err = found.open(snapshotIn(ctx, g), name, route); err != nil || a.Tokens() == nil {
		return ServedApp{}, false, nil
	}
	c, kept, err := a.Tokens().Look(ctx)
	if err != nil || !kept || !equalSecrets(c.Value, token) {
		return ServedApp{}, false, err
	}
	return a, true, nil
}
