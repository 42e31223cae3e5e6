package wechattest

import (
	"bytes"
	"hash/fnv"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

func wxacodeRoutes() []route {
	return []route{
		{path: "/wxa/getwxacodeunlimit", on: apiHost, method: http.MethodPost, body: jsonBody, kinds: []Kind{Mini}, serve: (*Server).wxacode},
	}
}

// wxacode answers a picture on success and JSON on failure, like the real one. The picture differs by scene and page but
// is not a code that a phone could read.
func (s *Server) wxacode(c *call) reply {
	scene, page := c.text("scene"), c.text("page")
	if scene == "" || utf8.RuneCountInString(scene) > 32 {
		return c.refuse(40169)
	}
	if page != "" && string(c.fields["check_path"]) != "false" && !c.app.published(page) {
		return c.refuse(41030)
	}
	picture, err := pattern(scene + "\n" + page)
	if err != nil {
		return c.refuse(-1)
	}
	return reply{header: http.Header{"Content-Type": {"image/png"}}, body: picture}
}

// published tells whether a mini program has the page. A page starts without a slash; its query is not looked at.
func (a *app) published(page string) bool {
	page, _, _ = strings.Cut(page, "?")
	return !strings.HasPrefix(page, "/") && (len(a.Pages) == 0 || slices.Contains(a.Pages, page))
}

// pattern draws the bits of a hash.
func pattern(of string) ([]byte, error) {
	h := fnv.New64a()
	h.Write([]byte(of)) // a hash takes everything
	bits := h.Sum64()
	img := image.NewPaletted(image.Rect(0, 0, 64, 64), color.Palette{color.White, color.Black})
	for i := range img.Pix {
		x, y := i%64/8, i/64/8
		img.Pix[i] = uint8(bits >> (y*8 + x) & 1)
	}
	var b bytes.Buffer
	err := png.Encode(&b, img)
	return b.Bytes(), err
}
