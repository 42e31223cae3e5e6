package wechattest

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"image"
	"image/color"
	"image/jpeg"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

func wxacodeRoutes() []route {
	only := []Kind{Mini}
	return []route{
		{path: "/wxa/getwxacodeunlimit", on: apiHost, method: http.MethodPost, body: jsonBody, kinds: only, serve: (*Server).wxacode},
		{path: "/wxa/getwxacode", on: apiHost, method: http.MethodPost, body: jsonBody, kinds: only, serve: (*Server).wxacodeOfPath},
	}
}

const (
	maxScene = 32   // characters
	maxPath  = 1024 // bytes

	// sceneMarks may stand in a scene beside letters and digits.
	sceneMarks = "!#$&'()*+,/:;=?@-._~"
)

// wxacode answers a picture on success and JSON on failure, like the real one.
func (s *Server) wxacode(c *call) reply {
	scene, page := c.text("scene"), c.text("page")
	if scene == "" || utf8.RuneCountInString(scene) > maxScene {
		return c.refuse(40169)
	}
	if strings.Trim(scene, letters+sceneMarks) != "" {
		return c.refuse(40129)
	}
	if strings.ContainsAny(page, "?") || page != "" && string(c.fields["check_path"]) != "false" && !c.app.published(page) {
		return c.refuse(41030)
	}
	return c.picture(scene + "\n" + page)
}

// wxacodeOfPath does not look whether there is such a page.
func (s *Server) wxacodeOfPath(c *call) reply {
	path := c.text("path")
	if path == "" || len(path) > maxPath {
		return c.refuse(40159)
	}
	return c.picture(path)
}

// picture answers a picture that differs by text but is not a code that a phone could read.
func (c *call) picture(text string) reply {
	var width float64
	if raw, ok := c.fields["width"]; ok && (json.Unmarshal(raw, &width) != nil || width < 280 || width > 1280) {
		return c.refuse(40189)
	}
	if _, ok := c.fields["env_version"]; ok && !slices.Contains([]string{"release", "trial", "develop"}, c.text("env_version")) {
		return c.refuse(40097)
	}
	picture, err := pattern(text)
	if err != nil {
		return c.refuse(-1)
	}
	return reply{header: http.Header{"Content-Type": {"image/jpeg"}}, body: picture}
}

// published tells whether a mini program has the page. A page starts without a slash; its query is not looked at.
func (a *app) published(page string) bool {
	page, _, _ = strings.Cut(page, "?")
	return !strings.HasPrefix(page, "/") && (len(a.Pages) == 0 || slices.Contains(a.Pages, page))
}

// pattern draws the bits of a hash as a JPEG.
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
	err := jpeg.Encode(&b, img, nil)
	return b.Bytes(), err
}
