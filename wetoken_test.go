package wetoken_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/oauth"
)

// part is a Part that answers each of its patterns with the path that reached it.
type part []string

func (p part) Routes() map[string]http.Handler {
	routes := map[string]http.Handler{}
	for _, pattern := range p {
		routes[pattern] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, pattern, " ", r.URL.Path, " ", r.PathValue("type"))
		})
	}
	return routes
}

func ask(h http.Handler, method, path string) (status int, body string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code, w.Body.String()
}

func TestBindMountsPartsBelowAPrefix(t *testing.T) {
	for prefix, base := range map[string]string{"/wx": "/wx", "wx/": "/wx", "/a/b/": "/a/b", "": "", "/": ""} {
		mux := http.NewServeMux()
		wetoken.Bind(mux, prefix, part{"GET /token", "POST /token"}, part{"GET /ticket/{type}"})
		for _, c := range []struct {
			method, path, want string
			status             int
		}{
			{"GET", "/token", "GET /token /token ", 200},
			{"POST", "/token", "POST /token /token ", 200},
			{"GET", "/ticket/jsapi", "GET /ticket/{type} /ticket/jsapi jsapi", 200},
			{"DELETE", "/token", "Method Not Allowed\n", 405},
			{"GET", "/none", "404 page not found\n", 404},
		} {
			status, body := ask(mux, c.method, base+c.path)
			require.Equal(t, c.status, status, "%q: %s %s", prefix, c.method, base+c.path)
			require.Equal(t, c.want, body, "%q", prefix)
		}
	}
}

func TestBindLeavesOtherPathsToTheApplication(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "own") })
	wetoken.Bind(mux, "/wx", part{"GET /token"})
	for _, path := range []string{"/", "/token", "/wxtoken"} {
		_, body := ask(mux, "GET", path)
		require.Equal(t, "own", body, path)
	}
}

func TestBindPanicsWhereItsPatternIsTaken(t *testing.T) {
	for _, prefix := range []string{"/", "/wx"} {
		mux := http.NewServeMux()
		mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
		bind := func() { wetoken.Bind(mux, prefix, part{"GET /token"}) }
		if prefix != "/" {
			require.NotPanics(t, bind)
		}
		require.Panics(t, bind, prefix)
	}
}

func TestVerifyFilesStandBesideAnApplicationsOwnRoot(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "own") })
	for pattern, h := range (oauth.VerifyFiles{"MP_verify_abc.txt": "abc"}).Routes() {
		mux.Handle(pattern, h)
	}
	for path, want := range map[string]string{"/MP_verify_abc.txt": "abc", "/": "own", "/other.txt": "own"} {
		_, body := ask(mux, "GET", path)
		require.Equal(t, want, body, path)
	}
}

func TestPartsThatClashPanic(t *testing.T) {
	require.Panics(t, func() { wetoken.Handler(part{"GET /token"}, part{"GET /token"}) })
}

func ExampleBind() {
	mux := http.NewServeMux()
	wetoken.Bind(mux, "/wx", part{"GET /token"})
	_, body := ask(mux, "GET", "/wx/token")
	fmt.Println(body)
	// Output: GET /token /token
}
