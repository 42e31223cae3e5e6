package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/examples/miniapp/order"
)

const shipmentColumns = "out_trade_no, shipping, state, tries, next_at, error"

func scanShipment(scan func(...any) error) (s order.Shipment, err error) {
	var shipping []byte
	var next int64
	if err := scan(&s.OutTradeNo, &shipping, &s.State, &s.Tries, &next, &s.Error); err != nil {
		return s, err
	}
	s.NextAt = instant(next)
	return s, json.Unmarshal(shipping, &s.Shipping)
}

// PutShipment adds a report, or replaces that of the same order.
func (db *DB) PutShipment(ctx context.Context, s order.Shipment) error {
	shipping, err := json.Marshal(s.Shipping)
	if err != nil {
		return err
	}
	// REPLACE is the same in SQLite and MariaDB.
	if _, err := db.ExecContext(ctx, "REPLACE INTO miniapp_shipment ("+shipmentColumns+") VALUES (?, ?, ?, ?, ?, ?)",
		s.OutTradeNo, string(shipping), s.State, s.Tries, millis(s.NextAt), s.Error); err != nil {
		return fmt.Errorf("store: put shipment: %w", err)
	}
	return nil
}

// Shipment returns the report of an order, or order.ErrNotFound.
func (db *DB) Shipment(ctx context.Context, outTradeNo string) (order.Shipment, error) {
	row := db.QueryRowContext(ctx, "SELECT "+shipmentColumns+" FROM miniapp_shipment WHERE out_trade_no = ?", outTradeNo)
	s, err := scanShipment(row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return order.Shipment{}, order.ErrNotFound
	}
	if err != nil {
		return order.Shipment{}, fmt.Errorf("store: read shipment: %w", err)
	}
	return s, nil
}

// maxDue is the number of reports of one round.
const maxDue = 100

// DueShipments returns reports whose next try is due.
func (db *DB) DueShipments(ctx context.Context, now time.Time) (list []order.Shipment, err error) {
	rows, err := db.QueryContext(ctx, "SELECT "+shipmentColumns+" FROM miniapp_shipment WHERE state = ? AND next_at <= ? ORDER BY next_at LIMIT ?", order.Due, millis(now), maxDue)
	if err != nil {
		return nil, fmt.Errorf("store: list shipments: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		s, err := scanShipment(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("store: list shipments: %w", err)
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// ClaimShipment moves the next try of a report to a later time, and reports whether it was still s.
func (db *DB) ClaimShipment(ctx context.Context, s order.Shipment, next time.Time) (claimed bool, err error) {
	return db.updateShipment(ctx, "UPDATE miniapp_shipment SET next_at = ? WHERE out_trade_no = ? AND state = ? AND next_at = ?", millis(next), s.OutTradeNo, order.Due, millis(s.NextAt))
}

// FinishShipment stores the outcome of a try, unless the report was replaced since ClaimShipment moved it to claimed.
func (db *DB) FinishShipment(ctx context.Context, s order.Shipment, claimed time.Time) error {
	_, err := db.updateShipment(ctx, "UPDATE miniapp_shipment SET state = ?, tries = ?, next_at = ?, error = ? WHERE out_trade_no = ? AND state = ? AND next_at = ?",
		s.State, s.Tries, millis(s.NextAt), s.Error, s.OutTradeNo, order.Due, millis(claimed))
	return err
}

func (db *DB) updateShipment(ctx context.Context, query string, args ...any) (changed bool, err error) {
	result, err := db.ExecContext(ctx, query, args...)
	if err != nil {
		return false, fmt.Errorf("store: update shipment: %w", err)
	}
	n, err := result.RowsAffected()
	return n == 1, err
}
