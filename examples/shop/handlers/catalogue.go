package handlers

import (
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/wetoken/wetoken/examples/shop/shop"
)

// catalogueRoutes returns the routes of the home page and the categories. They need no login.
func (h *Handlers) catalogueRoutes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /gridlist":    h.list("宫格", h.grid, "gridList"),
		"GET /banners":     h.list("轮播图", h.banners, "bannerList", "swipeList"),
		"GET /sports":      h.list("运动专区", h.sports, "sportList", "sports"),
		"GET /onecategory": h.list("一级分类", h.categories, "oneCategory"),
		"GET /twocategory": h.list("二级分类", h.brands, "bannerList"),
	}
}

// entry is an object of a list.
type entry = map[string]any

// list serves a list under its names in the versions of the old program.
func (h *Handlers) list(title string, read func(r *http.Request) ([]entry, error), names ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		entries, err := read(r)
		if err != nil {
			slog.ErrorContext(r.Context(), "catalogue", "path", r.Pattern, "error", err)
			reply(w, http.StatusInternalServerError, false, "服务器错误，请稍后再试", nil)
			return
		}
		more := entry{}
		for _, name := range names {
			more[name] = append([]entry{}, entries...) // never null
		}
		reply(w, http.StatusOK, http.StatusOK, title, more)
	}
}

// grid returns the categories with a picture.
func (h *Handlers) grid(r *http.Request) ([]entry, error) {
	return h.eachCategory(r, func(c shop.Category, brands []shop.Brand) (entries []entry) {
		image := ""
		if len(brands) > 0 {
			image = brands[0].Logo
		}
		return []entry{{"id": c.ID, "name": c.Name, "img": image}}
	})
}

// banners returns the brands that are hot.
func (h *Handlers) banners(r *http.Request) ([]entry, error) {
	return h.eachCategory(r, func(c shop.Category, brands []shop.Brand) (entries []entry) {
		for _, b := range brands {
			if b.Hot {
				entries = append(entries, entry{"id": b.ID, "name": b.Name, "img": b.Logo, "categoryId": c.ID})
			}
		}
		return entries
	})
}

func (h *Handlers) eachCategory(r *http.Request, add func(shop.Category, []shop.Brand) []entry) (entries []entry, err error) {
	c, err := h.Shop.Catalogue(r.Context())
	if err != nil {
		return nil, err
	}
	for _, category := range c.Categories {
		brands, err := h.Shop.Brands(r.Context(), category.ID)
		if err != nil {
			return nil, err
		}
		entries = append(entries, add(category, brands)...)
	}
	return entries, nil
}

// sports returns the goods. Their prices are in yuan.
func (h *Handlers) sports(r *http.Request) (entries []entry, err error) {
	c, err := h.Shop.Catalogue(r.Context())
	for _, p := range c.Products {
		entries = append(entries, entry{
			"id": p.ID, "name": p.Name, "price": fmt.Sprintf("%d.%02d", p.Fen/100, p.Fen%100), "img": p.Image,
			"brandId": p.BrandID, "categoryId": p.CategoryID,
		})
	}
	return entries, err
}

func (h *Handlers) categories(r *http.Request) (entries []entry, err error) {
	c, err := h.Shop.Catalogue(r.Context())
	for _, category := range c.Categories {
		entries = append(entries, entry{"id": category.ID, "categoryName": category.Name})
	}
	return entries, err
}

// brands returns the brands of the category id in the query. An id that is no number has none.
func (h *Handlers) brands(r *http.Request) (entries []entry, err error) {
	id, err := strconv.ParseInt(r.FormValue("id"), 10, 64)
	if err != nil {
		return nil, nil
	}
	brands, err := h.Shop.Brands(r.Context(), id)
	for _, b := range brands {
		hot := 0
		if b.Hot {
			hot = 1
		}
		entries = append(entries, entry{"id": b.ID, "brandName": b.Name, "categoryId": b.CategoryID, "brandLogo": b.Logo, "hot": hot})
	}
	return entries, err
}
