package main_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/needed"
)

// service is a Redis or a MariaDB of one test, which the test can stop, freeze and start empty.
type service struct {
	kind, address string
	dir           string           // with its data
	program       func() *exec.Cmd // that runs it
	empty         func() error     // makes dir that of a new one
	execute       func(ctx context.Context, command string) error
	hello         string // a command that works once it is ready
	save          string // one that keeps what it holds through a kill; empty where nothing is needed

	cmd *exec.Cmd
}

// url returns the URL of the service at an address, which may be that of a proxy.
func (s *service) url(address string) string {
	if s.kind == "redis" {
		return "redis://" + address + "/0"
	}
	return "mysql://root@" + address + "/wetoken"
}

// needProgram returns the program of a service, or ends the test.
func needProgram(t testing.TB, env, name string) string {
	return needed.Address(t, env, name, func(name string) error {
		_, err := exec.LookPath(name)
		return err
	})
}

func newRedis(t testing.TB, args ...string) *service {
	t.Helper()
	program := needProgram(t, "WETOKEN_TEST_REDIS_SERVER", "redis-server")
	s := &service{kind: "redis", address: freeAddress(t), dir: t.TempDir()}
	host, port, err := net.SplitHostPort(s.address)
	require.NoError(t, err)
	args = append([]string{"--bind", host, "--port", port, "--dir", s.dir, "--save", "", "--appendonly", "no", "--rdbcompression", "no"}, args...)
	s.program = func() *exec.Cmd { return exec.Command(program, args...) }
	s.empty = func() error { return os.RemoveAll(filepath.Join(s.dir, "dump.rdb")) }
	s.save = "SAVE"
	client := redis.NewClient(&redis.Options{Addr: s.address})
	t.Cleanup(func() { client.Close() })
	s.execute = func(ctx context.Context, command string) error { return client.Do(ctx, command).Err() }
	s.hello = "PING"
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

// emptyMariaDB is the data of a MariaDB that was never started, made once.
var emptyMariaDB = sync.OnceValues(func() (dir string, err error) {
	dir = filepath.Join(programs, "mariadb")
	args := append([]string{"--no-defaults", "--datadir=" + dir, "--auth-root-authentication-method=normal", "--skip-test-db"}, asRoot()...)
	if out, err := exec.Command("mariadb-install-db", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("mariadb-install-db: %w: %s", err, tail(string(out)))
	}
	return dir, nil
})

func newMariaDB(t testing.TB) *service {
	t.Helper()
	needProgram(t, "WETOKEN_TEST_MARIADB_INSTALL_DB", "mariadb-install-db")
	program := needProgram(t, "WETOKEN_TEST_MARIADBD", "mariadbd")
	first, err := emptyMariaDB()
	require.NoError(t, err)
	s := &service{kind: "mysql", address: freeAddress(t), dir: filepath.Join(t.TempDir(), "data")}
	host, port, err := net.SplitHostPort(s.address)
	require.NoError(t, err)
	args := append([]string{
		"--no-defaults", "--datadir=" + s.dir, "--bind-address=" + host, "--port=" + port, "--socket=" + filepath.Join(programs, port), // a path that is not too long for one
		"--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=2", // which outlives a kill, and waits for no disk
		"--skip-name-resolve", "--max-connections=300",
	}, asRoot()...)
	s.program = func() *exec.Cmd { return exec.Command(program, args...) }
	s.empty = func() error { return errors.Join(os.RemoveAll(s.dir), os.CopyFS(s.dir, os.DirFS(first))) }
	s.execute = func(ctx context.Context, command string) error {
		c := mysql.NewConfig()
		c.User, c.Net, c.Addr, c.Logger = "root", "tcp", s.address, &mysql.NopLogger{}
		connector, err := mysql.NewConnector(c)
		if err != nil {
			return err
		}
		db := sql.OpenDB(connector)
		defer db.Close()
		_, err = db.ExecContext(ctx, command)
		return err
	}
	s.hello = "CREATE DATABASE IF NOT EXISTS wetoken"
	require.NoError(t, s.empty())
	s.start(t)
	t.Cleanup(s.kill)
	s.migrate(t)
	return s
}

// asRoot returns the arguments that MariaDB needs to run as root.
func asRoot() []string {
	if os.Getuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}

// start starts the service with the data in dir, and waits until it replies.
func (s *service) start(t testing.TB) {
	t.Helper()
	s.cmd = s.program()
	require.NoError(t, s.cmd.Start())
	waitUntil(t, time.Minute, s.kind+" answers", func() bool { return s.execute(t.Context(), s.hello) == nil })
}

// migrate makes the table of a database.
func (s *service) migrate(t testing.TB) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program("server"), "migrate", "-store", s.url(s.address)).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func (s *service) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// freeze makes the service hang. thaw ends that.
func (s *service) freeze() error { return s.cmd.Process.Signal(syscall.SIGSTOP) }
func (s *service) thaw() error   { return s.cmd.Process.Signal(syscall.SIGCONT) }

// holds reports whether the files contain a text.
func holds(t testing.TB, text string, files ...string) bool {
	t.Helper()
	require.NotEmpty(t, text)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		if strings.Contains(string(data), text) {
			return true
		}
	}
	return false
}
