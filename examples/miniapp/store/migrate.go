package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/wetoken/wetoken/store/sqlstore"
)

// migrations are applied in the order of their names. A comment /*! … */ is for MariaDB only.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate applies each file once. Of processes that start at the same time, one works and the others wait.
func (db *DB) migrate(ctx context.Context) error {
	if db.Dialect == sqlstore.SQLite {
		return db.inTx(ctx, func(tx *sql.Tx) error { return applyAll(ctx, tx) })
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // ends the lock of the server too, since MariaDB commits at each CREATE
	var locked sql.NullInt64
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK(CONCAT('miniapp.', DATABASE()), 50)").Scan(&locked); err != nil {
		return err
	}
	if locked.Int64 != 1 {
		return errors.New("another process is still migrating the database: try again")
	}
	err = applyAll(ctx, conn)
	_, unlock := conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK(CONCAT('miniapp.', DATABASE()))")
	return errors.Join(err, unlock)
}

// executor is an *sql.Conn or *sql.Tx.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func applyAll(ctx context.Context, e executor) error {
	if _, err := e.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS miniapp_migration (name VARCHAR(64) PRIMARY KEY)"); err != nil {
		return err
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := apply(ctx, e, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// apply runs the statements of a file unless it was applied before.
func apply(ctx context.Context, e executor, name string) error {
	var applied int
	if err := e.QueryRowContext(ctx, "SELECT COUNT(*) FROM miniapp_migration WHERE name = ?", name).Scan(&applied); err != nil || applied > 0 {
		return err
	}
	text, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	for statement := range strings.SplitSeq(string(text), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := e.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	_, err = e.ExecContext(ctx, "INSERT INTO miniapp_migration (name) VALUES (?)", name)
	return err
}
