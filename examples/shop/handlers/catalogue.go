package handlers

import "net/http"

// catalogueRoutes returns the routes of the catalogue.
func (h *Handlers) catalogueRoutes() map[string]http.HandlerFunc { return nil }
