package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/wetoken/wetoken/internal/hosts"
)

// maxTo is the greatest length of the address that a login returns to, which strangers cause to be stored.
const maxTo = 2048

// checkReturn returns an error if a login may not return to an address. The host must be one of Hosts, and the scheme
// must be https if ours is, since the address carries the login_code.
func (l *Login) checkReturn(to string) error {
	if len(to) > maxTo {
		return fmt.Errorf("it is longer than %d bytes", maxTo)
	}
	u, err := hosts.Parse(to, l.Hosts)
	if err != nil {
		return err
	}
	if l.usesHTTPS() && strings.EqualFold(u.Scheme, "http") && !hosts.Loopback(u.Host) {
		return errors.New("it must be https")
	}
	return nil
}

// restartURL returns the address that begins the same login again, or "" for an unknown login.
func (l *Login) restartURL(s state) string {
	if s.ForSession {
		return s.To
	}
	if s.Scope == "" { // each login that has begun has one
		return ""
	}
	path, given := "/login", map[string]string{"to": s.To, "scope": s.Scope, "lang": s.Lang, "nonce": s.Nonce}
	if s.Path != "" {
		path, given = s.Path, map[string]string{"call": s.To, "lang": s.Lang, "state": s.Nonce}
	}
	q := url.Values{}
	for name, value := range given {
		if value != "" {
			q.Set(name, value)
		}
	}
	root, err := l.mountURL()
	if err != nil {
		return ""
	}
	return root + path + "?" + q.Encode()
}

// homeURL returns the address to continue at after an unknown login: the referring page if it is on one of Hosts, else
// the first of Hosts. Without Hosts it is /login if OnLogin is set, else the host of URL.
func (l *Login) homeURL(r *http.Request) string {
	if from := r.Referer(); from != "" && l.checkReturn(from) == nil {
		return from
	}
	root, err := l.mountURL()
	if err != nil {
		return ""
	}
	own, _ := url.Parse(root) // mountURL returns valid addresses only
	for _, host := range l.Hosts {
		if to := own.Scheme + "://" + host + "/"; l.checkReturn(to) == nil {
			return to
		}
	}
	if l.OnLogin != nil {
		return root + "/login"
	}
	return hosts.Origin(own) + "/"
}

// withQuery adds parameters to an address, and removes the address's own login_code, login_error and nonce. The rest of
// the address stays the same, byte by byte. Empty values are left out. The result always has a fragment, if only an
// empty one: otherwise browsers would keep WeChat's #wechat_redirect.
func withQuery(address string, pairs ...string) string {
	address, fragment, _ := strings.Cut(address, "#")
	address, query, asked := strings.Cut(address, "?")
	if len(pairs) > 0 {
		query = dropLoginParameters(query)
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		if query != "" && !strings.HasSuffix(query, "&") {
			query += "&"
		}
		query += pairs[i] + "=" + encodeURIComponent(pairs[i+1])
	}
	if asked || query != "" {
		address += "?" + query
	}
	return address + "#" + fragment
}

// dropLoginParameters removes the parameters that a login adds from a query, each with the separator before it. Some
// servers treat ; like &, and use the first of several parameters with one name.
func dropLoginParameters(query string) string {
	var kept strings.Builder
	separator, first := "", true
	for {
		i := strings.IndexAny(query, "&;")
		pair := query
		if i >= 0 {
			pair = query[:i]
		}
		if !isLoginParameter(pair) {
			if !first {
				kept.WriteString(separator)
			}
			kept.WriteString(pair)
			first = false
		}
		if i < 0 {
			return kept.String()
		}
		separator, query = query[i:i+1], query[i+1:]
	}
}

// isLoginParameter reports whether any server might read a parameter as one that a login adds. Some servers ignore
// letter case, read name[] as name, and read dots and blanks as underscores.
func isLoginParameter(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	name, _, _ = strings.Cut(strings.TrimSpace(name), "[")
	switch strings.ToLower(strings.NewReplacer(".", "_", " ", "_").Replace(name)) {
	case "login_code", "login_error", "nonce":
		return true
	}
	return false
}
