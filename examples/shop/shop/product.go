package shop

import "context"

// Category is a group of brands (一级分类).
type Category struct {
	ID   int64
	Name string
}

// Brand is a brand of a category (二级分类).
type Brand struct {
	ID         int64
	Name       string
	CategoryID int64
	Logo       string // path of an image
	Hot        bool
}

// Product is sold at one price.
type Product struct {
	ID         int64
	Name       string
	Fen        int64
	Image      string // path of an image
	BrandID    int64
	CategoryID int64
}

// ProductStore stores the catalogue.
type ProductStore interface {
	Categories(ctx context.Context) ([]Category, error)
	Brands(ctx context.Context, categoryID int64) ([]Brand, error)
	// Products returns the products with ids in the order of ids, or all products in the order of their ids if ids is empty. A
	// product that is missing is left out.
	Products(ctx context.Context, ids ...int64) ([]Product, error)
}

// Catalogue is all that the shop sells.
type Catalogue struct {
	Categories []Category
	Products   []Product
}

// Catalogue returns the categories and products.
func (s *Shop) Catalogue(ctx context.Context) (c Catalogue, err error) {
	if c.Categories, err = s.Store.Categories(ctx); err != nil {
		return c, err
	}
	c.Products, err = s.Store.Products(ctx)
	return c, err
}

// Brands returns the brands of a category.
func (s *Shop) Brands(ctx context.Context, categoryID int64) ([]Brand, error) {
	return s.Store.Brands(ctx, categoryID)
}
