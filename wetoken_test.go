package wetoken_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/oauth"
)

// part is a Part whose handlers reply with their pattern and the path that they got.
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

func TestBindTakesNoPathButItsRoutes(t *testing.T) {
	for _, prefix := range []string{"/", "/wx"} {
		mux := http.NewServeMux()
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "own") })
		mux.HandleFunc("/wx/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "own below") })
		wetoken.Bind(mux, prefix, part{"GET /token"})
		wetoken.Bind(mux, prefix, part{"POST /token", "GET /ticket/{type}"})
		base := strings.TrimSuffix(prefix, "/")
		for _, c := range []struct{ method, path, want string }{
			{"GET", base + "/token", "GET /token /token "},
			{"POST", base + "/token", "POST /token /token "},
			{"GET", base + "/ticket/jsapi", "GET /ticket/{type} /ticket/jsapi jsapi"},
			{"GET", base + "/ticket/a%2Fb", "GET /ticket/{type} /ticket/a/b a/b"},
			{"GET", "/wx/none", "own below"},
			{"GET", "/none", "own"},
			{"GET", "/", "own"},
		} {
			_, body := ask(mux, c.method, c.path)
			require.Equal(t, c.want, body, "%q: %s %s", prefix, c.method, c.path)
		}
	}
}

func TestBindTakesAPrefixWithNames(t *testing.T) {
	mux := http.NewServeMux()
	wetoken.Bind(mux, "/shop/{id}", part{"GET /ticket/{type}"})
	_, body := ask(mux, "GET", "/shop/7/ticket/jsapi")
	require.Equal(t, "GET /ticket/{type} /shop/7/ticket/jsapi jsapi", body)
}

func TestBindTakesAPathWhosePrefixIsEscaped(t *testing.T) {
	mux := http.NewServeMux()
	wetoken.Bind(mux, "/wx", part{"GET /token"})
	status, _ := ask(mux, "GET", "/%77x/token")
	require.Equal(t, 200, status)
}

func TestBindPanicsWhereItsPatternIsTaken(t *testing.T) {
	for _, prefix := range []string{"/", "/wx"} {
		mux := http.NewServeMux()
		bind := func() { wetoken.Bind(mux, prefix, part{"GET /token"}) }
		require.NotPanics(t, bind)
		require.Panics(t, bind, prefix)
	}
}

func TestBindPanicsOnARouteThatNotEveryRouterKnows(t *testing.T) {
	for _, route := range []string{"/token", "token", "", "GET", "GET token", " /token", "GET host.example.com/token", "GET /{path...}", "GET /a/{$}"} {
		require.PanicsWithValue(t, fmt.Sprintf("wetoken: invalid route %q of wetoken_test.part: want a method and a path such as GET /token, without {$} and {name...}", route),
			func() { wetoken.Bind(http.NewServeMux(), "/wx", part{route}) })
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
