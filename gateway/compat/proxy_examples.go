package compat

import "net/http"

func (s *proxy) addExamples(m *http.ServeMux) {}
