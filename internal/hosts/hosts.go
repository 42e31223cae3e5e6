// Package hosts decides which pages an app deals with: those it may send people back to, and those it may sign for.
// Everything that could make a browser read an address otherwise than this package does is refused.
package hosts

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxLen is how many bytes an address may have.
const MaxLen = 4096

// Why an address is refused.
var (
	ErrAddress = errors.New("it is not a whole http or https address")
	ErrUser    = errors.New("it names a user before its host")
	ErrHost    = errors.New("its host is not among the app's hosts")
)

// Check finds the host of a page's address in allowed. An entry there is a host, such as shop.example.com, which stands
// for the usual ports, or host:port. Nothing stands for subdomains, and a trailing dot makes another host. Letter case
// does not matter.
func Check(page string, allowed []string) error {
	if len(page) > MaxLen {
		return fmt.Errorf("%w: it is longer than %d bytes", ErrAddress, MaxLen)
	}
	scheme, authority, err := split(page)
	if err != nil {
		return err
	}
	host := usual(scheme, authority)
	for _, entry := range allowed {
		if entry != "" && usual(scheme, strings.ToLower(entry)) == host {
			return nil
		}
	}
	return fmt.Errorf("%w: %s", ErrHost, host)
}

// Parse is Check, and then url.Parse, which must see the same host.
func Parse(page string, allowed []string) (*url.URL, error) {
	if err := Check(page, allowed); err != nil {
		return nil, err
	}
	_, authority, err := split(page)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(page)
	if err != nil || !strings.EqualFold(u.Host, authority) || u.User != nil || u.Opaque != "" {
		return nil, fmt.Errorf("%w: it cannot be parsed", ErrAddress)
	}
	return u, nil
}

// ErrEntry says that an entry of a list of hosts could allow no page.
var ErrEntry = errors.New("want a host such as shop.example.com or shop.example.com:8443, without scheme, path and *")

// CheckEntry returns ErrEntry unless entry is a name or an IP address, with or without a port.
func CheckEntry(entry string) error {
	name, port := entry, ""
	if at := strings.LastIndexByte(entry, ':'); at >= 0 && !strings.HasSuffix(entry, "]") {
		name, port = entry[:at], entry[at+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
			return ErrEntry
		}
	}
	if inner, ok := strings.CutPrefix(name, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !addr.Is6() || addr.Zone() != "" || !strings.HasSuffix(inner, "]") {
			return ErrEntry
		}
		return nil
	}
	name = strings.TrimSuffix(name, ".")
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, notOfLabel) {
			return ErrEntry
		}
	}
	if last := labels[len(labels)-1]; len(name) > 253 || strings.Trim(last, "0123456789") == "" && !isIPv4(name) {
		return ErrEntry
	}
	return nil
}

func notOfLabel(r rune) bool { return strings.ContainsRune(".:[]", r) || notOfHost(r) }

func isIPv4(name string) bool {
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Is4()
}

// split takes scheme and host off an address, in lower case. Browsers drop tabs and line ends, trim blanks and, up to
// the query, read \ as /; none of these gets by.
func split(page string) (scheme, authority string, err error) {
	if at := strings.IndexByte(page, '\\'); strange(page) || at >= 0 && at < end(page, "?#") {
		return "", "", fmt.Errorf("%w: it holds a blank, a backslash or a control character", ErrAddress)
	}
	scheme, rest, ok := strings.Cut(page, "://")
	scheme = strings.ToLower(scheme)
	if !ok || (scheme != "http" && scheme != "https") {
		return "", "", ErrAddress
	}
	authority = rest[:end(rest, "/?#")]
	if strings.Contains(authority, "@") {
		return "", "", ErrUser
	}
	if authority == "" || strings.ContainsFunc(authority, notOfHost) {
		return "", "", fmt.Errorf("%w: its host is not plain", ErrAddress)
	}
	return scheme, strings.ToLower(authority), nil
}

// end is where the first of chars stands in s, or else the end of s. It is quick where that is soon.
func end(s, chars string) int {
	for i := range len(s) {
		if strings.IndexByte(chars, s[i]) >= 0 {
			return i
		}
	}
	return len(s)
}

// notOfHost tells whether r is none of what a host and port are made of: names, with those of other scripts in their
// xn-- form, IPv4 and IPv6.
func notOfHost(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune(".-_:[]", r)
}

// strange tells whether an address holds blanks, control characters, or bytes that are no text.
func strange(page string) bool {
	for _, r := range page {
		if r <= ' ' || (r >= 0x7f && r <= 0xa0) || r == 0xfeff || r == utf8.RuneError {
			return true
		}
	}
	return false
}

// usual drops the port that the scheme has anyway.
func usual(scheme, authority string) string {
	if scheme == "https" {
		return strings.TrimSuffix(authority, ":443")
	}
	return strings.TrimSuffix(authority, ":80")
}

// Origin is the site that an address of Parse's is on, as browsers write it: scheme://host, in lower case, with the port
// where it is not the usual one.
func Origin(u *url.URL) string {
	scheme := strings.ToLower(u.Scheme)
	return scheme + "://" + usual(scheme, strings.ToLower(u.Host))
}

// Loopback tells whether a host, with or without a port, is this machine.
func Loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && addr.IsLoopback())
}
