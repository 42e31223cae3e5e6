package handlers

import "net/http"

// orderRoutes returns the routes of orders.
func (h *Handlers) orderRoutes() map[string]http.HandlerFunc { return nil }
