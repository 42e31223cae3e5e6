package oauth

import (
	"io"
	"net/http"
	"regexp"
)

// VerifyFiles are the files that prove to WeChat that a domain is yours (域名校验文件): name to content, such as
// MP_verify_abc.txt and WW_verify_abc.txt. WeChat requests them at the root of the host. If the application has a
// handler for the root, each file takes its own path beside it:
//
//	for pattern, h := range files.Routes() {
//		mux.Handle(pattern, h)
//	}
//
// A name must consist of letters, digits, _ and - before .txt. Other names are left out.
type VerifyFiles map[string]string

var verifyName = regexp.MustCompile(`^[0-9A-Za-z_-]{1,100}\.txt$`)

// Routes returns the routes for wetoken.Bind.
func (f VerifyFiles) Routes() map[string]http.Handler {
	routes := make(map[string]http.Handler)
	for name, content := range f {
		if !verifyName.MatchString(name) {
			continue
		}
		routes["GET /"+name] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			io.WriteString(w, content)
		})
	}
	return routes
}
