package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/wetoken/wetoken/internal/hosts"
)

// maxTo is how many bytes the address may have that a login returns to, as it is stored for strangers.
const maxTo = 2048

// returns reports why a login may not return to an address: it may to one of Hosts, and from https to nothing weaker, as
// the login_code travels in the address.
func (l *Login) returns(to string) error {
	if len(to) > maxTo {
		return fmt.Errorf("it is longer than %d bytes", maxTo)
	}
	u, err := hosts.Parse(to, l.Hosts)
	if err != nil {
		return err
	}
	if l.secure() && strings.EqualFold(u.Scheme, "http") && !hosts.Loopback(u.Host) {
		return errors.New("it must be https")
	}
	return nil
}

// again is the address that begins the same login once more; none for a login that is not known.
func (l *Login) again(s state) string {
	if s.Stay {
		return s.To
	}
	if s.Scope == "" { // which each login that has begun has
		return ""
	}
	q := url.Values{}
	for name, value := range map[string]string{"to": s.To, "scope": s.Scope, "lang": s.Lang, "nonce": s.Nonce} {
		if value != "" {
			q.Set(name, value)
		}
	}
	root, err := l.root()
	if err != nil {
		return ""
	}
	return root + "/login?" + q.Encode()
}

// home is a page to go to from a login that is not known: the one that the visitor came from, if it is on one of Hosts,
// or else the first of Hosts. Without Hosts it is where Done's logins begin, or the host of URL.
func (l *Login) home(r *http.Request) string {
	if from := r.Referer(); from != "" && l.returns(from) == nil {
		return from
	}
	root, err := l.root()
	if err != nil {
		return ""
	}
	own, _ := url.Parse(root) // which root has built
	for _, host := range l.Hosts {
		if to := own.Scheme + "://" + host + "/"; l.returns(to) == nil {
			return to
		}
	}
	if l.Done != nil {
		return root + "/login"
	}
	return hosts.Origin(own) + "/"
}

// withQuery adds parameters to an address, whose own login_code, login_error and nonce are dropped. Everything else of it
// stays as it is, byte by byte. Empty values are left out. The address ends with a fragment, be it an empty one: where a
// redirect has none, browsers keep WeChat's #wechat_redirect.
func withQuery(address string, pairs ...string) string {
	address, fragment, _ := strings.Cut(address, "#")
	address, query, asked := strings.Cut(address, "?")
	if len(pairs) > 0 {
		query = withoutOurs(query)
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		if query != "" && !strings.HasSuffix(query, "&") {
			query += "&"
		}
		query += pairs[i] + "=" + escape(pairs[i+1])
	}
	if asked || query != "" {
		address += "?" + query
	}
	return address + "#" + fragment
}

// withoutOurs drops the parameters from a query that a login adds, each with the separator before it. There are servers
// that take ; for &, and the first of several parameters of one name.
func withoutOurs(query string) string {
	var kept strings.Builder
	separator, first := "", true
	for {
		i := strings.IndexAny(query, "&;")
		pair := query
		if i >= 0 {
			pair = query[:i]
		}
		if !ours(pair) {
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

// ours reports whether some server could take a parameter for one that a login adds: there are those that ignore letter
// case, and those that read name[] as name, and dots and blanks in it as underscores.
func ours(pair string) bool {
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
