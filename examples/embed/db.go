package main

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "modernc.org/sqlite"
)

// openDB opens the database that a URL names, sqlite:FILE or mysql://USER:PASSWORD@HOST/NAME. Its errors do not show the URL.
func openDB(rawURL string) (kind string, db *sql.DB, err error) {
	kind, rest, _ := strings.Cut(rawURL, ":")
	switch kind {
	case "sqlite":
		db, err = openSQLite(rest)
	case "mysql":
		db, err = openMySQL(rawURL)
	default:
		err = errors.New("want sqlite:FILE or mysql://USER:PASSWORD@HOST/NAME")
	}
	if err != nil {
		return "", nil, fmt.Errorf("-db: %w", err)
	}
	return kind, db, nil
}

// openSQLite opens a file, and makes a missing one that only its owner can read.
func openSQLite(file string) (*sql.DB, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	f.Close()
	return sql.Open("sqlite", file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
}

func openMySQL(rawURL string) (*sql.DB, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" || len(u.Path) < 2 {
		return nil, errors.New("invalid URL: want mysql://USER:PASSWORD@HOST[:PORT]/NAME")
	}
	c := mysql.NewConfig()
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.Net, c.Addr, c.DBName = "tcp", u.Host, u.Path[1:]
	if u.Port() == "" {
		c.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	c.Timeout, c.ReadTimeout, c.WriteTimeout = 2*time.Second, 5*time.Second, 5*time.Second
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}
