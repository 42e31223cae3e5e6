// Package stores opens the stores that a server's configuration names by URL.
package stores

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/field"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/redisstore"
)

// Store is a store that the configuration names.
type Store struct {
	store.Store // the one to use: behind a gate, except for memory

	Name    string // its key in the configuration
	Raw     store.Store
	Sealed  *store.Sealed                   // nil without master keys
	Migrate func(ctx context.Context) error // nil where there are no tables to make

	makesTable bool                        // start makes the table, in an SQLite file
	durable    func(context.Context) error // why it may lose values; nil where it need not be asked
	isDurable  atomic.Bool                 // CheckDurable found no reason
	close      func() error
	gate       *gate // nil for memory, which is always there and empty at first
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
	if r, ok := s.rawRecords(err).(*redisstore.Store); ok && c.Records != "" && (c.HasPay() || c.HasPlatform()) { // the demo names none
		s.Records.durable = func(ctx context.Context) error { return checkDurable(ctx, r.Client) }
	}
	return s, err
}

// CheckDurable returns why the store of records may lose payments, or nil.
func (s Set) CheckDurable(ctx context.Context) error {
	r, ok := s.Records.Raw.(*redisstore.Store)
	if !ok || s.Records.isDurable.Load() {
		return nil
	}
	if err := checkDurable(ctx, r.Client); err != nil {
		return fmt.Errorf("%s: %w", s.Records.Name, err)
	}
	s.Records.isDurable.Store(true)
	return nil
}

// rawRecords returns the store of records, or nil after an error.
func (s Set) rawRecords(err error) store.Store {
	if err != nil {
		return nil
	}
	return s.Records.Raw
}

// Each calls do for each store, until a call fails.
func (s Set) Each(do func(*Store) error) error {
	if err := do(s.Shared); err != nil || s.Records == s.Shared {
		return err
	}
	return do(s.Records)
}

// Start checks the stores. It fails if the configuration is wrong. A store that cannot be used is checked again until it
// can, and the server works without it.
func (s Set) Start(ctx context.Context) error {
	return s.Each(func(o *Store) error { return o.start(ctx) })
}

// Close closes the stores.
func (s Set) Close() { s.Each(func(o *Store) error { o.close(); return nil }) }

// openStore opens the store that a URL names. Its errors show only the scheme of the URL, since the rest may hold a
// password.
func openStore(name, url string, keys store.KeyRing) (*Store, error) {
	if err := field.CheckBlanks(url); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	o := &Store{Name: name, close: func() error { return nil }}
	scheme, _, ok := strings.Cut(url, ":")
	if !ok && url != "memory" { // in YAML, memory: without quotes is a key
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
			o.Raw, o.close, o.Migrate, o.makesTable = s, s.DB.Close, s.Migrate, scheme == "sqlite"
		}
	default:
		return nil, fmt.Errorf("%s: unknown %s: want memory, sqlite, redis, redis-sentinel, redis-cluster, mysql, postgres or oracle", name, kindOfStore(url))
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
		o.gate = &gate{Store: o.Store, owner: o}
		o.Store = o.gate
	}
	return o, nil
}

var schemePattern = regexp.MustCompile(`^[a-z]{1,16}://`)

// kindOfStore describes the kind of store in a URL. It shows a scheme only before "://": any other text before a colon
// could be a user name or a password.
func kindOfStore(url string) string {
	if s := schemePattern.FindString(url); s != "" {
		return fmt.Sprintf("kind of store %q", strings.TrimSuffix(s, "://"))
	}
	return "kind of store"
}
