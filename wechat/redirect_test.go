package wechat_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechat"
)

func TestARedirectNeverCarriesTheTokenAway(t *testing.T) {
	for name, location := range map[string]func(to, query string) string{
		"plain":           func(to, _ string) string { return to + "/" },
		"echoed query":    func(to, query string) string { return to + "/?" + query },
		"in the path":     func(to, query string) string { return to + "/" + query },
		"as a user":       func(to, _ string) string { return strings.Replace(to, "://", "://"+newToken+"@", 1) },
		"as a fragment":   func(to, _ string) string { return to + "/#" + newToken },
		"in another name": func(to, query string) string { return to + "/?from=" + url.QueryEscape("http://x/?"+query) },
		"escaped twice": func(to, _ string) string {
			return to + "/?from=" + strings.ReplaceAll(newToken, "-", "%252d")
		},
		"no address": func(_, query string) string { return "http://%zz?" + query },
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			t.Run(fmt.Sprint(name, status), func(t *testing.T) {
				w := startWeChat(t)
				to, calls := newForeignServer(t, says("", "foreign"))
				w.answer = func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("Location", location(strings.Replace(to, "127.0.0.1", "localhost", 1), r.URL.RawQuery))
					rw.WriteHeader(status)
				}
				jar, err := cookiejar.New(nil)
				require.NoError(t, err)
				hc := &http.Client{Transport: w.transport(), Jar: jar}
				for _, body := range []io.Reader{strings.NewReader("again"), io.NopCloser(strings.NewReader("once"))} {
					req, err := http.NewRequest("POST", w.URL+"/x?access_token=token-of-the-caller", body)
					require.NoError(t, err)
					resp, err := hc.Do(req)
					if err == nil {
						resp.Body.Close()
						require.NotContains(t, fmt.Sprint(resp.Header, resp.Request.URL, resp.Request.Header), newToken)
					} else {
						require.NotContains(t, err.Error(), newToken)
					}
				}
				if strings.HasPrefix(name, "plain") || name == "echoed query" {
					require.NotZero(t, *calls, "the redirect was not followed")
				}
			})
		}
	}
}

func TestARedirectBackFromAnotherHostGetsNoToken(t *testing.T) {
	w := startWeChat(t)
	back := "/cgi-bin/menu/delete"
	to, calls := newForeignServer(t, func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, w.URL+back, http.StatusFound) })
	w.answer = func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(rw, r, to, http.StatusFound)
		case "/hop":
			http.Redirect(rw, r, "/cgi-bin/menu/delete", http.StatusFound)
		default:
			io.WriteString(rw, "token "+r.URL.Query().Get("access_token"))
		}
	}
	hc := &http.Client{Transport: w.transport()}
	for _, start := range []string{w.URL + "/away", to} {
		for _, back = range []string{"/cgi-bin/menu/delete", "/hop"} {
			resp, err := hc.Get(start)
			require.Equal(t, "token ", read(t, resp, err))
		}
	}
	require.Equal(t, 4, *calls)
	resp, err := hc.Get(w.URL + "/hop") // within Hosts
	require.Equal(t, "token "+newToken, read(t, resp, err))
}

func TestARedirectToPlainHTTPGetsNoToken(t *testing.T) {
	plain := startWeChat(t)
	plain.answer = func(rw http.ResponseWriter, r *http.Request) {
		io.WriteString(rw, "token "+r.URL.Query().Get("access_token"))
	}
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL+"/?"+r.URL.RawQuery, http.StatusFound)
	}))
	t.Cleanup(secure.Close)
	hc := secure.Client()
	hc.Transport = &wechat.Transport{
		Tokens: new(tokens), Base: hc.Transport, Hosts: []string{plain.host(), strings.TrimPrefix(secure.URL, "https://")},
	}
	resp, err := hc.Get(secure.URL)
	require.Equal(t, "token ", read(t, resp, err))
}
