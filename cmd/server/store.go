package main

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

// opened is a store that the configuration names.
type opened struct {
	store.Store // as it is served from: behind a gate, but for memory

	name    string // its key in the configuration
	raw     store.Store
	sealed  *store.Sealed                   // nil without master keys
	migrate func(ctx context.Context) error // nil where there are no tables to make
	own     bool                            // a file that nobody but us prepares
	close   func() error
	gate    *gate // nil for memory, which is always there and empty at first
}

// stores are the two of a configuration, which may be one.
type stores struct{ shared, records *opened }

// openStores opens them. It does not reach for them: start does.
func openStores(c gateway.Config) (s stores, err error) {
	var keys store.KeyRing
	if text, ok := os.LookupEnv("WETOKEN_MASTER_KEYS"); ok {
		if keys, err = store.ParseKeys(text); err != nil {
			return s, fmt.Errorf("WETOKEN_MASTER_KEYS: %w", err)
		}
	}
	if s.shared, err = openStore("store", cmp.Or(c.Store, "memory:"), keys); err != nil {
		return s, err
	}
	s.records = s.shared
	if c.Records != "" && c.Records != c.Store {
		if s.records, err = openStore("records", c.Records, keys); err != nil {
			s.shared.close()
		}
	}
	return s, err
}

// each does something to each store, until something fails.
func (s stores) each(do func(*opened) error) error {
	if err := do(s.shared); err != nil || s.records == s.shared {
		return err
	}
	return do(s.records)
}

func (s stores) close() { s.each(func(o *opened) error { o.close(); return nil }) }

// openStore opens the store that a URL names. Its errors show no more of the URL than the scheme, as there may be a
// password in it.
func openStore(name, url string, keys store.KeyRing) (*opened, error) {
	if err := field.CheckBlanks(url); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	o := &opened{name: name, close: func() error { return nil }}
	scheme, _, ok := strings.Cut(url, ":")
	if !ok && url != "memory" { // which YAML takes for a key with the colon, unless it is quoted
		return nil, fmt.Errorf("%s: want a URL such as redis://127.0.0.1:6379/0", name)
	}
	var err error
	switch scheme {
	case "memory":
		o.raw = new(store.Memory)
	case "redis", "rediss", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster":
		var s *redisstore.Store
		if s, err = redisstore.Open(url); err == nil {
			o.raw, o.close = s, s.Client.Close
		}
	case "sqlite", "mysql", "postgres", "postgresql", "oracle":
		var s database
		if s, err = openDatabase(scheme, url); err == nil {
			o.raw, o.close, o.migrate, o.own = s, s.DB.Close, s.Migrate, scheme == "sqlite"
		}
	default:
		return nil, fmt.Errorf("%s: there is no %s; there are memory, sqlite, redis, redis-sentinel, redis-cluster, mysql, postgres and oracle", name, kind(url))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	o.Store = o.raw
	if keys != nil {
		o.sealed = &store.Sealed{Store: o.raw, KeyRing: keys}
		o.Store = o.sealed
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
