// Package shoptest makes shops for tests.
package shoptest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/examples/shop/store"
	"github.com/wetoken/wetoken/internal/needed"
	"github.com/wetoken/wetoken/store/sqlstore"
)

// Key is the key of the shops.
const Key shop.Secret = "a key for tests, of 32 or more bytes"

// OnEach runs a test on SQLite and on MariaDB. The name is that of an empty database, for store.Open.
func OnEach(t *testing.T, test func(t *testing.T, name string)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, filepath.Join(t.TempDir(), "shop.db"))
	})
	t.Run("MariaDB", func(t *testing.T) {
		t.Parallel()
		test(t, NewMariaDB(t))
	})
}

// NewMariaDB makes a database that is dropped when the test ends.
func NewMariaDB(t *testing.T) (name string) {
	var server *sql.DB
	dsn := needed.Address(t, "WETOKEN_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/test", func(dsn string) (err error) {
		if server, err = sql.Open("mysql", dsn); err != nil {
			return err
		}
		return server.PingContext(t.Context())
	})
	config, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	config.DBName = "shop_" + strings.ToLower(rand.Text())
	_, err = server.ExecContext(t.Context(), "CREATE DATABASE "+config.DBName+" CHARACTER SET utf8mb4")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := server.ExecContext(context.Background(), "DROP DATABASE "+config.DBName)
		require.NoError(t, err)
		require.NoError(t, server.Close())
	})
	return config.FormatDSN()
}

// Open opens a database as one process does, and returns it with a shop without a Cashier.
func Open(t testing.TB, name string) (*shop.Shop, *store.Store) {
	db, err := store.Open(t.Context(), name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.DB.Close()) })
	shared := &sqlstore.Store{DB: db.DB, Dialect: db.Dialect, Timeout: time.Minute} // the machine may be busy
	require.NoError(t, shared.Migrate(t.Context()))
	return &shop.Shop{Store: db, Shared: shared, Sender: new(Phones), Key: Key, PasswordCost: bcrypt.MinCost}, db
}

// Phones is a shop.Sender that keeps the last code of each mobile.
type Phones struct {
	Err error // default nil: codes arrive

	mu    sync.Mutex
	codes map[string]string
	sent  int
}

// Send implements shop.Sender.
func (p *Phones) Send(_ context.Context, mobile, code string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.codes == nil {
		p.codes = make(map[string]string)
	}
	p.codes[mobile] = code
	p.sent++
	return p.Err
}

// Code returns the last code of a mobile, or "".
func (p *Phones) Code(mobile string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.codes[mobile]
}

// Sent returns how many codes were sent.
func (p *Phones) Sent() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// Wrong returns a code that is not the one given.
func Wrong(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}
