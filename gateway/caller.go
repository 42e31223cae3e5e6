package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/token"
)

// caller is one of our own services, as its key describes it. The key itself is not kept.
type caller struct {
	id     string // its name in the file: rations and the log go by it
	digest [sha256.Size]byte
	apps   map[string]bool // by their ids
	all    bool            // apps
	scopes []string
}

// callers are all that may use the private side, found by the beginning of their key's digest.
type callers map[[8]byte][]*caller

const minKey = 16 // characters of a caller key

// digest is a caller key as it is kept.
func digest(key string) (d [sha256.Size]byte, err error) {
	if sum, ok := strings.CutPrefix(key, "sha256:"); ok {
		b, err := hex.DecodeString(sum)
		if err != nil || len(b) != len(d) {
			return d, errors.New("sha256: must be followed by 64 hex digits")
		}
		if d = [sha256.Size]byte(b); d == sha256.Sum256(nil) {
			return d, errors.New("sha256: is followed by the digest of the empty text, which is no key")
		}
		return d, nil
	}
	if len(key) < minKey {
		return d, errors.New("must have at least 16 characters")
	}
	return sha256.Sum256([]byte(key)), nil
}

// newCallers returns the callers of keys, which name apps as they are registered.
func newCallers(keys []Key, apps map[string]App) (callers, error) {
	all := make(callers, len(keys))
	for i, k := range keys {
		c, err := newCaller(k, apps)
		if err != nil {
			return nil, fmt.Errorf("gateway: config: keys[%d].key: %w", i, err)
		}
		at := [8]byte(c.digest[:8])
		all[at] = append(all[at], c)
	}
	return all, nil
}

func newCaller(k Key, apps map[string]App) (c *caller, err error) {
	c = &caller{id: k.Name, apps: make(map[string]bool, len(k.Apps)), scopes: k.Scopes}
	for _, name := range k.Apps {
		if a, ok := apps[name]; ok {
			c.apps[a.id(name)] = true
		}
		c.all = c.all || name == "*"
	}
	c.digest, err = digest(k.Key)
	return c, err
}

// of finds the caller that makes a request by its key, a Bearer token or the password of Basic, or else says what is
// wrong. The key is hashed before it is looked for, so that how long that takes tells nothing of other keys.
func (all callers) of(r *http.Request) (c *caller, fault error) {
	authorization := r.Header.Get("Authorization")
	if authorization == "" {
		return nil, errNoKey
	}
	key, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok {
		if _, key, ok = r.BasicAuth(); !ok {
			return nil, errOddKey
		}
	}
	if len(key) < minKey {
		return nil, errWrongKey
	}
	d := sha256.Sum256([]byte(key))
	for _, c := range all[[8]byte(d[:8])] {
		if subtle.ConstantTimeCompare(c.digest[:], d[:]) == 1 {
			return c, nil
		}
	}
	return nil, errWrongKey
}

// Why a request is not let in.
var (
	errNoKey    = errors.New("a caller key is needed: Authorization: Bearer KEY")
	errOddKey   = errors.New("this Authorization has no caller key: want Authorization: Bearer KEY")
	errWrongKey = errors.New("this caller key is not known: it must be one of keys in the server's configuration")
)

// reserved are the scopes that "*" does not include: they move money or change the server, and a key that was made for
// all there was must not gain them when they come.
var reserved = []string{"refund", "transfer", "pay-api", "admin"}

// may reports whether c may do scope with the app of an id.
func (c *caller) may(id, scope string) bool {
	return (c.all || c.apps[id]) && (has(c.scopes, scope) || has(c.scopes, "*") && !has(reserved, scope))
}

func has(list []string, s string) bool { return slices.Contains(list, s) }

// guard lets in callers that may do scope with a, and names them to the handler behind it.
func (a *app) guard(scope string) func(http.Handler) http.Handler {
	log := a.gateway.log
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, fault := pinnedTo(r).callers.of(r)
			if c == nil {
				unauthorized(w, fault)
				return
			}
			if !c.may(a.id, scope) {
				answer.Refuse(w, http.StatusForbidden, "this key does not have scope "+scope+" for this app")
				return
			}
			if log.Enabled(r.Context(), slog.LevelDebug) {
				log.DebugContext(r.Context(), "let in", "caller", c.id, "app", a.name, "scope", scope, "from", r.RemoteAddr)
			}
			if scope != "renew" && scope != "admin" {
				next.ServeHTTP(w, r)
				return
			}
			answered := &recorder{ResponseWriter: w, status: http.StatusOK}
			next.ServeHTTP(answered, r.WithContext(token.WithCaller(r.Context(), c.id)))
			if answered.status < http.StatusBadRequest { // what was refused changed nothing
				log.InfoContext(r.Context(), "change", "caller", c.id, "app", a.name, "scope", scope, "from", r.RemoteAddr)
			}
		})
	}
}

// recorder notes the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func unauthorized(w http.ResponseWriter, fault error) {
	challenge := `Bearer realm="wetoken"`
	if errors.Is(fault, errWrongKey) {
		challenge += `, error="invalid_token"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	answer.Refuse(w, http.StatusUnauthorized, fault.Error())
}
