package handlers_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBodiesThatAreNoFieldsAreRefused(t *testing.T) {
	s := newServer(t, t.TempDir()+"/shop.db")
	for _, path := range []string{"/register", "/user/register", "/login", "/user/login", "/sms"} {
		for body, status := range map[string]int{
			`{`:                       400,
			`[]`:                      400,
			`["alice"]`:               400,
			`{"username":["alice"]}`:  400,
			`{"username":{"$ne":""}}`: 400,
			`{"username":true}`:       400,
			`{"username":null}`:       400,
			`{}{}`:                    400,
			`{}}`:                     400,
			`{"a":` + strings.Repeat("[", 9000) + `}`: 400,
			"username=%zz":          400,
			"username=a&username=b": 400,
			`{"username":"` + strings.Repeat("a", 20<<10) + `"}`: 413,
			"username=" + strings.Repeat("a", 20<<10):            413,
			strings.Repeat("a=1&", 20<<10):                       413,
		} {
			a := s.send(t, "POST", path, body)
			require.Equal(t, status, a.http, "%s %.40s", path, body)
			requireState(t, false, a)
		}
	}
	require.Zero(t, s.phones.Sent())
}

func FuzzBodies(f *testing.F) {
	for _, seed := range []string{`{"mobile":"1"}`, `{"mobile":1e9}`, `{"mobile":[]}`, "mobile=1", "mobile=%zz", `{"mobile":"\ud800"}`, "{", ""} {
		f.Add("/login", "application/json", seed)
		f.Add("/sms", "application/x-www-form-urlencoded; charset=x", seed)
		f.Add("/user/register", "", seed)
	}
	s := newServer(f, f.TempDir()+"/shop.db")
	f.Fuzz(func(t *testing.T, path, kind, body string) {
		if path != "/login" && path != "/sms" && path != "/user/register" {
			path = "/register"
		}
		a := s.send(t, "POST", path, body, func(r *http.Request) { r.Header.Set("Content-Type", kind) })
		require.Contains(t, []int{200, 400, 413}, a.http)
		require.NotNil(t, a.fields)
	})
}
