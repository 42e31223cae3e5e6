package compat

import "net/http"

func (s *proxy) addPayPrivate(m *http.ServeMux) {}

func (s *proxy) addPayPublic(m *http.ServeMux) {}
