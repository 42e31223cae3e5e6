package main_test

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/examples/shop/store"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/store/sqlstore"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// cluster is two processes of the shop on one database, behind a proxy that uses them by turns.
type cluster struct {
	bank  *shoptest.Bank
	db    *store.Store
	front string // URL of the proxy
	turns [2]atomic.Int64
}

// newCluster starts the processes with a merchant of one version of the API.
func newCluster(t *testing.T, name, version string) *cluster {
	c := &cluster{bank: shoptest.NewBank(t)}
	atWeChat := httptest.NewServer(c.bank)
	t.Cleanup(atWeChat.Close)
	var at [2]*url.URL
	var n atomic.Int64
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		i := n.Add(1) % 2
		c.turns[i].Add(1)
		r.SetURL(at[i])
	}}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	c.front = front.URL
	c.bank.Notify(proxy)

	env := []string{
		"WECHAT_APP_ID=" + shoptest.AppID, "WECHAT_MCH_ID=" + shoptest.MchID, "WECHAT_PAY_URL=" + atWeChat.URL, "SHOP_KEY=" + string(shoptest.Key),
	}
	if version == "v2" {
		env = append(env, "WECHAT_API_KEY="+c.bank.Added.APIKey)
	} else {
		dir := t.TempDir()
		key, public := filepath.Join(dir, "apiclient_key.pem"), filepath.Join(dir, "pub_key.pem")
		require.NoError(t, os.WriteFile(key, []byte(c.bank.Added.PrivateKey), 0o600))
		require.NoError(t, os.WriteFile(public, []byte(c.bank.Added.PublicKey), 0o600))
		env = append(env, "WECHAT_KEY="+key, "WECHAT_PUBLIC_KEY="+public, "WECHAT_PUBLIC_KEY_ID="+c.bank.Added.PublicKeyID,
			"WECHAT_SERIAL_NO="+c.bank.Added.SerialNo, "WECHAT_API_V3_KEY="+c.bank.Added.APIv3Key)
	}
	var wg sync.WaitGroup
	for i := range at { // at the same time, on an empty database
		wg.Go(func() {
			process, _ := runProcess(t, command(t, "", env, "-db", name, "-url", c.front, "-version", version), false)
			u, err := url.Parse(process)
			if err != nil {
				t.Error(err)
			}
			at[i] = u
		})
	}
	wg.Wait()
	require.False(t, t.Failed())
	db, err := store.Open(t.Context(), name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.DB.Close()) })
	c.db = db
	return c
}

// countSettled makes the database write a row whenever an order becomes paid.
func (c *cluster) countSettled(t *testing.T) {
	t.Helper()
	trigger := `CREATE TRIGGER settle AFTER UPDATE ON payorder FOR EACH ROW IF NEW.trade_state = 'SUCCESS' AND OLD.trade_state <> 'SUCCESS' THEN
		INSERT INTO settled VALUES (NEW.out_trade_no); END IF`
	if c.db.Dialect == sqlstore.SQLite {
		trigger = `CREATE TRIGGER settle AFTER UPDATE ON payorder WHEN NEW.trade_state = 'SUCCESS' AND OLD.trade_state <> 'SUCCESS' BEGIN
			INSERT INTO settled VALUES (NEW.out_trade_no); END`
	}
	for _, statement := range []string{"CREATE TABLE settled (out_trade_no VARCHAR(64))", trigger} {
		_, err := c.db.DB.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
}

// order places an order for one product, and returns the text of its QR code.
func (c *cluster) order(t *testing.T, token string, product int) (codeURL string, err error) {
	var data struct {
		CodeURL []string `json:"code_url"`
	}
	err = post(t, c.front+"/order", token, fmt.Sprintf(`{"goods":[%d]}`, product), &data)
	if err == nil && len(data.CodeURL) != 1 {
		err = fmt.Errorf("order: code_url is %q", data.CodeURL)
	}
	if err != nil {
		return "", err
	}
	return data.CodeURL[0], nil
}

// each calls do for 0 to n-1, four at a time.
func each(t *testing.T, n int, do func(i int) error) {
	t.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := do(int(i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	require.False(t, t.Failed())
}

func TestTwoProcessesSettleEachOrderOnce(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		version, n := "v3", 40
		if testform.Full() {
			n = 500
		}
		if strings.HasSuffix(name, ".db") {
			version, n = "v2", min(n, 100)
		}
		c := newCluster(t, name, version)
		c.countSettled(t)
		tokens := make([]string, 5)
		for i := range tokens {
			tokens[i] = addUser(t, c.db, fmt.Sprint("user", i))
		}

		codes := make([]string, n)
		each(t, n, func(i int) (err error) {
			for range 20 { // on a busy machine the shop may ask for another try
				if codes[i], err = c.order(t, tokens[i%len(tokens)], 1+i%8); err == nil {
					return nil
				}
				t.Log(err)
			}
			return err
		})
		rand.Shuffle(n, func(i, j int) { codes[i], codes[j] = codes[j], codes[i] })
		c.bank.AddNotificationFault(paytest.NotificationFault{Copies: 1}) // each arrives at both processes
		each(t, n, func(i int) error {
			sheet, err := c.bank.OpenSheet(paytest.Entry{CodeURL: codes[i]})
			if err == nil {
				_, err = c.bank.AnswerSheet(sheet.ID, "pay", "")
			}
			return err
		})

		count := func(query string, args ...any) (rows int) {
			require.NoError(t, c.db.DB.QueryRowContext(t.Context(), query, args...).Scan(&rows))
			return rows
		}
		require.Eventually(t, func() bool {
			return count("SELECT COUNT(*) FROM payorder WHERE trade_state = ?", shop.Paid) == n
		}, 5*time.Minute, 100*time.Millisecond)
		require.Eventually(t, func() bool { // the copies, too
			return len(c.bank.Deliveries()) >= 2*n
		}, 5*time.Minute, 100*time.Millisecond)
		require.Equal(t, n, count("SELECT COUNT(*) FROM settled"))
		require.Equal(t, n, count("SELECT COUNT(DISTINCT out_trade_no) FROM settled"))
		require.Equal(t, n, count("SELECT COUNT(*) FROM payment WHERE problem = ''"))
		require.Equal(t, n, count("SELECT COUNT(*) FROM payment JOIN payorder ON payment.transaction_id = payorder.transaction_id AND payment.fen = payorder.total_fee"))
		require.Zero(t, count("SELECT COUNT(*) FROM payment WHERE problem <> ''"))
		for i := range c.turns {
			require.Greater(t, c.turns[i].Load(), int64(n), "requests of a process")
		}
	})
}
