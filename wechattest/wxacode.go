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

	// sceneSymbols are allowed in a scene besides letters and digits.
	sceneSymbols = "!#$&'()*+,/:;=?@-._~"
)

// wxacode replies with a picture on success and JSON on failure, like WeChat.
func (s *Server) wxacode(c *call) reply {
	scene, page := c.text("scene"), c.text("page")
	if scene == "" || utf8.RuneCountInString(scene) > maxScene {
		return c.refuse(40169)
	}
	if strings.Trim(scene, letters+sceneSymbols) != "" {
		return c.refuse(40129)
	}
	if strings.ContainsAny(page, "?") || page != "" && string(c.fields["check_path"]) != "false" && !c.app.published(page) {
		return c.refuse(41030)
	}
	return c.picture(scene + "\n" + page)
}

// wxacodeOfPath does not check whether the page exists.
func (s *Server) wxacodeOfPath(c *call) reply {
	path := c.text("path")
	if path == "" || len(path) > maxPath {
		return c.refuse(40159)
	}
	return c.picture(path)
}

// picture replies with a picture. Pictures differ by text, but no phone can read them.
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

// published reports whether a mini program has a page. A page starts without a slash; its query is ignored.
func (a *app) published(page string) bool {
	page, _, _ = strings.Cut(page, "?")
	return !strings.HasPrefix(page, "/") && (len(a.Pages) == 0 || slices.Contains(a.Pages, page))
}

// pattern returns the bits of a hash as a JPEG.
func pattern(of string) ([]byte, error) {
	h := fnv.New64a()
	h.Write([]byte(of)) // never fails
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
