package token_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

const nextSecret = "the-secret-after-the-reset"

// resetWorld is a world whose secret is reset in WeChat's console, and the secrets that managers have sent.
type resetWorld struct {
	*world
	app wechattest.App

	mu   sync.Mutex
	sent []string
}

func newResetWorld(mode method) *resetWorld {
	w := &resetWorld{world: &world{wx: new(wechattest.Server), store: new(store.Memory), mode: mode}}
	w.app = wechattest.App{ID: appID, Secret: secret, Kind: wechattest.Official}
	if mode == work {
		w.app.Kind, w.app.AgentID = wechattest.Work, 7
	}
	w.wx.Add(w.app)
	return w
}

func (w *resetWorld) reset() {
	w.app.Secret = nextSecret
	w.wx.Add(w.app)
}

// manager returns the manager of one process, with a next secret. report is called with its errors.
func (w *resetWorld) manager(report func(error)) *token.Manager {
	m := w.world.manager()
	m.NextSecret = nextSecret
	m.OnError = func(_ context.Context, err error) { report(err) }
	wire := w.wx.Client().Transport
	m.Client = &wechat.Client{HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		body := ""
		if r.GetBody != nil {
			if b, err := r.GetBody(); err == nil {
				raw := make([]byte, 1000)
				n, _ := b.Read(raw)
				body = string(raw[:n])
			}
		}
		w.mu.Lock()
		switch text := r.URL.RawQuery + body; {
		case strings.Contains(text, nextSecret):
			w.sent = append(w.sent, "next")
		case strings.Contains(text, secret):
			w.sent = append(w.sent, "present")
		}
		w.mu.Unlock()
		return wire.RoundTrip(r)
	})}}
	return m
}

// requireSent requires that managers have sent these secrets since the last call.
func (w *resetWorld) requireSent(t *testing.T, secrets ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Equal(t, secrets, w.sent)
	w.sent = nil
}

func TestTheNextSecretIsUsedOnceWeChatRefusesThePresentOne(t *testing.T) {
	for name, mode := range map[string]method{"stable": stable, "classic": classic, "work": work} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newResetWorld(mode)
				var reported []string
				report := func(err error) { reported = append(reported, err.Error()) }
				m := w.manager(report)
				w.requireValid(t, get(t, m))
				w.requireSent(t, "present")
				waitFor(2 * time.Hour)
				w.requireValid(t, get(t, m))
				w.requireSent(t, "present")

				w.reset()
				for i := range 3 {
					waitFor(2 * time.Hour)
					w.requireValid(t, get(t, m))
					if i == 0 {
						w.requireSent(t, "present", "next")
					} else {
						w.requireSent(t, "next")
					}
				}
				require.Len(t, reported, 1, "once")
				require.Contains(t, reported[0], "set Secret to it")
				require.NotContains(t, reported[0], nextSecret)

				// Another process finds the token in the store, and learns of the reset by itself.
				other := w.manager(report)
				w.requireValid(t, get(t, other))
				w.requireSent(t)
				waitFor(2 * time.Hour)
				w.requireValid(t, get(t, other))
				w.requireSent(t, "present", "next")
				require.Len(t, reported, 2)
			})
		})
	}
}

// A call without an answer is no refusal of a secret, and neither is one that is about something else.
func TestOnlyARefusedSecretIsReplaced(t *testing.T) {
	for name, fault := range map[string]wechattest.Fault{
		"no answer": {Cut: true}, "busy": {Code: -1}, "quota": {Code: 45009}, "unknown app": {Code: 40013}, "HTTP status": {Status: 502},
	} {
		for _, mode := range []method{stable, classic, work} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newResetWorld(mode)
					w.reset()
					fault.Path = w.fetchPath()
					w.wx.AddFault(fault)
					m := w.manager(func(error) {})
					_, err := m.Token(t.Context())
					require.Error(t, err)
					w.mu.Lock()
					require.NotContains(t, w.sent, "next")
					w.mu.Unlock()
				})
			})
		}
	}
}

func TestTwoWrongSecretsAreReportedAsThePresentOneIs(t *testing.T) {
	for _, mode := range []method{stable, classic, work} {
		synctest.Test(t, func(t *testing.T) {
			w := newResetWorld(mode)
			w.app.Secret = "a-secret-that-nobody-has-set"
			w.wx.Add(w.app)
			m := w.manager(func(error) {})
			_, err := m.Token(t.Context())
			want := wechat.ErrInvalidSecret
			if mode == work {
				want = wechat.ErrInvalidCredential
			}
			require.True(t, errors.Is(err, want), err)
			w.requireSent(t, "present", "next")
			_, err = m.Token(t.Context())
			require.True(t, errors.Is(err, want), err)
			w.requireSent(t)
		})
	}
}

// WeCom answers 40091 to a secret that it takes for that of another corp.
func TestWeComsOtherRefusalOfASecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newResetWorld(work)
		w.reset()
		w.wx.AddFault(wechattest.Fault{Path: workPath, Code: 40091, Times: 1})
		w.requireValid(t, get(t, w.manager(func(error) {})))
		w.requireSent(t, "present", "next")
	})
}

func TestAForcedRefreshUsesTheNextSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newResetWorld(stable)
		m := w.manager(func(error) {})
		first := get(t, m)
		w.reset()
		w.wx.Refuse(first.Value)
		c, err := m.Renew(t.Context(), first.Value)
		require.NoError(t, err)
		w.requireValid(t, c)
	})
}
