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

//go:embed migrations/*.sql
var migrations embed.FS

// forSQLite rewrites the statements of migrations, which are those of MariaDB. SQLite undoes a failed migration, so it needs no
// repeatable ALTER TABLE.
var forSQLite = strings.NewReplacer(
	"BIGINT AUTO_INCREMENT PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT",
	") CHARACTER SET utf8mb4", ")",
	"username VARCHAR(50) NOT NULL", "username VARCHAR(50) NOT NULL COLLATE NOCASE", // as MariaDB compares it
	"ADD COLUMN IF NOT EXISTS", "ADD COLUMN",
)

const migrationTable = "CREATE TABLE IF NOT EXISTS migration (name VARCHAR(64) PRIMARY KEY)"

// migrate applies each file once, in the order of their names. Of processes that start at the same time, one works and the others wait.
func (s *Store) migrate(ctx context.Context) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	conn, err := s.DB.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if s.Dialect == sqlstore.MySQL {
		return migrateMariaDB(ctx, conn, names)
	}
	tx, err := conn.BeginTx(ctx, nil) // takes SQLite's write lock
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, name := range names {
		if strings.HasSuffix(name, ".mysql.sql") {
			continue
		}
		if err := apply(ctx, tx, name, forSQLite.Replace); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// migrateMariaDB holds a lock of the server, since MariaDB commits at each CREATE and ALTER. The lock ends with the connection.
func migrateMariaDB(ctx context.Context, conn *sql.Conn, names []string) (err error) {
	var locked sql.NullInt64
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK(CONCAT('shop.', DATABASE()), 50)").Scan(&locked); err != nil {
		return err
	}
	if locked.Int64 != 1 {
		return errors.New("another process is still migrating the database: try again")
	}
	defer func() {
		_, unlock := conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK(CONCAT('shop.', DATABASE()))")
		err = errors.Join(err, unlock)
	}()
	for _, name := range names {
		if err := apply(ctx, conn, name, func(text string) string { return text }); err != nil {
			return err
		}
	}
	return nil
}

// executor is an *sql.Conn or *sql.Tx.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// apply runs the statements of a file unless it was applied before.
func apply(ctx context.Context, e executor, name string, rewrite func(string) string) error {
	if _, err := e.ExecContext(ctx, migrationTable); err != nil {
		return err
	}
	var applied int
	if err := e.QueryRowContext(ctx, "SELECT COUNT(*) FROM migration WHERE name = ?", name).Scan(&applied); err != nil || applied > 0 {
		return err
	}
	text, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	for statement := range strings.SplitSeq(rewrite(string(text)), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := e.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	_, err = e.ExecContext(ctx, "INSERT INTO migration (name) VALUES (?)", name)
	return err
}
