// Package stores opens the stores that a server's configuration names by URL.
package stores

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/field"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/redisstore"
)

// Store is a store that the configuration names.
type Store struct {
	store.Store // as it is served from: behind a gate, but for memory

	Name    string // its key in the configuration
	Raw     store.Store
	Sealed  *store.Sealed                   // nil without master keys
	Migrate func(ctx context.Context) error // nil where there are no tables to make

	own   bool // a file that nobody but us prepares
	close func() error
	gate  *gate // nil for memory, which is always there and empty at first
}

// Set is the two stores of a configuration, which may be one.
type Set struct{ Shared, Records *Store }

// Open returns the stores of a configuration. It connects to none: Start does.
func Open(c gateway.Config) (s Set, err error) {
	var keys store.KeyRing
	if text, ok := os.LookupEnv("WETOKEN_MASTER_KEYS"); ok {
		if keys, err = store.ParseKeys(text); err != nil {
			return s, fmt.Errorf("WETOKEN_MASTER_KEYS: %w", err)
		}
	}
	if s.Shared, err = openStore("store", cmp.Or(c.Store, "memory:"), keys); err != nil {
		return s, err
	}
	s.Records = s.Shared
	if c.Records != "" && c.Records != c.Store {
		if s.Records, err = openStore("records", c.Records, keys); err != nil {
			s.Shared.close()
		}
	}
	return s, err
}

// Each calls do for each store, until one call fails.
func (s Set) Each(do func(*Store) error) error {
	if err := do(s.Shared); err != nil || s.Records == s.Shared {
		return err
	}
	return do(s.Records)
}

// Start checks the stores. It fails where the configuration is wrong; a store that cannot be used is checked again until it
// can, and meanwhile the server does without.
func (s Set) Start(ctx context.Context) error {
	return s.Each(func(o *Store) error { return o.start(ctx) })
}

// Close closes the stores.
func (s Set) Close() { s.Each(func(o *Store) error { o.close(); return nil }) }

// openStore opens the store that a URL names. Its errors show no more of the URL than the scheme, as there may be a
// password in it.
func openStore(name, url string, keys store.KeyRing) (*Store, error) {
	if err := field.CheckBlanks(url); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	o := &Store{Name: name, close: func() error { return nil }}
	scheme, _, ok := strings.Cut(url, ":")
	if !ok && url != "memory" { // which YAML takes for a key with the colon, unless it is quoted
		return nil, fmt.Errorf("%s: want a URL such as redis://127.0.0.1:6379/0", name)
	}
	var err error
	switch scheme {
	case "memory":
		o.Raw = new(store.Memory)
	case "redis", "rediss", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster":
		var s *redisstore.Store
		if s, err = redisstore.Open(url); err == nil {
			o.Raw, o.close = s, s.Client.Close
		}
	case "sqlite", "mysql", "postgres", "postgresql", "oracle":
		var s database
		if s, err = openDatabase(scheme, url); err == nil {
			o.Raw, o.close, o.Migrate, o.own = s, s.DB.Close, s.Migrate, scheme == "sqlite"
		}
	default:
		return nil, fmt.Errorf("%s: there is no %s; there are memory, sqlite, redis, redis-sentinel, redis-cluster, mysql, postgres and oracle", name, kind(url))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	o.Store = o.Raw
	if keys != nil {
		o.Sealed = &store.Sealed{Store: o.Raw, KeyRing: keys}
		o.Store = o.Sealed
	}
	if scheme != "memory" {
		o.gate = &gate{Store: o.Store, opened: o}
		o.Store = o.gate
	}
	return o, nil
}

var plainScheme = regexp.MustCompile(`^[a-z]{1,16}://`)

// kind names the kind of store that a URL asks for, if its scheme is one beyond doubt: what else may stand before a colon
// could be a user's name, or a password.
func kind(url string) string {
	if s := plainScheme.FindString(url); s != "" {
		return fmt.Sprintf("kind of store %q", strings.TrimSuffix(s, "://"))
	}
	return "such kind of store"
}
