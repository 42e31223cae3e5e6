package compat

import (
	"errors"
	"net/http"
	"strconv"
)

// addExamples adds the routes that belong to no app: QR codes for everybody and, with Compat.Examples, the echo and the example pages.
func (s *proxy) addExamples(m *http.ServeMux) {
	both := []string{"GET", "POST"}
	for _, method := range both {
		handleSlash(m, method, "/qrcode", serveQR)
		handleSlash(m, method, "/app/{app}/qrcode", s.serveAppQR)
	}
	if !s.examples {
		return
	}
	for _, method := range both {
		handleSlash(m, method, "/echo", serveEcho)
	}
	s.addExamplePages(m)
}

// serveAppQR is serveQR below an app, which must allow it.
func (s *proxy) serveAppQR(w http.ResponseWriter, r *http.Request) {
	_, err := s.gateway.ServedApp(r.Context(), r.PathValue("app"), "/qrcode")
	if err != nil {
		writeAdmission(w, err)
		return
	}
	serveQR(w, r)
}

// serveQR answers the text in path as a QR code.
func serveQR(w http.ResponseWriter, r *http.Request) {
	p, err := readParams(w, r)
	size := defaultQRSize
	if text := p.text("size"); err == nil && text != "" {
		if size, err = strconv.Atoi(text); err != nil {
			err = errors.New("size: want a number of pixels")
		}
	}
	var image []byte
	if err == nil {
		image, err = encodeQR(p.text("path"), size)
	}
	if err != nil {
		writeProxyError(w, http.StatusBadRequest, codeProxy, err.Error())
		return
	}
	writePNG(w, image, "public, max-age=7200")
}

func writePNG(w http.ResponseWriter, image []byte, cache string) {
	h := w.Header()
	h.Set("Content-Type", "image/png")
	h.Set("Content-Length", strconv.Itoa(len(image)))
	h.Set("Cache-Control", cache)
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(image)
}

// serveEcho answers the body as text, so that a person sees what a login or a payment told.
func serveEcho(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	if err != nil {
		writeProxyError(w, http.StatusBadRequest, codeProxy, "the body is longer than 64 KiB, or has not arrived")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(body)
}
