package sqltest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// market is a shop of two processes, WeChat Pay over HTTP, and their customers.
type market struct {
	t      *testing.T
	wechat *paytest.Server
	shop   shop
	books  *books
	nodes  [2]atomic.Pointer[node]
	front  *httptest.Server

	mu      sync.Mutex
	refunds map[string]int64
	late    map[string]bool
}

// node is a process.
type node struct {
	address string
	kill    func()
}

// TestProcessesThatAreKilledSettleEachOrderOnce has two processes with a Cashier on MariaDB, one of which is killed every few
// seconds. In full it has 100 orders in 120 s.
func TestProcessesThatAreKilledSettleEachOrderOnce(t *testing.T) {
	d := mysql(t)
	orders, during, end := 24, 8*time.Second, 120*time.Second
	if testform.Full() {
		orders, during, end = 100, 20*time.Second, 120*time.Second
	}
	begun := time.Now()
	m := newMarket(t, d)
	var customers, killer sync.WaitGroup
	over := make(chan struct{})
	kills := 0
	killer.Go(func() { kills = m.killNodes(over) })
	for n := range orders {
		customers.Go(func() {
			time.Sleep(during * time.Duration(n) / time.Duration(orders))
			m.live(n)
		})
	}
	customers.Wait()
	why := m.missing()
	for ; why != "" && time.Since(begun) < end; why = m.missing() {
		time.Sleep(500 * time.Millisecond)
	}
	close(over)
	killer.Wait()
	if why != "" {
		m.explain(why)
	}
	require.Empty(t, why)
	took := time.Since(begun)
	m.verify()
	hooks, ended, err := m.books.count(t.Context())
	require.NoError(t, err)
	t.Logf("%d orders in %v, %d processes killed, %d calls of hooks, of which %d came to their end", orders, took.Round(time.Second), kills, hooks, ended)
}

func newMarket(t *testing.T, d database) *market {
	db := d.open(t)
	m := &market{t: t, refunds: make(map[string]int64), late: make(map[string]bool), wechat: &paytest.Server{RefundAfter: 2 * time.Second}}
	m.books = &books{db: db, name: "shop_" + strings.ToLower(rand.Text())}
	require.NoError(t, m.books.create(t.Context()))
	t.Cleanup(func() { require.NoError(t, m.books.drop(context.Background())) })
	wechat := httptest.NewServer(m.wechat)
	t.Cleanup(wechat.Close)
	m.front = httptest.NewServer(http.HandlerFunc(m.forward))
	t.Cleanup(m.front.Close)
	t.Cleanup(m.wechat.Close)
	account := m.wechat.AddMerchant(paytest.Merchant{MchID: "1900000001", AppIDs: []string{"wx1234567890abcdef"}, Balance: 1 << 40})
	m.shop = shop{DSN: d.dsn, Table: d.store(t, db).Table, Books: m.books.name, Public: m.front.URL, WeChat: wechat.URL, Account: *account}
	for i := range m.nodes {
		m.start(i)
	}
	return m
}

// start starts process i, and waits until it serves.
func (m *market) start(i int) {
	with, err := json.Marshal(m.shop)
	require.NoError(m.t, err)
	exe, err := os.Executable()
	require.NoError(m.t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "WETOKEN_SQLTEST_SHOP="+string(with))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(m.t, err)
	require.NoError(m.t, cmd.Start())
	kill := sync.OnceFunc(func() {
		_ = cmd.Process.Kill() // SIGKILL
		_ = cmd.Wait()
	})
	m.t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(m.t, err)
	m.nodes[i].Store(&node{address: strings.TrimSpace(line), kill: kill})
}

// killNodes kills a process every four seconds, and starts another one a second later, until all is over.
func (m *market) killNodes(over chan struct{}) (kills int) {
	for {
		select {
		case <-over:
			return kills
		case <-time.After(3 * time.Second):
		}
		i := kills % len(m.nodes)
		m.nodes[i].Load().kill()
		kills++
		time.Sleep(time.Second)
		m.start(i)
	}
}

// any returns one of the processes, which may have been killed.
func (m *market) any() *node { return m.nodes[mathrand.IntN(len(m.nodes))].Load() }

// forward is a balancer, which does not know who lives.
func (m *market) forward(w http.ResponseWriter, r *http.Request) {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: m.any().address})
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	proxy.ServeHTTP(w, r)
}

// call calls a process, until one answers 200 or one of these statuses.
func (m *market) call(path string, in any, last ...int) (status int) {
	body, err := json.Marshal(in)
	require.NoError(m.t, err)
	client := &http.Client{Timeout: 10 * time.Second}
	for range 200 {
		res, err := client.Post("http://"+m.any().address+path, "application/json", bytes.NewReader(body))
		if err == nil {
			text, _ := io.ReadAll(res.Body)
			res.Body.Close()
			for _, status := range append(last, http.StatusOK) {
				if res.StatusCode == status {
					return status
				}
			}
			if res.StatusCode == http.StatusBadRequest || res.StatusCode == http.StatusConflict {
				m.t.Errorf("%s %s: %s", path, body, text)
				return res.StatusCode
			}
		}
		time.Sleep(300 * time.Millisecond)
	}
	m.t.Errorf("%s %s: nobody answers", path, body)
	return 0
}

// live is one order: of ten one is never paid, one is paid after its close, and up to three are refunded.
func (m *market) live(n int) {
	o := pay.Order{Trade: pay.Native, OutTradeNo: fmt.Sprintf("order-%d", n), Fen: int64(100 + n), Description: "socks"}
	if m.call("/prepay", o) != http.StatusOK {
		return
	}
	time.Sleep(mathrand.N(2 * time.Second))
	kind := n % 10
	switch kind {
	case 0:
		return
	case 1:
		if m.call("/close", o) != http.StatusOK {
			return
		}
		m.mu.Lock()
		m.late[o.OutTradeNo] = true
		m.mu.Unlock()
	}
	fault := paytest.NotificationFault{Event: "TRANSACTION.SUCCESS", Times: 1}
	switch mathrand.IntN(4) {
	case 0:
		fault.Lost = 1 + mathrand.IntN(2)
	case 1:
		fault.Copies = 2
	case 2:
		fault.Delay = mathrand.N(5 * time.Second)
	}
	m.wechat.AddNotificationFault(fault)
	if _, err := m.wechat.PayLate(m.shop.Account.MchID, o.OutTradeNo, ""); err != nil {
		m.t.Errorf("%v", err)
		return
	}
	if kind < 7 || n > 70 { // a refund whose sender was killed goes out again a minute later
		return
	}
	time.Sleep(mathrand.N(3 * time.Second))
	parts := int64(1)
	if n < 10 && testform.Full() {
		parts = 2 // the second goes out after a minute
	}
	for i := range parts {
		f := pay.Refund{OutTradeNo: o.OutTradeNo, OutRefundNo: fmt.Sprintf("%s-r%d", o.OutTradeNo, i), Fen: o.Fen/parts - i}
		if m.call("/refund", f) == http.StatusOK {
			m.mu.Lock()
			m.refunds[f.OutRefundNo] = f.Fen
			m.mu.Unlock()
		}
	}
}

// missing returns what is not settled so far, or "".
func (m *market) missing() string {
	got, err := m.books.read(m.t.Context())
	require.NoError(m.t, err)
	for _, o := range m.wechat.Orders(m.shop.Account.MchID) {
		if _, ok := got[o.TransactionID]; o.TransactionID != "" && !ok {
			return "order " + o.OutTradeNo
		}
	}
	for no := range m.refunds {
		if _, ok := got[no+" SUCCESS"]; !ok {
			return "refund " + no
		}
	}
	return ""
}

// explain logs what is known of an order or refund that was not settled.
func (m *market) explain(why string) {
	_, no, _ := strings.Cut(why, " ")
	for key, err := range m.books.store(m.shop.Table).Keys(m.t.Context(), "pay/") {
		require.NoError(m.t, err)
		value, _, err := m.books.store(m.shop.Table).Get(m.t.Context(), key)
		require.NoError(m.t, err)
		if strings.Contains(key, no) || strings.Contains(string(value), no) {
			m.t.Logf("%s: %s", key, value)
		}
	}
	for _, a := range m.wechat.Deliveries() {
		if a.Event != "TRANSACTION.SUCCESS" {
			m.t.Logf("%s attempt %d at %v: %d %s", a.Event, a.Attempt, a.At, a.Status, a.Err)
		}
	}
}

// verify compares the shop's books with WeChat's.
func (m *market) verify() {
	t := m.t
	got, err := m.books.read(t.Context())
	require.NoError(t, err)
	paid, refunded := 0, int64(0)
	for _, o := range m.wechat.Orders(m.shop.Account.MchID) {
		refunded += o.Refunded
		if o.TransactionID == "" {
			continue
		}
		paid++
		s := got[o.TransactionID]
		require.Equal(t, o.OutTradeNo, s.no)
		require.Equal(t, o.Total, s.fen)
		require.Equal(t, m.late[o.OutTradeNo], s.late == "closed", o.OutTradeNo)
	}
	for no, fen := range m.refunds {
		require.Equal(t, fen, got[no+" SUCCESS"].fen)
		refunded -= fen
	}
	require.Zero(t, refunded)
	require.Len(t, got, paid+len(m.refunds), "nothing else was settled")
	for _, a := range m.wechat.Deliveries() {
		require.False(t, a.Status >= 400 && a.Status < 500, "%+v", a)
	}
}
