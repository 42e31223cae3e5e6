package compat

import "net/http"

func (s *proxy) addApps(m *http.ServeMux) {}
