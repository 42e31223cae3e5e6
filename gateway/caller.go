package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/token"
)

// caller is one of our own services, as its key describes it. The key itself is not kept.
type caller struct {
	id      string // name of its key, for the log and for limits by caller
	account string // part of the keys of the records of its limits
	digest  [sha256.Size]byte
	apps    map[string]bool // by id
	named   map[string]bool // by name: those that did not exist when the key was registered

	platforms map[string]bool // by name: those whose accounts the caller may use
	allApps   bool
	scopes    []string

	paths          []string // of APIv3, for the scope pay-api
	maxFen, dayFen int64

	expiresAt time.Time      // zero for never
	addresses []netip.Prefix // empty for any
	rate      *rate          // nil for no limit
	use       *keyUse        // nil for a key of the configuration
}

// callers are the callers of the private side, by the first bytes of the digests of their keys.
type callers map[[8]byte][]*caller

// minKeyLength is the length of the shortest caller key, in bytes.
const minKeyLength = 16

// parseKey returns the digest of a caller key as it is configured: the key, or "sha256:" and its digest.
func parseKey(key string) (d [sha256.Size]byte, err error) {
	if sum, ok := strings.CutPrefix(key, "sha256:"); ok {
		b, err := hex.DecodeString(sum)
		if err != nil || len(b) != len(d) {
			return d, errors.New("invalid digest: want sha256: and 64 hex digits")
		}
		if d = [sha256.Size]byte(b); d == sha256.Sum256(nil) {
			return d, errors.New("invalid digest: it is that of the empty text")
		}
		return d, nil
	}
	if len(key) < minKeyLength {
		return d, errors.New("too short: want at least 16 characters")
	}
	return sha256.Sum256([]byte(key)), nil
}

// newCallers returns the callers that keys describe. The keys refer to apps by name.
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

// newCaller returns the caller of a key of the configuration.
func newCaller(k Key, apps map[string]App) (*caller, error) {
	ids := make(map[string]string, len(k.Apps))
	for _, name := range k.Apps {
		if a, ok := apps[name]; ok {
			ids[name] = a.id(name)
		}
	}
	c, err := callerOf(k, ids)
	if err != nil {
		return nil, err
	}
	c.digest, err = parseKey(k.Key)
	c.account = hex.EncodeToString(c.digest[:8])
	return c, err
}

// callerOf returns the caller that the settings of a key describe. ids are those of the apps that exist, by name.
func callerOf(k Key, ids map[string]string) (c *caller, err error) {
	c = &caller{id: k.Name, apps: make(map[string]bool, len(k.Apps)), scopes: k.Scopes, paths: k.Paths, maxFen: k.MaxFen, dayFen: k.DayFen, expiresAt: k.ExpiresAt}
	for _, name := range k.Apps {
		id, known := ids[name]
		switch {
		case name == "*":
			c.allApps = true
		case known:
			c.apps[id] = true
		case isPlatform(name):
			if c.platforms == nil {
				c.platforms = make(map[string]bool)
			}
			c.platforms[strings.TrimPrefix(name, platformPrefix)] = true
		default:
			if c.named == nil {
				c.named = make(map[string]bool)
			}
			c.named[name] = true
		}
	}
	if k.Rate > 0 {
		c.rate = newRate(k.Rate)
	}
	c.addresses, err = parseAddresses(k.Addresses)
	return c, err
}

// digestOf returns the digest of a key. It makes no allocation for one of the usual length.
func digestOf(key string) [sha256.Size]byte {
	var buffer [64]byte
	return sha256.Sum256(append(buffer[:0], key...))
}

// find returns the caller of a configured key by its digest, or nil. The key was hashed, so that the time of the search reveals
// nothing about other keys.
func (all callers) find(d [sha256.Size]byte) *caller {
	for _, c := range all[[8]byte(d[:8])] {
		if subtle.ConstantTimeCompare(c.digest[:], d[:]) == 1 {
			return c
		}
	}
	return nil
}

// keyOf returns the caller key of a request: a Bearer token, or the password of Basic. Without one it returns errNoKey, errNotBearer
// or errUnknownKey.
func keyOf(r *http.Request) (key string, err error) {
	authorization := r.Header.Get("Authorization")
	if authorization == "" {
		return "", errNoKey
	}
	key, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok {
		if _, key, ok = r.BasicAuth(); !ok {
			return "", errNotBearer
		}
	}
	if len(key) < minKeyLength {
		return "", errUnknownKey
	}
	return key, nil
}

// findCaller returns the caller that a request's key belongs to, or an error for refuseCaller. A key that this process does not
// hold is looked up in the records.
func (g *Gateway) findCaller(r *http.Request) (*caller, error) { return g.authenticate(r, true) }

// findHeldCaller is findCaller for requests of strangers: it reads no records.
func (g *Gateway) findHeldCaller(r *http.Request) (*caller, error) { return g.authenticate(r, false) }

func (g *Gateway) authenticate(r *http.Request, read bool) (c *caller, err error) {
	key, err := keyOf(r)
	if err == nil {
		d := digestOf(key)
		if c = snapshotOf(r).callers.find(d); c == nil {
			c, err = g.registered.findCaller(r, key, d, read)
		}
	}
	if err == nil {
		err = c.admit(r)
	}
	if err != nil {
		g.noteFailedKey(r, key, c, err)
		return nil, err
	}
	if c.use != nil {
		g.registered.noteUse(r.Context(), c.use)
	}
	return c, nil
}

// The reasons of a 401. For those of other refusals, see refuseCaller.
var (
	errNoKey      = errors.New("missing caller key: want Authorization: Bearer KEY")
	errNotBearer  = errors.New("invalid Authorization: want Authorization: Bearer KEY")
	errUnknownKey = errors.New("unknown caller key: want one of keys in the server's configuration, or one that is registered")
	errExpiredKey = errors.New("expired caller key: want one whose expires_at has not passed")
)

// reservedScopes are the scopes that "*" does not include. They move money or change the server, so a key with "*" must not
// gain them by an upgrade.
var reservedScopes = []string{"refund", "transfer", "pay-api", "admin"}

// allows reports whether c has a scope for the app with an id.
func (c *caller) allows(id, scope string) bool {
	return (c.allApps || c.apps[id]) && c.hasScope(scope)
}

// mayUse reports whether c has a scope for a.
func (c *caller) mayUse(a *app, scope string) bool {
	return c.allows(a.id, scope) || (c.named[a.name] || a.platform != "" && c.platforms[a.platform]) && c.hasScope(scope)
}

func (c *caller) hasScope(scope string) bool {
	return slices.Contains(c.scopes, scope) || slices.Contains(c.scopes, "*") && !slices.Contains(reservedScopes, scope)
}

// guard serves callers that have a scope for a, and refuses all others. It passes the caller of a change on to next, and
// logs changes that succeed.
func (a *app) guard(scope string) func(http.Handler) http.Handler {
	log := a.gateway.log
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := a.gateway.findCaller(r)
			if err != nil {
				refuseCaller(w, err)
				return
			}
			if !c.mayUse(a, scope) {
				answer.Refuse(w, http.StatusForbidden, "this key has no scope "+scope+" for this app")
				if scope == "admin" {
					a.gateway.auditRefusal(r, c, a.name, "no scope admin for this app")
				}
				return
			}
			if log.Enabled(r.Context(), slog.LevelDebug) {
				log.DebugContext(r.Context(), "admitted", "caller", c.id, "app", a.name, "scope", scope, "from", r.RemoteAddr)
			}
			if scope != "renew" && scope != "admin" {
				next.ServeHTTP(w, r)
				return
			}
			recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
			next.ServeHTTP(recorder, r.WithContext(token.WithCaller(r.Context(), c.id)))
			if recorder.status < http.StatusBadRequest { // a refused request changed nothing
				a.gateway.audit(r.Context(), "change", "caller", c.id, "app", a.name, "scope", scope, "action", shortMethod(r)+" "+shorten(r.URL.Path), "from", r.RemoteAddr)
			}
		})
	}
}

// statusRecorder records the status of a reply.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// refuseCaller replies with the reason why no caller was found: 401, or 403 for an address that the key is not for, 429 beyond its
// rate, and 503 if that cannot be found out now.
func refuseCaller(w http.ResponseWriter, reason error) {
	if refused := (*refusedKey)(nil); errors.As(reason, &refused) {
		if refused.after > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(refused.after))
		}
	} else {
		challenge := `Bearer realm="wetoken"`
		if errors.Is(reason, errUnknownKey) || errors.Is(reason, errExpiredKey) {
			challenge += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	answer.Refuse(w, statusOfRefusal(reason), reason.Error())
}

// statusOfRefusal returns the status for the reason why no caller was found.
func statusOfRefusal(reason error) int {
	if refused := (*refusedKey)(nil); errors.As(reason, &refused) {
		return refused.status
	}
	return http.StatusUnauthorized
}
