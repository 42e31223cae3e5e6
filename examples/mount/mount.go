package main

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"

	"github.com/wetoken/wetoken"
)

// ServeMux mounts parts on the router of net/http.
func ServeMux(mux *http.ServeMux, parts ...wetoken.Part) {
	wetoken.Bind(mux, "/wx", parts...)
}

// Chi mounts parts on github.com/go-chi/chi.
func Chi(r chi.Router, parts ...wetoken.Part) {
	wetoken.Bind(r, "/wx", parts...)
}

// Gin mounts parts on github.com/gin-gonic/gin.
func Gin(r gin.IRouter, parts ...wetoken.Part) {
	r.Any("/wx/*path", gin.WrapH(http.StripPrefix("/wx", wetoken.Handler(parts...))))
}

// Echo mounts parts on github.com/labstack/echo.
func Echo(e *echo.Echo, parts ...wetoken.Part) {
	e.Any("/wx/*", echo.WrapHandler(http.StripPrefix("/wx", wetoken.Handler(parts...))))
}
