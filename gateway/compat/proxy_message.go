package compat

import (
	"net/http"
	"sync"

	"github.com/wetoken/wetoken/message"
)

// addMessages adds the routes that WeChat calls. Their query names the backends of a message, in call=. There is no /msg without an
// app, since nothing could verify WeChat's signature.
func (s *proxy) addMessages(m *http.ServeMux) {
	local := s.localCalls()
	for path, form := range map[string]message.Form{"/msg": message.FormXML, "/msg/json": message.FormJSON} {
		h := s.serveMessages(path, form, local)
		for _, method := range []string{"GET", "POST"} {
			handleSlash(m, method, "/app/{app}"+path, h)
		}
	}
}

// serveMessages returns the handler of a route below an app, whose backends get messages in a form.
func (s *proxy) serveMessages(route string, form message.Form, local http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a, err := s.gateway.ServedApp(r.Context(), r.PathValue("app"), route)
		if err != nil {
			writeAdmission(w, err)
			return
		}
		a.Messages().Calls(form, local).ServeHTTP(w, r)
	}
}

// localCalls returns the handler of calls that begin with a slash: the public side, without a request over the network. It refuses the
// routes of apps to them.
func (s *proxy) localCalls() http.Handler {
	public := sync.OnceValue(s.gateway.Public)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/user" { // it stored who follows the account, for nobody; URLs in WeChat's console still name it
			w.WriteHeader(http.StatusOK)
			return
		}
		public().ServeHTTP(w, r)
	})
}
