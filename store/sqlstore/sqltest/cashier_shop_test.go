package sqltest

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/store/sqlstore"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// The test of cashier_test.go starts the test binary again, as a shop with a pay.Cashier, so that processes may be killed.
func TestMain(m *testing.M) {
	with := os.Getenv("WETOKEN_SQLTEST_SHOP")
	if with == "" {
		os.Exit(m.Run())
	}
	if err := playShop(with); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// shop is what a process of the shop is told.
type shop struct {
	DSN     string
	Table   string // of the store
	Books   string // begins the names of the shop's own tables
	Public  string // URL
	WeChat  string // URL
	Account paytest.Merchant
}

// playShop serves on a free port, prints it, and goes on until it is killed.
func playShop(with string) error {
	var s shop
	if err := json.Unmarshal([]byte(with), &s); err != nil {
		return err
	}
	db, err := sql.Open("mysql", s.DSN)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(32)
	db.SetMaxIdleConns(32)
	merchant, err := s.merchant()
	if err != nil {
		return err
	}
	books := &books{db: db, name: s.Books}
	cashier := &pay.Cashier{
		Merchants: []pay.Merchant{merchant}, URL: s.Public, Store: &sqlstore.Store{DB: db, Dialect: sqlstore.MySQL, Table: s.Table},
		OnPaid: books.onPaid, OnRefund: books.onRefund, OnError: func(context.Context, error) {},
	}
	mux := http.NewServeMux()
	for pattern, handler := range cashier.Routes() {
		mux.Handle(pattern, handler)
	}
	mux.HandleFunc("POST /prepay", serveCall(func(ctx context.Context, o pay.Order) error {
		_, err := cashier.Prepay(ctx, o)
		return err
	}))
	mux.HandleFunc("POST /close", serveCall(func(ctx context.Context, o pay.Order) error { return cashier.Close(ctx, o.OutTradeNo) }))
	mux.HandleFunc("POST /refund", serveCall(func(ctx context.Context, f pay.Refund) error {
		_, err := cashier.Refund(ctx, f)
		return err
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = cashier.Run(context.Background()) }()
	fmt.Println(l.Addr())
	return http.Serve(l, mux)
}

func (s *shop) merchant() (*payv3.Merchant, error) {
	key, err := payv3.ParseKey([]byte(s.Account.PrivateKey))
	if err != nil {
		return nil, err
	}
	public, err := payv3.ParsePublicKey([]byte(s.Account.PublicKey))
	if err != nil {
		return nil, err
	}
	return payv3.New(payv3.Config{
		AppID: s.Account.AppIDs[0], MchID: s.Account.MchID, SerialNo: s.Account.SerialNo, Key: key, APIv3Key: s.Account.APIv3Key,
		PublicKeyID: s.Account.PublicKeyID, PublicKey: public, BaseURL: s.WeChat,
	})
}

// serveCall answers 200, the status of the error's cause, or 500, and the error.
func serveCall[T any](call func(context.Context, T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		err := json.NewDecoder(r.Body).Decode(&in)
		if err == nil {
			err = call(r.Context(), in)
		}
		if err == nil {
			return
		}
		status := http.StatusInternalServerError
		if cause := pay.Cause(""); errors.As(err, &cause) {
			status = cause.Status()
		} else if errors.As(err, new(*pay.FieldError)) {
			status = http.StatusBadRequest
		}
		http.Error(w, err.Error(), status)
	}
}

// books are the shop's own tables: what was settled, under the transaction id or the refund's number and state, and each call of
// a hook.
type books struct {
	db   *sql.DB
	name string
}

func (b *books) create(ctx context.Context) error {
	_, err := b.db.ExecContext(ctx, "CREATE TABLE "+b.name+"_settled (id VARCHAR(100) PRIMARY KEY, no VARCHAR(64), fen BIGINT, late VARCHAR(8))")
	if err == nil {
		_, err = b.db.ExecContext(ctx, "CREATE TABLE "+b.name+"_calls (id VARCHAR(100), ended BOOL, INDEX (id))")
	}
	return err
}

func (b *books) drop(ctx context.Context) error {
	_, err := b.db.ExecContext(ctx, "DROP TABLE "+b.name+"_settled, "+b.name+"_calls")
	return err
}

func (b *books) onPaid(ctx context.Context, t pay.Transaction) error {
	return b.take(ctx, t.TransactionID, t.OutTradeNo, t.Fen, t.Late)
}

func (b *books) onRefund(ctx context.Context, f pay.Refund) error {
	return b.take(ctx, f.OutRefundNo+" "+string(f.State), f.OutRefundNo, f.Fen, "")
}

// take is a hook, which commits once under id, some time after it has begun. Some fail twice.
func (b *books) take(ctx context.Context, id, no string, fen int64, late string) error {
	var tries int
	if err := b.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+b.name+"_calls WHERE id = ?", id).Scan(&tries); err != nil {
		return err
	}
	if _, err := b.db.ExecContext(ctx, "INSERT INTO "+b.name+"_calls VALUES (?, FALSE)", id); err != nil {
		return err
	}
	time.Sleep(rand.N(300 * time.Millisecond))
	h := fnv.New32a()
	_, _ = h.Write([]byte(no))
	if h.Sum32()%8 == 0 && tries < 2 {
		return errors.New("the shop fails")
	}
	_, err := b.db.ExecContext(ctx, "INSERT IGNORE INTO "+b.name+"_settled VALUES (?, ?, ?, ?)", id, no, fen, late)
	if err == nil {
		_, err = b.db.ExecContext(ctx, "INSERT INTO "+b.name+"_calls VALUES (?, TRUE)", id)
	}
	time.Sleep(rand.N(50 * time.Millisecond))
	return err
}

func (b *books) store(table string) *sqlstore.Store {
	return &sqlstore.Store{DB: b.db, Dialect: sqlstore.MySQL, Table: table}
}

type settled struct {
	no, late string
	fen      int64
}

// read returns what was settled, by id.
func (b *books) read(ctx context.Context) (map[string]settled, error) {
	rows, err := b.db.QueryContext(ctx, "SELECT id, no, fen, late FROM "+b.name+"_settled")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := make(map[string]settled)
	for rows.Next() {
		var id string
		var s settled
		if err := rows.Scan(&id, &s.no, &s.fen, &s.late); err != nil {
			return nil, err
		}
		all[id] = s
	}
	return all, rows.Err()
}

// count returns how many hooks were begun, and how many came to their end.
func (b *books) count(ctx context.Context) (begun, ended int, err error) {
	err = b.db.QueryRowContext(ctx, "SELECT COALESCE(SUM(NOT ended), 0), COALESCE(SUM(ended), 0) FROM "+b.name+"_calls").Scan(&begun, &ended)
	return begun, ended, err
}
