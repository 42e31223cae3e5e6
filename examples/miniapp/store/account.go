package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/examples/miniapp/account"
)

var _ account.Store = (*DB)(nil)

// Change runs do in a transaction.
func (db *DB) Change(ctx context.Context, do func(tx account.Tx) error) error {
	return db.inTx(ctx, func(tx *sql.Tx) error { return do(accountTx{tx}) })
}

const accountColumns = "a.id, a.user_name, a.phone, a.nickname, a.avatar, a.points, a.created_at"

// scanAccount reads accountColumns, and the columns of more after them.
func scanAccount(row *sql.Row, more ...any) (a account.Account, err error) {
	var phone sql.NullString
	var created int64
	err = row.Scan(append([]any{&a.ID, &a.UserName, &phone, &a.Nickname, &a.Avatar, &a.Points, &created}, more...)...)
	a.Phone, a.CreatedAt = phone.String, instant(created)
	return a, err
}

// Session returns the session of the hash of a token.
func (db *DB) Session(ctx context.Context, hash string, now time.Time) (account.Session, error) {
	var s account.Session
	var expires int64
	row := db.QueryRowContext(ctx, "SELECT "+accountColumns+", t.app_id, t.open_id, t.expires_at FROM miniapp_token t JOIN miniapp_account a ON a.id = t.account_id WHERE t.hash = ? AND t.expires_at > ?", hash, millis(now))
	a, err := scanAccount(row, &s.AppID, &s.OpenID, &expires)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return account.Session{}, account.ErrToken
	case err != nil:
		return account.Session{}, fmt.Errorf("store: read session: %w", err)
	}
	s.Account, s.ExpiresAt = a, instant(expires)
	return s, nil
}

// Picture returns an avatar by its name.
func (db *DB) Picture(ctx context.Context, name string) (p account.Picture, ok bool, err error) {
	p.Name = name
	err = db.QueryRowContext(ctx, "SELECT type, data FROM miniapp_picture WHERE name = ?", name).Scan(&p.Type, &p.Data)
	if errors.Is(err, sql.ErrNoRows) {
		return account.Picture{}, false, nil
	}
	if err != nil {
		return account.Picture{}, false, fmt.Errorf("store: read picture: %w", err)
	}
	return p, true, nil
}

// accountTx implements account.Tx.
type accountTx struct{ *sql.Tx }

func (tx accountTx) one(ctx context.Context, from string, args ...any) (account.Account, error) {
	a, err := scanAccount(tx.QueryRowContext(ctx, "SELECT "+accountColumns+" FROM "+from+forUpdate, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return account.Account{}, nil
	}
	if err != nil {
		return account.Account{}, fmt.Errorf("store: read account: %w", err)
	}
	return a, nil
}

func (tx accountTx) exec(ctx context.Context, query string, args ...any) error {
	if _, err := tx.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("store: write account: %w", err)
	}
	return nil
}

func (tx accountTx) ByID(ctx context.Context, id string) (account.Account, error) {
	return tx.one(ctx, "miniapp_account a WHERE a.id = ?", id)
}

func (tx accountTx) ByIdentity(ctx context.Context, appID, openID string) (account.Account, error) {
	return tx.one(ctx, "miniapp_identity i JOIN miniapp_account a ON a.id = i.account_id WHERE i.app_id = ? AND i.open_id = ?", appID, openID)
}

func (tx accountTx) ByUnion(ctx context.Context, unionID string) (account.Account, error) {
	return tx.one(ctx, "miniapp_union u JOIN miniapp_account a ON a.id = u.account_id WHERE u.union_id = ?", unionID)
}

func (tx accountTx) ByPhone(ctx context.Context, phone string) (account.Account, error) {
	return tx.one(ctx, "miniapp_account a WHERE a.phone = ?", phone)
}

func (tx accountTx) Add(ctx context.Context, a account.Account) error {
	return tx.exec(ctx, "INSERT INTO miniapp_account (id, user_name, phone, nickname, avatar, points, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
		a.ID, a.UserName, orNull(a.Phone), a.Nickname, a.Avatar, a.Points, millis(a.CreatedAt))
}

func (tx accountTx) Save(ctx context.Context, a account.Account) error {
	return tx.exec(ctx, "UPDATE miniapp_account SET user_name = ?, phone = ?, nickname = ?, avatar = ?, points = ? WHERE id = ?",
		a.UserName, orNull(a.Phone), a.Nickname, a.Avatar, a.Points, a.ID)
}

func (tx accountTx) Absorb(ctx context.Context, to, from string) error {
	for _, table := range []string{"miniapp_identity", "miniapp_union", "miniapp_token", "miniapp_order"} {
		if err := tx.exec(ctx, "UPDATE "+table+" SET account_id = ? WHERE account_id = ?", to, from); err != nil {
			return err
		}
	}
	var pictures int
	if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM miniapp_picture WHERE account_id = ?", to).Scan(&pictures); err != nil {
		return fmt.Errorf("store: read picture: %w", err)
	}
	if pictures == 0 {
		if err := tx.exec(ctx, "UPDATE miniapp_picture SET account_id = ? WHERE account_id = ?", to, from); err != nil {
			return err
		}
	}
	if err := tx.exec(ctx, "DELETE FROM miniapp_picture WHERE account_id = ?", from); err != nil {
		return err
	}
	return tx.exec(ctx, "DELETE FROM miniapp_account WHERE id = ?", from)
}

func (tx accountTx) AddIdentity(ctx context.Context, id, appID, openID string) error {
	return tx.exec(ctx, "INSERT INTO miniapp_identity (app_id, open_id, account_id) VALUES (?, ?, ?)", appID, openID, id)
}

func (tx accountTx) AddUnion(ctx context.Context, id, unionID string) error {
	return tx.exec(ctx, "INSERT INTO miniapp_union (union_id, account_id) VALUES (?, ?)", unionID, id)
}

// AddToken also deletes the account's tokens that have ended.
func (tx accountTx) AddToken(ctx context.Context, hash string, s account.Session) error {
	if err := tx.exec(ctx, "DELETE FROM miniapp_token WHERE account_id = ? AND expires_at <= ?", s.Account.ID, millis(time.Now())); err != nil {
		return err
	}
	return tx.exec(ctx, "INSERT INTO miniapp_token (hash, account_id, app_id, open_id, expires_at) VALUES (?, ?, ?, ?, ?)",
		hash, s.Account.ID, s.AppID, s.OpenID, millis(s.ExpiresAt))
}

func (tx accountTx) DeleteToken(ctx context.Context, hash string) error {
	return tx.exec(ctx, "DELETE FROM miniapp_token WHERE hash = ?", hash)
}

func (tx accountTx) SetPicture(ctx context.Context, id string, p account.Picture) error {
	if err := tx.exec(ctx, "DELETE FROM miniapp_picture WHERE account_id = ?", id); err != nil {
		return err
	}
	return tx.exec(ctx, "INSERT INTO miniapp_picture (account_id, name, type, data) VALUES (?, ?, ?, ?)", id, p.Name, p.Type, p.Data)
}
