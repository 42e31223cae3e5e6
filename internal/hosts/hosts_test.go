package hosts_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/hosts"
)

var allowed = []string{"shop.example.com", "Pay.Example.com:8443", "127.0.0.1:8080", "[::1]:8080", "[2001:db8::1]", "plain.example.com:80", ""}

func TestPagesOfTheAppAreAccepted(t *testing.T) {
	for _, page := range []string{
		"https://shop.example.com",
		"https://shop.example.com/",
		"http://shop.example.com/a?b=c#d",
		"https://shop.example.com?x=1",
		"https://shop.example.com#top",
		"https://shop.example.com:443/",
		"http://shop.example.com:80/",
		"HTTPS://SHOP.example.COM/Path",
		"https://pay.example.com:8443/x",
		"http://127.0.0.1:8080/login?to=https://evil.example.net/",
		"http://[::1]:8080/",
		"https://[2001:DB8::1]/",
		"http://plain.example.com/",
		"https://shop.example.com/商品?名=值",
		"https://shop.example.com/a@b",
		`https://shop.example.com/?a=\b#\c`,
		"https://shop.example.com//evil.example.net",
	} {
		u, err := hosts.Parse(page, allowed)
		require.NoError(t, err, page)
		require.NotNil(t, u, page)
	}
}

func TestPagesOfOthersAreRefusedWithTheReason(t *testing.T) {
	for page, want := range map[string]error{
		"":                         hosts.ErrAddress,
		"/":                        hosts.ErrAddress,
		"/path":                    hosts.ErrAddress,
		"//evil.example.net":       hosts.ErrAddress,
		"//shop.example.com":       hosts.ErrAddress,
		`\\evil.example.net`:       hosts.ErrAddress,
		`/\evil.example.net`:       hosts.ErrAddress,
		`https:\\shop.example.com`: hosts.ErrAddress,
		`https://shop.example.com\@evil.example.net`:                    hosts.ErrAddress,
		`https://evil.example.net\.shop.example.com/`:                   hosts.ErrAddress,
		"https:shop.example.com":                                        hosts.ErrAddress,
		"https:/shop.example.com":                                       hosts.ErrAddress,
		"https:///shop.example.com":                                     hosts.ErrAddress,
		"https://":                                                      hosts.ErrAddress,
		"javascript:alert(1)":                                           hosts.ErrAddress,
		"javascript://shop.example.com/%0aalert(1)":                     hosts.ErrAddress,
		"data:text/html,x":                                              hosts.ErrAddress,
		"ftp://shop.example.com/":                                       hosts.ErrAddress,
		"weixin://shop.example.com/":                                    hosts.ErrAddress,
		" https://shop.example.com/":                                    hosts.ErrAddress,
		"https://shop.example.com/ ":                                    hosts.ErrAddress,
		"https://shop.exa\tmple.com/":                                   hosts.ErrAddress,
		"https://shop.example.com/\r\nX: y":                             hosts.ErrAddress,
		"https://shop.example.com/\x00":                                 hosts.ErrAddress,
		"\u00a0https://shop.example.com/":                               hosts.ErrAddress,
		"https://shop.example.com/\xff":                                 hosts.ErrAddress,
		"https://shop.example.com/\u0085":                               hosts.ErrAddress,
		"https://shop.example.com/\ufeff":                               hosts.ErrAddress,
		"https://shop%2eexample.com/":                                   hosts.ErrAddress,
		"https://ｓhop.example.com/":                                     hosts.ErrAddress,
		"https://shop。example.com/":                                     hosts.ErrAddress,
		"https://shop.example.com/" + strings.Repeat("a", hosts.MaxLen): hosts.ErrAddress,
		"https://site@evil.example.net/":                                hosts.ErrUser,
		"https://shop.example.com@evil.example.net/":                    hosts.ErrUser,
		"https://shop.example.com:443@evil.example.net/":                hosts.ErrUser,
		"https://user:word@shop.example.com/":                           hosts.ErrUser,
		"https://evil.example.net":                                      hosts.ErrHost,
		"https://evil.example.net/shop.example.com":                     hosts.ErrHost,
		"https://evil.example.net?shop.example.com":                     hosts.ErrHost,
		"https://evil.example.net#shop.example.com":                     hosts.ErrHost,
		"https://www.shop.example.com/":                                 hosts.ErrHost,
		"https://shop.example.com.evil.example.net/":                    hosts.ErrHost,
		"https://evilshop.example.com/":                                 hosts.ErrHost,
		"https://shop.example.com./":                                    hosts.ErrHost,
		"https://shop.example.com:8443/":                                hosts.ErrHost,
		"https://shop.example.com:80/":                                  hosts.ErrHost,
		"http://shop.example.com:443/":                                  hosts.ErrHost,
		"https://plain.example.com/":                                    hosts.ErrHost,
		"https://pay.example.com/":                                      hosts.ErrHost,
		"http://127.0.0.1/":                                             hosts.ErrHost,
		"http://[::ffff:127.0.0.1]:8080/":                               hosts.ErrHost,
	} {
		u, err := hosts.Parse(page, allowed)
		require.ErrorIs(t, err, want, "%q", page)
		require.Nil(t, u, "%q", page)
	}
}

func TestWithoutHostsNothingIsAllowed(t *testing.T) {
	for _, none := range [][]string{nil, {""}, {"*"}, {"*.example.com"}, {".example.com"}} {
		_, err := hosts.Parse("https://shop.example.com/", none)
		require.ErrorIs(t, err, hosts.ErrHost)
	}
}

func TestAnOriginIsWrittenAsBrowsersDo(t *testing.T) {
	for page, origin := range map[string]string{
		"https://shop.example.com/a?b#c": "https://shop.example.com",
		"HTTPS://Shop.Example.COM:443":   "https://shop.example.com",
		"http://shop.example.com:80/":    "http://shop.example.com",
		"http://shop.example.com:443/":   "http://shop.example.com:443",
		"https://[::1]:8443/x":           "https://[::1]:8443",
	} {
		u, err := hosts.Parse(page, []string{"shop.example.com", "shop.example.com:443", "[::1]:8443"})
		require.NoError(t, err, page)
		require.Equal(t, origin, hosts.Origin(u))
	}
}

func TestLoopbackIsThisMachine(t *testing.T) {
	for _, host := range []string{"localhost", "LOCALHOST:8080", "127.0.0.1", "127.8.9.1:80", "::1", "[::1]", "[::1]:8080"} {
		require.True(t, hosts.Loopback(host), host)
	}
	for _, host := range []string{"", "localhost.example.com", "10.0.0.1", "128.0.0.1:80", "127.0.0.1.example.com", "[2001:db8::1]:80"} {
		require.False(t, hosts.Loopback(host), host)
	}
}

// FuzzCheck compares an accepted address with the reading of a browser: a second implementation of the URL standard for
// http addresses must find a host that is on the list.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		"https://shop.example.com/a?b#c", "//evil", `\\evil`, "https://site@evil", "https://shop.example.com:443@evil/",
		"ht\ntps://shop.example.com", "https://SHOP.example.com.", "http://[::1]:8080/", "https://shop.example.com:0443/",
		"http://[::1%25eth0]:8080/", `https:/\shop.example.com`, "ftp://shop.example.com", "https://shop.example.com:@evil",
		"https://[2001:db8::1]/", "https://shop.example.com:/", "https://[shop.example.com]/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, page string) {
		u, err := hosts.Parse(page, allowed)
		if err != nil {
			return
		}
		host, ok := browserHost(page)
		require.True(t, ok, "%q: a browser sees no host", page)
		require.True(t, slices.ContainsFunc(allowed, func(entry string) bool {
			return strings.EqualFold(entry, host) || strings.EqualFold(strings.TrimSuffix(entry, ":80"), host)
		}), "%q: a browser goes to %q", page, host)
		again, err := url.Parse(u.String())
		require.NoError(t, err)
		require.Equal(t, u.Host, again.Host)
		require.Contains(t, []string{"http", "https"}, again.Scheme)
	})
}

// browserHost returns the host that a browser opens for an address, without the default port of the scheme.
func browserHost(page string) (string, bool) {
	page = strings.TrimFunc(page, func(r rune) bool { return r <= ' ' })
	page = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(page)
	scheme, rest, ok := strings.Cut(page, ":")
	if !ok {
		return "", false
	}
	port := map[string]string{"http": ":80", "https": ":443"}[strings.ToLower(scheme)]
	if port == "" {
		return "", false
	}
	rest = strings.TrimLeft(rest, `/\`)
	if end := strings.IndexAny(rest, `/\?#`); end >= 0 {
		rest = rest[:end]
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		rest = rest[at+1:]
	}
	return strings.TrimSuffix(strings.ToLower(rest), port), rest != ""
}
