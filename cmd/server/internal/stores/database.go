package stores

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	oracle "github.com/sijms/go-ora/v2"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/wetoken/wetoken/store/sqlstore"
)

// Limits of a database. They end connections that hang while no call waits for them.
const (
	maxConnectTime = 2 * time.Second
	maxReadTime    = 5 * time.Second
	maxConnections = 5 // of one server to one database; PostgreSQL allows 100 in all
)

// OpenDatabase opens the database that a URL names, of one of some kinds. It opens no connection, and makes no table.
func OpenDatabase(rawURL string, kinds ...string) (kind string, db *sql.DB, err error) {
	kind, _, _ = strings.Cut(rawURL, "://")
	if !slices.Contains(kinds, kind) {
		return "", nil, fmt.Errorf("want a URL that begins with %s://", strings.Join(kinds, ":// or "))
	}
	d, err := openDatabase(kind, rawURL)
	if err != nil {
		return "", nil, err
	}
	return kind, d.DB, nil
}

// openDatabase returns a store with a pool of connections. It opens no connection.
func openDatabase(scheme, rawURL string) (d database, err error) {
	var db *sql.DB
	var dialect sqlstore.Dialect
	switch scheme {
	case "sqlite":
		dialect = sqlstore.SQLite
		db, err = openSQLite(strings.TrimPrefix(rawURL, "sqlite:"))
	case "mysql":
		dialect = sqlstore.MySQL
		db, err = openMySQL(rawURL)
	case "oracle":
		dialect = sqlstore.Oracle
		db, err = openOracle(rawURL)
	default:
		dialect = sqlstore.Postgres
		db, err = openPostgres(rawURL)
	}
	if err != nil {
		return d, err
	}
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(30 * time.Minute)
	return database{&sqlstore.Store{DB: db, Dialect: dialect}}, nil
}

// readURL parses the URL of a database on a server.
func readURL(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	if err != nil { // err has the whole URL
		return nil, errors.New("invalid URL: write reserved characters in its user and password as %XX")
	}
	if u.Hostname() == "" || strings.Trim(u.Path, "/") == "" {
		return nil, fmt.Errorf("invalid URL: want %s://USER:PASSWORD@HOST[:PORT]/NAME", u.Scheme)
	}
	return u, nil
}

// openSQLite opens a file, which other processes on this machine may have open too.
func openSQLite(file string) (*sql.DB, error) {
	if file == "" || strings.HasPrefix(file, "//") && !strings.HasPrefix(file, "///") {
		return nil, errors.New("invalid URL: want sqlite:FILE")
	}
	warnReadable(file)
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath()}
	u.RawQuery = url.Values{"_pragma": {"busy_timeout(1000)", "journal_mode(WAL)"}}.Encode()
	c, err := sqlite.NewConnector(u.String())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(&sqliteFile{Connector: c, name: file}), nil
}

// sqliteFile connects to a file. It creates a missing file for its owner only, since SQLite would let everybody read it. It
// does not open an existing file, since closing it would end the locks that other connections hold on it.
type sqliteFile struct {
	driver.Connector
	name string
	mu   sync.Mutex
}

func (c *sqliteFile) Connect(ctx context.Context) (driver.Conn, error) {
	c.mu.Lock()
	f, err := os.OpenFile(c.name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = f.Close()
	}
	c.mu.Unlock()
	if err != nil {
		if _, statErr := os.Stat(c.name); statErr != nil {
			return nil, err
		}
	}
	return c.Connector.Connect(ctx)
}

// notDatabase reports whether err is that of a file that is not an SQLite database.
func notDatabase(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlitelib.SQLITE_NOTADB
}

// warnReadable warns about files of a database that other users can read or write: they hold tokens.
func warnReadable(file string) {
	for _, name := range []string{file, file + "-wal", file + "-shm"} {
		info, err := os.Stat(name)
		if err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
			slog.Warn("a file of the store can be read or written by other users: chmod 600 it", "file", name, "mode", info.Mode().Perm().String())
		}
	}
}

// openMySQL opens a MySQL or MariaDB database. The query has the parameters of the driver.
func openMySQL(rawURL string) (*sql.DB, error) {
	u, err := readURL(rawURL)
	if err != nil {
		return nil, err
	}
	c, err := mysql.ParseDSN("/?" + u.RawQuery)
	if err != nil {
		return nil, err
	}
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.Net, c.Addr, c.DBName = "tcp", withPort(u, "3306"), strings.Trim(u.Path, "/")
	c.Timeout = cmp.Or(c.Timeout, maxConnectTime)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, maxReadTime)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, maxReadTime)
	if !u.Query().Has("interpolateParams") {
		c.InterpolateParams = true // so that a statement takes one round trip, not two
	}
	c.Logger = &mysql.NopLogger{} // its errors say the same
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// openPostgres opens a PostgreSQL database. It reads the URL as psql does.
func openPostgres(rawURL string) (*sql.DB, error) {
	if _, err := readURL(rawURL); err != nil {
		return nil, err
	}
	c, err := pgx.ParseConfig(rawURL)
	if err != nil {
		// err has the URL; the error that it wraps does not.
		if cause := errors.Unwrap(err); cause != nil {
			return nil, fmt.Errorf("invalid URL: %w", cause)
		}
		return nil, errors.New("invalid URL: want postgres://USER:PASSWORD@HOST[:PORT]/NAME")
	}
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, maxConnectTime)
	return stdlib.OpenDB(*c), nil
}

// openOracle opens an Oracle database. The query has the options of go-ora.
func openOracle(rawURL string) (*sql.DB, error) {
	u, err := readURL(rawURL)
	if err != nil {
		return nil, err
	}
	u.Host = withPort(u, "1521")
	q := u.Query()
	if !q.Has("TIMEOUT") {
		q.Set("TIMEOUT", fmt.Sprint(int(maxReadTime.Seconds())))
		u.RawQuery = q.Encode()
	}
	if _, err := oracle.ParseConfig(u.String()); err != nil {
		return nil, err
	}
	return sql.OpenDB(oracle.NewConnector(u.String())), nil
}

func withPort(u *url.URL, port string) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// database is a store in a database. Its errors say when its table is missing: at start, and in /readyz.
type database struct{ *sqlstore.Store }

func (d database) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	value, ok, err = d.Store.Get(ctx, key)
	return value, ok, Explain(err)
}

// Explain adds the remedy to the error of a missing table.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	var my *mysql.MySQLError
	var pg *pgconn.PgError
	if errors.As(err, &my) && my.Number == 1146 || errors.As(err, &pg) && pg.Code == "42P01" || strings.Contains(err.Error(), "ORA-00942") {
		return fmt.Errorf("its table is missing: run server migrate: %w", err)
	}
	return err
}
