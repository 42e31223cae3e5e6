//go:build unix

package main_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/needed"
)

// visitor is a person with a browser.
type visitor struct {
	t  *testing.T
	hc *http.Client
}

func newVisitor(t *testing.T) *visitor {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &visitor{t, &http.Client{Jar: jar, Timeout: 30 * time.Second}}
}

// get returns the address and the text of a page.
func (v *visitor) get(address string) (at *url.URL, page string) {
	v.t.Helper()
	resp, err := v.hc.Get(address)
	require.NoError(v.t, err)
	at, status, page := v.read(resp)
	require.Equal(v.t, http.StatusOK, status, "%s: %s", address, page)
	return at, page
}

func (v *visitor) post(address, body string) (at *url.URL, status int, page string) {
	v.t.Helper()
	resp, err := v.hc.Post(address, "application/x-www-form-urlencoded", strings.NewReader(body))
	require.NoError(v.t, err)
	return v.read(resp)
}

func (v *visitor) read(resp *http.Response) (at *url.URL, status int, page string) {
	v.t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(v.t, err)
	return resp.Request.URL, resp.StatusCode, string(b)
}

// logIn follows the link of the bookshop to WeChat, and allows the login there. It returns the page on which that ends.
func (v *visitor) logIn(p *program, as string) (page string) {
	v.t.Helper()
	_, page = v.get(p.at)
	link := regexp.MustCompile(`id="wechat" href="([^"]+)"`).FindStringSubmatch(page)
	require.NotNil(v.t, link, page)
	at, page := v.get(p.at + html.UnescapeString(link[1]))
	require.Equal(v.t, p.weChat, "http://"+at.Host)
	ticket := regexp.MustCompile(`name="ticket" value="([^"]+)"`).FindStringSubmatch(page)
	require.NotNil(v.t, ticket, page)
	at, page = v.get(p.weChat + "/connect/answer?" + url.Values{"ticket": {ticket[1]}, "as": {as}, "do": {"allow"}}.Encode())
	require.Equal(v.t, p.at+"/", at.String())
	return page
}

// reserve places an order, and returns the address of its page.
func (v *visitor) reserve(p *program, book string) (order string) {
	v.t.Helper()
	at, status, page := v.post(p.at+"/orders", url.Values{"book": {book}}.Encode())
	require.Equal(v.t, http.StatusOK, status)
	require.Contains(v.t, page, "Reserved")
	return at.String()
}

// write sends the message "orders" by the printed command, as the person 小明 does, and returns the reply that the person sees.
func write(t *testing.T, p *program) (shown string) {
	t.Helper()
	m := regexp.MustCompile(`^curl -s -d '([^']+)' (\S+)$`).FindStringSubmatch(p.push)
	require.NotNil(t, m, p.push)
	var result struct{ Shown, Fault string }
	call(t, m[2], m[1], &result)
	require.Empty(t, result.Fault)
	return result.Shown
}

// call posts JSON to the simulated WeChat.
func call(t *testing.T, address, body string, answer any) {
	t.Helper()
	resp, err := http.Post(address, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", raw)
	require.NoError(t, json.Unmarshal(raw, answer), "%s", raw)
}

// walk uses all that wechat.go adds, as a person does.
func walk(t *testing.T, p *program) {
	v := newVisitor(t)
	page := v.logIn(p, "小明")
	require.Contains(t, page, `<span id="name">小明 👋</span>`)
	_, page = v.get(p.at)
	require.Contains(t, page, "小明 👋", "the session is the bookshop's own")
	require.Equal(t, "订单 0，已付款 0。Orders: 0, paid: 0.", write(t, p))

	order := v.reserve(p, "围城")
	require.Equal(t, "订单 1，已付款 0。Orders: 1, paid: 0.", write(t, p), "the openid of messages is that of the login")
	_, status, params := v.post(order+"/pay", "")
	require.Equal(t, http.StatusOK, status, params)
	var sheet struct {
		ID, State string
		Total     int64
	}
	call(t, p.weChat+"/_paytest/open_sheet", `{"params":`+params+`}`, &sheet)
	require.Equal(t, int64(3900), sheet.Total)
	call(t, p.weChat+"/_paytest/answer_sheet", fmt.Sprintf(`{"id":%q,"do":"pay"}`, sheet.ID), &sheet)
	require.Equal(t, "paid", sheet.State)
	require.Eventually(t, func() bool {
		_, page = v.get(order)
		return strings.Contains(page, `id="paid"`)
	}, 30*time.Second, 20*time.Millisecond)
	require.Equal(t, "订单 1，已付款 1。Orders: 1, paid: 1.", write(t, p))
	require.Eventually(t, func() bool { // WeChat's notification was accepted
		var deliveries []struct{ Status int }
		_, answer := v.get(p.weChat + "/_paytest/deliveries")
		require.NoError(t, json.Unmarshal([]byte(answer), &deliveries), answer)
		return len(deliveries) > 0 && deliveries[len(deliveries)-1].Status == http.StatusNoContent
	}, 60*time.Second, 20*time.Millisecond)
	require.Eventually(t, func() bool { // with the app's access token
		_, sent := v.get(p.weChat + "/_wechattest/sent")
		return strings.Contains(sent, "已付款 Paid: "+order[strings.LastIndex(order, "/")+1:])
	}, 30*time.Second, 20*time.Millisecond)
	_, status, _ = v.post(order+"/pay", "")
	require.Equal(t, http.StatusConflict, status, "it is paid")

	// The bookshop works as before, and each visitor has only own orders.
	other := newVisitor(t)
	_, status, page = other.post(p.at+"/guest", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "Guest")
	_, status, _ = other.post(order+"/pay", "")
	require.Equal(t, http.StatusNotFound, status)
	resp, err := other.hc.Get(order)
	require.NoError(t, err)
	_, status, _ = other.read(resp)
	require.Equal(t, http.StatusNotFound, status)
	_, status, _ = other.post(other.reserve(p, "边城")+"/pay", "")
	require.Equal(t, http.StatusConflict, status, "a guest pays at the counter")
	_, status, _ = other.post(p.at+"/orders", "book=none")
	require.Equal(t, http.StatusBadRequest, status)
	_, _, page = v.post(p.at+"/logout", "")
	require.Contains(t, page, `id="wechat"`)
	_, status, _ = v.post(p.at+"/orders", url.Values{"book": {"围城"}}.Encode())
	require.Equal(t, http.StatusNotFound, status, "the session has ended")

	p.stop()
	for said := range strings.Lines(p.log.String()) { // oauth warns that all visitors have the address of this machine
		require.Regexp(t, `^signal: interrupt|WARN oauth: limits by address are off`, said, "an error was logged")
	}
}

func TestTheCommandServesTheBookshopOnSQLite(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	walk(t, start(t))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "the file is removed at the end")
}

func TestTheBookshopKeepsItsDataInAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bookshop.db")
	p := start(t, "-db", "sqlite:"+file)
	v := newVisitor(t)
	v.logIn(p, "小红")
	order := v.reserve(p, "围城")
	p.stop()
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	p = start(t, "-db", "sqlite:"+file)
	_, page := v.get(p.at + order[strings.Index(order, "/orders/"):])
	require.Contains(t, page, "Reserved")
}

func TestTheCommandServesTheBookshopOnMariaDB(t *testing.T) {
	dsn := needed.Address(t, "WETOKEN_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/test", func(dsn string) error {
		db, err := sql.Open("mysql", dsn)
		if err != nil {
			return err
		}
		defer db.Close()
		return db.PingContext(t.Context())
	})
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	name := fmt.Sprintf("bookshop_%d", time.Now().UnixNano())
	_, err = db.ExecContext(t.Context(), "CREATE DATABASE "+name+" CHARACTER SET latin1")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.Exec("DROP DATABASE " + name)
		require.NoError(t, err)
		db.Close()
	})
	c, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	at := url.URL{Scheme: "mysql", User: url.UserPassword(c.User, c.Passwd), Host: c.Addr, Path: "/" + name}
	walk(t, start(t, "-db", at.String()))
	var same int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+name+".bookshop_orders WHERE member = UPPER(member)").Scan(&same))
	require.Zero(t, same, "openids that differ in case are different")
}
