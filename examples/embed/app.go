package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

// app is the bookshop: a visitor has a session, reserves books, and pays for them at the counter.
type app struct {
	chi.Router
	db     *sql.DB
	secure bool // browsers reach it by HTTPS

	payScript string // URL of a script for the page of an order; default none
}

var tables = []string{
	`CREATE TABLE IF NOT EXISTS bookshop_sessions (
		id VARCHAR(64) PRIMARY KEY, member VARCHAR(128) NOT NULL, name VARCHAR(255) NOT NULL, ends BIGINT NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS bookshop_orders (
		no VARCHAR(32) PRIMARY KEY, member VARCHAR(128) NOT NULL, book VARCHAR(64) NOT NULL, fen BIGINT NOT NULL,
		paid_by VARCHAR(128) NOT NULL DEFAULT '')`,
}

// newApp returns the bookshop, and makes its tables in db if they are missing. In MySQL they distinguish letters by case, as
// openids do.
func newApp(ctx context.Context, kind string, db *sql.DB, secure bool) (*app, error) {
	options := map[string]string{"mysql": " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"}[kind]
	for _, text := range tables {
		if _, err := db.ExecContext(ctx, text+options); err != nil {
			return nil, fmt.Errorf("bookshop: make tables: %w", err)
		}
	}
	a := &app{Router: chi.NewRouter(), db: db, secure: secure}
	a.Get("/", a.serveHome)
	a.Post("/guest", func(w http.ResponseWriter, r *http.Request) { a.logIn(w, r, "guest:"+rand.Text(), "Guest") })
	a.Post("/logout", a.logOut)
	a.Post("/orders", a.reserve)
	a.Get("/orders/{no}", a.serveOrder)
	return a, nil
}

// member is the visitor of a session. Its ID begins with the way to log in, such as guest:.
type member struct{ ID, Name string }

const (
	cookie      = "bookshop"
	sessionLife = 24 * time.Hour
)

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// logIn begins a session, and redirects the browser to the home page.
func (a *app) logIn(w http.ResponseWriter, r *http.Request, id, name string) {
	now, secret := time.Now(), rand.Text()
	_, err := a.db.ExecContext(r.Context(), "DELETE FROM bookshop_sessions WHERE ends < ?", now.Unix())
	if err == nil {
		_, err = a.db.ExecContext(r.Context(), "INSERT INTO bookshop_sessions (id, member, name, ends) VALUES (?, ?, ?, ?)",
			hash(secret), id, name, now.Add(sessionLife).Unix())
	}
	if err != nil {
		fail(w, err)
		return
	}
	a.setCookie(w, secret, int(sessionLife/time.Second))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *app) logOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookie); err == nil {
		if _, err := a.db.ExecContext(r.Context(), "DELETE FROM bookshop_sessions WHERE id = ?", hash(c.Value)); err != nil {
			fail(w, err)
			return
		}
	}
	a.setCookie(w, "", -1)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *app) setCookie(w http.ResponseWriter, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: a.secure, SameSite: http.SameSiteLaxMode,
	})
}

// errNone is returned for a visitor without a session, and for an order that the visitor does not have.
var errNone = errors.New("bookshop: not found")

func (a *app) visitor(r *http.Request) (m member, err error) {
	c, err := r.Cookie(cookie)
	if err != nil {
		return m, errNone
	}
	row := a.db.QueryRowContext(r.Context(), "SELECT member, name FROM bookshop_sessions WHERE id = ? AND ends > ?", hash(c.Value), time.Now().Unix())
	if err := row.Scan(&m.ID, &m.Name); err != nil {
		return m, orNone(err)
	}
	return m, nil
}

func orNone(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return errNone
	}
	return fmt.Errorf("bookshop: %w", err)
}

type order struct {
	No, Member, Book string
	Fen              int64
	PaidBy           string // empty until it is paid
}

// books are the prices in fen.
var books = map[string]int64{"红楼梦": 5970, "围城": 3900, "边城": 2600}

// reserve places an order of the visitor. The price never comes from a request.
func (a *app) reserve(w http.ResponseWriter, r *http.Request) {
	m, err := a.visitor(r)
	if err != nil {
		fail(w, err)
		return
	}
	o := order{No: "book-" + strings.ToLower(rand.Text()[:20]), Member: m.ID, Book: r.FormValue("book")}
	if o.Fen = books[o.Book]; o.Fen == 0 {
		http.Error(w, "unknown book", http.StatusBadRequest)
		return
	}
	_, err = a.db.ExecContext(r.Context(), "INSERT INTO bookshop_orders (no, member, book, fen) VALUES (?, ?, ?, ?)", o.No, o.Member, o.Book, o.Fen)
	if err != nil {
		fail(w, err)
		return
	}
	http.Redirect(w, r, "/orders/"+o.No, http.StatusSeeOther)
}

// ownOrder returns the order of a request to /orders/{no}, which must be the visitor's.
func (a *app) ownOrder(r *http.Request) (o order, err error) {
	m, err := a.visitor(r)
	if err != nil {
		return o, err
	}
	row := a.db.QueryRowContext(r.Context(), "SELECT no, member, book, fen, paid_by FROM bookshop_orders WHERE no = ? AND member = ?", chi.URLParam(r, "no"), m.ID)
	if err := row.Scan(&o.No, &o.Member, &o.Book, &o.Fen, &o.PaidBy); err != nil {
		return o, orNone(err)
	}
	return o, nil
}

// countOrders returns how many orders a member has, and how many of them are paid.
func (a *app) countOrders(ctx context.Context, id string) (all, paid int, err error) {
	row := a.db.QueryRowContext(ctx, "SELECT COUNT(*), COUNT(NULLIF(paid_by, '')) FROM bookshop_orders WHERE member = ?", id)
	if err := row.Scan(&all, &paid); err != nil {
		return 0, 0, fmt.Errorf("bookshop: count orders: %w", err)
	}
	return all, paid, nil
}

// settle marks an order as paid, such as by "counter", and reports whether this is the one payment of the order, of its price. Calling
// it again with the same arguments returns the same.
func (a *app) settle(ctx context.Context, no string, fen int64, paidBy string) (settled bool, err error) {
	_, err = a.db.ExecContext(ctx, "UPDATE bookshop_orders SET paid_by = ? WHERE no = ? AND fen = ? AND paid_by = ''", paidBy, no, fen)
	if err != nil {
		return false, fmt.Errorf("bookshop: settle: %w", err)
	}
	var by string
	err = a.db.QueryRowContext(ctx, "SELECT paid_by FROM bookshop_orders WHERE no = ?", no).Scan(&by)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, fmt.Errorf("bookshop: settle: %w", err)
	}
	return err == nil && by == paidBy, nil
}

func fail(w http.ResponseWriter, err error) {
	if errors.Is(err, errNone) {
		http.Error(w, "not found, or not logged in", http.StatusNotFound)
		return
	}
	log.Print(err)
	http.Error(w, "try again later", http.StatusServiceUnavailable)
}
