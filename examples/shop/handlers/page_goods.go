package handlers

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/wetoken/wetoken/examples/shop/shop"
)

// maxCount is how many of a product one order may have.
const maxCount = 5

// showGoods shows the products, those of a category or those of a brand.
func (s *site) showGoods(w http.ResponseWriter, r *http.Request) {
	category, brand := number(r.FormValue("category")), number(r.FormValue("brand"))
	c, err := s.Shop.Catalogue(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	title := "全部商品"
	var brands []shop.Brand
	if category != 0 {
		i := slices.IndexFunc(c.Categories, func(c shop.Category) bool { return c.ID == category })
		if i < 0 {
			s.fail(w, r, shop.ErrNotFound)
			return
		}
		title = c.Categories[i].Name
		if brands, err = s.Shop.Brands(r.Context(), category); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	products := slices.DeleteFunc(c.Products, func(p shop.Product) bool {
		return category != 0 && p.CategoryID != category || brand != 0 && p.BrandID != brand
	})
	s.render(w, r, http.StatusOK, "goods", page{Title: title, Data: map[string]any{
		"Title": title, "Categories": c.Categories, "Category": category, "Brands": brands, "Brand": brand, "Products": products,
	}})
}

// showProduct shows a product.
func (s *site) showProduct(w http.ResponseWriter, r *http.Request) {
	s.renderProduct(w, r, http.StatusOK, number(r.PathValue("id")), "")
}

// renderProduct shows a product, and why it was not bought.
func (s *site) renderProduct(w http.ResponseWriter, r *http.Request, status int, id int64, wrong string) {
	c, err := s.Shop.Catalogue(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	i := slices.IndexFunc(c.Products, func(p shop.Product) bool { return p.ID == id })
	if i < 0 {
		s.fail(w, r, shop.ErrNoGoods)
		return
	}
	p := c.Products[i]
	brands, err := s.Shop.Brands(r.Context(), p.CategoryID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	data := map[string]any{"Product": p, "Counts": []int{1, 2, 3, 4, maxCount}}
	for _, category := range c.Categories {
		if category.ID == p.CategoryID {
			data["Category"] = category.Name
		}
	}
	for _, brand := range brands {
		if brand.ID == p.BrandID {
			data["Brand"] = brand.Name
		}
	}
	data["Related"] = related(c.Products, p)
	s.render(w, r, status, "product", page{Title: p.Name, Wrong: wrong, Data: data})
}

// related returns other products of the category.
func related(products []shop.Product, p shop.Product) []shop.Product {
	const few = 5
	others := slices.DeleteFunc(slices.Clone(products), func(o shop.Product) bool { return o.CategoryID != p.CategoryID || o.ID == p.ID })
	return others[:min(few, len(others))]
}

// number returns a number that is not negative, or 0, which no record has as its id.
func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return max(n, 0)
}
