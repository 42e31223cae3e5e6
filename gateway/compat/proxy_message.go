package compat

import "net/http"

func (s *proxy) addMessages(m *http.ServeMux) {}
