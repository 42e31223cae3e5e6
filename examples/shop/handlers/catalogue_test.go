package handlers_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
)

func TestTheHomePageIsReadFromTheDatabase(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s := newServer(t, name)
		for _, statement := range []string{
			"DELETE FROM product", "DELETE FROM brand", "DELETE FROM category",
			"INSERT INTO category (id, categoryName) VALUES (1, '鞋<b>'), (2, '球')",
			"INSERT INTO brand (id, brandName, categoryId, brandLogo, hot) VALUES (1, '追风', 1, '/a.svg', 0), (2, '山径', 1, '/b.svg', 1)",
			"INSERT INTO product (id, name, fen, image, brandId, categoryId) VALUES (1, '跑鞋', 19905, '/p.svg', 2, 1)",
		} {
			_, err := s.db.DB.ExecContext(t.Context(), statement)
			require.NoError(t, err)
		}
		read := func(path string) answer {
			a := s.send(t, "GET", path, "")
			require.Equal(t, 200, a.http, path)
			requireState(t, 200, a)
			return a
		}
		type list = []any
		type object = map[string]any

		for _, path := range []string{"/gridlist", "/gridList", "/GRIDLIST"} {
			require.Equal(t, list{object{"id": 1.0, "name": "鞋<b>", "img": "/a.svg"}, object{"id": 2.0, "name": "球", "img": ""}}, read(path).fields["gridList"])
		}
		for _, field := range []string{"bannerList", "swipeList"} {
			require.Equal(t, list{object{"id": 2.0, "name": "山径", "img": "/b.svg", "categoryId": 1.0}}, read("/Banners").fields[field])
		}
		for _, field := range []string{"sportList", "sports"} {
			require.Equal(t, list{object{"id": 1.0, "name": "跑鞋", "price": "199.05", "img": "/p.svg", "brandId": 2.0, "categoryId": 1.0}}, read("/sports").fields[field])
		}
		require.Equal(t, list{object{"id": 1.0, "categoryName": "鞋<b>"}, object{"id": 2.0, "categoryName": "球"}}, read("/oneCategory").fields["oneCategory"])
		require.Equal(t, list{
			object{"id": 1.0, "brandName": "追风", "categoryId": 1.0, "brandLogo": "/a.svg", "hot": 0.0},
			object{"id": 2.0, "brandName": "山径", "categoryId": 1.0, "brandLogo": "/b.svg", "hot": 1.0},
		}, read("/twoCategory?id=1").fields["bannerList"])
		for _, query := range []string{"", "?id=", "?id=2", "?id=99", "?id=-1", "?id=1 OR 1=1", "?id=9223372036854775808", "?id=1&id=2;"} {
			require.Equal(t, list{}, read("/twocategory" + queryOf(query)).fields["bannerList"], query)
		}
	})
}

// queryOf returns a query as a client sends it.
func queryOf(text string) string {
	if text == "" {
		return ""
	}
	return "?" + form("id", text[len("?id="):])
}

func TestTheSeedsRowsAreThere(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s := newServer(t, name)
		for path, field := range map[string]string{
			"/gridlist": "gridList", "/banners": "bannerList", "/sports": "sports", "/onecategory": "oneCategory", "/twocategory?id=1": "bannerList",
		} {
			require.NotEmpty(t, s.send(t, "GET", path, "").fields[field], path)
		}
	})
}
