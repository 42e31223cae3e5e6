package handlers

import "net/http"

// tile is a link with a picture.
type tile struct{ Name, Text, Image, Link string }

// The first page of the shop, beside its products.
var (
	banners = []tile{
		{"早起跑一程", "轻便跑鞋，软弹鞋底", "/static/banners/running.svg", "/goods?category=1"},
		{"周末球场见", "篮球、足球、羽毛球", "/static/banners/court.svg", "/goods?category=3"},
		{"去山里走走", "防滑登山靴", "/static/banners/trail.svg", "/goods/11"},
	}
	grid = []tile{
		{Name: "跑步", Image: "/static/sports/running.svg", Link: "/goods?category=1&brand=1"},
		{Name: "篮球", Image: "/static/sports/basketball.svg", Link: "/goods/6"},
		{Name: "足球", Image: "/static/sports/football.svg", Link: "/goods/7"},
		{Name: "羽毛球", Image: "/static/sports/badminton.svg", Link: "/goods/8"},
		{Name: "登山", Image: "/static/sports/hiking.svg", Link: "/goods/11"},
		{Name: "运动鞋", Image: "/static/grid/shoes.svg", Link: "/goods?category=1"},
		{Name: "运动服", Image: "/static/grid/clothes.svg", Link: "/goods?category=2"},
		{Name: "装备", Image: "/static/grid/gear.svg", Link: "/goods?category=4"},
	}
)

// homeProducts is how many products the first page shows.
const homeProducts = 10

// showHome shows the first page.
func (s *site) showHome(w http.ResponseWriter, r *http.Request) {
	c, err := s.Shop.Catalogue(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "home", page{Title: "首页", Data: map[string]any{
		"Banners": banners, "Grid": grid, "Sports": c.Products[:min(len(c.Products), homeProducts)],
	}})
}
