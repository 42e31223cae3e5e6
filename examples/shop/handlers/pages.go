package handlers

import "net/http"

// pageRoutes returns the pages for browsers.
func (h *Handlers) pageRoutes() map[string]http.HandlerFunc { return nil }
