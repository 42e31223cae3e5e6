package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wetoken/wetoken/store/sqlstore"
)

// answer is the answer of the fake database to one statement.
type answer struct {
	err     error
	changed int64
	rows    []any // of one column
}

// fake is a database that records its statements and returns answers in order, then success.
type fake struct {
	mu      sync.Mutex
	asked   []string
	answers []answer
	hung    bool // it does not answer
}

// open returns a store on a fake with answers.
func open(t *testing.T, d sqlstore.Dialect, answers ...answer) (*sqlstore.Store, *fake) {
	f := &fake{answers: answers}
	db := sql.OpenDB(f)
	t.Cleanup(func() { db.Close() })
	return &sqlstore.Store{DB: db, Dialect: d}, f
}

// said returns the statements since the last call, without the sweeps that writes run by chance.
func (f *fake) said() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := f.asked
	f.asked = nil
	return slices.DeleteFunc(asked, func(s string) bool {
		return strings.Contains(s, "500") && strings.HasPrefix(s, "DELETE")
	})
}

func (f *fake) ask(query string, args []driver.NamedValue) answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, arg := range args {
		switch v := arg.Value.(type) {
		case []byte:
			query += fmt.Sprintf("\n    bytes %.40q", v)
		default:
			query += fmt.Sprintf("\n    %T %v", v, v)
		}
	}
	f.asked = append(f.asked, query)
	if len(f.answers) == 0 || strings.Contains(query, "500") && strings.HasPrefix(query, "DELETE") {
		return answer{changed: 1}
	}
	a := f.answers[0]
	f.answers = f.answers[1:]
	return a
}

func (f *fake) Connect(context.Context) (driver.Conn, error) { return conn{f}, nil }
func (f *fake) Driver() driver.Driver                        { return nil }

type conn struct{ *fake }

func (c conn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("not asked for") }
func (c conn) Close() error                        { return nil }
func (c conn) Begin() (driver.Tx, error)           { return c, nil }
func (c conn) Commit() error                       { return nil }
func (c conn) Rollback() error                     { return nil }

func (c conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.hung {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	a := c.ask(query, args)
	return driver.RowsAffected(a.changed), a.err
}

func (c conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if c.hung {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	a := c.ask(query, args)
	if a.err != nil {
		return nil, a.err
	}
	return &rows{a.rows}, nil
}

type rows struct{ left []any }

func (*rows) Columns() []string { return []string{"column"} }
func (*rows) Close() error      { return nil }

func (r *rows) Next(to []driver.Value) error {
	if len(r.left) == 0 {
		return io.EOF
	}
	to[0], r.left = r.left[0], r.left[1:]
	return nil
}
