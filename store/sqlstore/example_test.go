package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/sqlstore"
)

// The application imports the driver: here, github.com/jackc/pgx/v5/stdlib.
func Example() {
	ctx := context.Background()
	db, err := sql.Open("pgx", "postgres://wetoken@127.0.0.1:5432/wetoken")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	s := &sqlstore.Store{DB: db, Dialect: sqlstore.Postgres}
	if err := s.Migrate(ctx); err != nil {
		fmt.Println(err)
		return
	}
	lease, ok, err := store.TryLease(ctx, s, "token/wx0123456789abcdef/lease", 10*time.Second)
	if err != nil || !ok {
		return
	}
	defer lease.Release(context.WithoutCancel(ctx))
}

// The first call returns an error for a missing field.
func ExampleStore() {
	s := &sqlstore.Store{DB: new(sql.DB)}
	_, _, err := s.Get(context.Background(), "token/wx0123456789abcdef/stable")
	fmt.Println(err)

	// Output:
	// sqlstore: get: invalid Dialect: want SQLite, MySQL, Postgres or Oracle
}
