package sqltest_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite"

	"github.com/wetoken/wetoken/store/sqlstore"
)

// A file on a local disk, which several processes may share.
func Example() {
	folder, err := os.MkdirTemp("", "wetoken")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "wetoken.db")
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	ctx := context.Background()
	s := &sqlstore.Store{DB: db, Dialect: sqlstore.SQLite}
	if err := s.Migrate(ctx); err != nil {
		fmt.Println(err)
		return
	}
	_ = s.Set(ctx, "oauth/shop/code/1", []byte("openid"), time.Minute)
	first, _ := s.Swap(ctx, "oauth/shop/code/1", []byte("openid"), nil, 0)
	second, _ := s.Swap(ctx, "oauth/shop/code/1", []byte("openid"), nil, 0)
	fmt.Println(first, second)

	// Output:
	// true false
}
