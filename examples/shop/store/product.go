package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/wetoken/wetoken/examples/shop/shop"
)

// Categories implements shop.ProductStore.
func (s *Store) Categories(ctx context.Context) (list []shop.Category, err error) {
	rows, err := s.DB.QueryContext(ctx, "SELECT id, categoryName FROM category ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("store: read categories: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var c shop.Category
		if err := rows.Scan(&c.ID, &c.Name); err != nil {
			return nil, fmt.Errorf("store: read categories: %w", err)
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

// Brands implements shop.ProductStore.
func (s *Store) Brands(ctx context.Context, categoryID int64) (list []shop.Brand, err error) {
	rows, err := s.DB.QueryContext(ctx, "SELECT id, brandName, categoryId, brandLogo, hot FROM brand WHERE categoryId = ? ORDER BY id", categoryID)
	if err != nil {
		return nil, fmt.Errorf("store: read brands: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var b shop.Brand
		if err := rows.Scan(&b.ID, &b.Name, &b.CategoryID, &b.Logo, &b.Hot); err != nil {
			return nil, fmt.Errorf("store: read brands: %w", err)
		}
		list = append(list, b)
	}
	return list, rows.Err()
}

// Products implements shop.ProductStore.
func (s *Store) Products(ctx context.Context, ids ...int64) ([]shop.Product, error) {
	query, args := "SELECT id, name, fen, image, brandId, categoryId FROM product", []any{}
	if len(ids) > 0 {
		query += " WHERE id IN (?" + strings.Repeat(", ?", len(ids)-1) + ")"
		for _, id := range ids {
			args = append(args, id)
		}
	}
	rows, err := s.DB.QueryContext(ctx, query+" ORDER BY id", args...)
	if err != nil {
		return nil, fmt.Errorf("store: read products: %w", err)
	}
	defer rows.Close()
	var list []shop.Product
	for rows.Next() {
		var p shop.Product
		if err := rows.Scan(&p.ID, &p.Name, &p.Fen, &p.Image, &p.BrandID, &p.CategoryID); err != nil {
			return nil, fmt.Errorf("store: read products: %w", err)
		}
		list = append(list, p)
	}
	return list, rows.Err()
}
