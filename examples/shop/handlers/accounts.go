package handlers

import "net/http"

// accountRoutes returns the routes of accounts.
func (h *Handlers) accountRoutes() map[string]http.HandlerFunc { return nil }
