package compat

import "net/http"

func (s *proxy) addJS(m *http.ServeMux) {}
