package store_test

import (
	"context"
	"database/sql"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/examples/shop/store"
	"github.com/wetoken/wetoken/pay"
)

func TestProcessesThatStartAtTheSameTimeMigrateOnce(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		var wg sync.WaitGroup
		counts := make([]int, 6)
		for i := range counts {
			wg.Go(func() {
				s, err := store.Open(t.Context(), name)
				if err != nil {
					t.Error(err)
					return
				}
				defer s.DB.Close()
				products, err := s.Products(t.Context())
				counts[i] = len(products)
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Greater(t, counts[0], 5)
		require.Len(t, slices.Compact(counts), 1)
		s, err := store.Open(t.Context(), name)
		require.NoError(t, err)
		defer s.DB.Close()
		_, err = s.DB.ExecContext(t.Context(), "DELETE FROM product WHERE id > 1")
		require.NoError(t, err)
		again, err := store.Open(t.Context(), name)
		require.NoError(t, err)
		defer again.DB.Close()
		products, err := again.Products(t.Context())
		require.NoError(t, err)
		require.Len(t, products, 1, "the goods of the shop are not added again")
	})
}

// oldTables are those of the old program, with a code that it stored for a user.
const oldTables = `
CREATE TABLE category (id INT PRIMARY KEY AUTO_INCREMENT, categoryName VARCHAR(20));
INSERT INTO category VALUES (1, '男鞋');
CREATE TABLE brand (id INT PRIMARY KEY AUTO_INCREMENT, brandName VARCHAR(20), categoryId INT, brandLogo VARCHAR(100), hot INT);
INSERT INTO brand VALUES (1, '耐磨', 1, '/logo.png', 1);
CREATE TABLE user (id INT PRIMARY KEY AUTO_INCREMENT, username VARCHAR(50), password VARCHAR(100) NOT NULL, mobile CHAR(11), smscode VARCHAR(100) NOT NULL);
INSERT INTO user VALUES (3, 'zhang', 'd41d8cd98f00b204e9800998ecf8427e', '13900000000', '1234');
CREATE TABLE payorder (id INT PRIMARY KEY AUTO_INCREMENT, appid VARCHAR(50), mch_id VARCHAR(50), body VARCHAR(50), nonce_str VARCHAR(50),
	notify_url VARCHAR(100), out_trade_no VARCHAR(50), spbill_create_ip VARCHAR(20), total_fee VARCHAR(20), trade_type VARCHAR(20), trade_state VARCHAR(20));
INSERT INTO payorder VALUES (9, 'wx1', '1', 'shoes', 'letao1', 'http://x', 'letao9', '1.2.3.4', '100', 'NATIVE', 'SUCCESS');
`

func TestADatabaseOfTheOldProgramKeepsItsRows(t *testing.T) {
	name := shoptest.NewMariaDB(t)
	old, err := sql.Open("mysql", name)
	require.NoError(t, err)
	defer old.Close()
	for statement := range strings.SplitSeq(strings.TrimSpace(oldTables), ";\n") {
		_, err := old.ExecContext(t.Context(), strings.TrimSuffix(statement, ";"))
		require.NoError(t, err, statement)
	}
	s, err := store.Open(t.Context(), name)
	require.NoError(t, err)
	defer s.DB.Close()

	u, err := s.UserByName(t.Context(), "zhang")
	require.NoError(t, err)
	require.Equal(t, shop.User{ID: 3, Username: "zhang", PasswordHash: "d41d8cd98f00b204e9800998ecf8427e", Mobile: "13900000000"}, u)
	o, err := s.Order(t.Context(), "letao9")
	require.NoError(t, err)
	require.Equal(t, int64(100), o.TotalFee)
	require.Equal(t, shop.Paid, o.State)
	categories, err := s.Categories(t.Context())
	require.NoError(t, err)
	require.Equal(t, []shop.Category{{ID: 1, Name: "男鞋"}}, categories)
	brands, err := s.Brands(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, []shop.Brand{{ID: 1, Name: "耐磨", CategoryID: 1, Logo: "/logo.png", Hot: true}}, brands)

	id, err := s.AddUser(t.Context(), shop.User{Username: "li", PasswordHash: strings.Repeat("h", 120)})
	require.NoError(t, err, "without the column smscode")
	require.Equal(t, int64(4), id)
	require.NoError(t, s.AddOrder(t.Context(), shop.Order{OutTradeNo: "letao10", UserID: 4, TotalFee: 1200, State: shop.NotPaid, ExpiresAt: time.Now()}))
	require.NoError(t, s.Settle(t.Context(), shop.Payment{OutTradeNo: "letao10", TransactionID: "42", Fen: 1200, PaidAt: time.Now()}))
	o, err = s.LatestOrder(t.Context(), 4)
	require.NoError(t, err)
	require.Equal(t, shop.Paid, o.State)
	expired, err := s.ExpiredOrders(t.Context(), time.Now().Add(time.Hour), 10)
	require.NoError(t, err)
	require.Empty(t, expired)
}

func TestColumnsOfTheOldProgramHoldPaymentsOfAnySignature(t *testing.T) {
	name := shoptest.NewMariaDB(t)
	old, err := sql.Open("mysql", name)
	require.NoError(t, err)
	defer old.Close()
	_, err = old.ExecContext(t.Context(), `CREATE TABLE payorder (id INT PRIMARY KEY AUTO_INCREMENT, out_trade_no VARCHAR(50), total_fee VARCHAR(20),
		trade_state VARCHAR(20), bank_type VARCHAR(16), cash_fee VARCHAR(20), fee_type VARCHAR(8), is_subscribe VARCHAR(1), openid VARCHAR(28),
		sign VARCHAR(32), time_end VARCHAR(14), transaction_id VARCHAR(28), appid VARCHAR(18), mch_id VARCHAR(10), body VARCHAR(128),
		nonce_str VARCHAR(32), notify_url VARCHAR(100), spbill_create_ip VARCHAR(15), trade_type VARCHAR(20))`)
	require.NoError(t, err)
	s, err := store.Open(t.Context(), name)
	require.NoError(t, err)
	defer s.DB.Close()
	require.NoError(t, s.AddOrder(t.Context(), shop.Order{OutTradeNo: "letao1", UserID: 4, TotalFee: 1200, State: shop.NotPaid, SpbillCreateIP: "2001:db8:1111:2222:3333:4444:5555:6666"}))
	p := shop.Payment{
		OutTradeNo: "letao1", TransactionID: strings.Repeat("4", 32), Fen: 1200, PaidAt: time.Now(), BankType: "INDUSTRIALBANK_CREDIT",
		OpenID: strings.Repeat("o", 64), Sign: strings.Repeat("A", 64), // of HMAC-SHA256
	}
	require.NoError(t, s.Settle(t.Context(), p))
	o, err := s.Order(t.Context(), "letao1")
	require.NoError(t, err)
	require.Equal(t, shop.Paid, o.State)
}

func TestARefundReadsNoOtherOrders(t *testing.T) {
	s, err := store.Open(t.Context(), shoptest.NewMariaDB(t))
	require.NoError(t, err)
	defer s.DB.Close()
	for _, no := range []string{"letao1", "letao2"} {
		require.NoError(t, s.AddOrder(t.Context(), shop.Order{OutTradeNo: no, TotalFee: 1200, State: shop.NotPaid}))
		require.NoError(t, s.Settle(t.Context(), shop.Payment{OutTradeNo: no, TransactionID: "of " + no, Fen: 1200, PaidAt: time.Now()}))
	}
	tx, err := s.DB.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	_, err = tx.ExecContext(t.Context(), "UPDATE payorder SET body = 'x' WHERE out_trade_no = 'letao1'") // another request, which goes on
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // MariaDB waits 50 s for a lock
	defer cancel()
	require.NoError(t, s.EndRefund(ctx, shop.Refund{OutRefundNo: "1", OutTradeNo: "letao2", TransactionID: "of letao2", Fen: 1200, State: pay.Success}))
}

func TestAnSQLiteFileIsForItsOwnerAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows has no file modes")
	}
	name := t.TempDir() + "/shop.db"
	s, err := store.Open(t.Context(), name)
	require.NoError(t, err)
	defer s.DB.Close()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(name + suffix)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), suffix)
	}
}

func TestAnErrorOfADatabaseHidesItsPassword(t *testing.T) {
	for _, name := range []string{"root:hunter2@tcp(127.0.0.1:1)/shop", "root:hunter2@tcp(127.0.0.1", "root:hunter2@tcp(127.0.0.1:3306)/shop?parseTime=soon"} {
		_, err := store.Open(t.Context(), name)
		require.ErrorContains(t, err, "store: ")
		require.NotContains(t, err.Error(), "hunter2")
	}
}
