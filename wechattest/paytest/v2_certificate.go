package paytest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
)

// InMemoryTLS returns a transport as [InMemory] does, whose requests come as over TLS with a client certificate. The calls
// of v2 that move money out of the merchant's account need the one of [Merchant.Certificate].
func InMemoryTLS(h http.Handler, certificate tls.Certificate) http.RoundTripper {
	state := new(tls.ConnectionState)
	for _, der := range certificate.Certificate {
		if cert, err := x509.ParseCertificate(der); err == nil {
			state.PeerCertificates = append(state.PeerCertificates, cert)
		}
	}
	return inMemory{handler: h, state: state}
}

// TLSClient returns an HTTP client as [Server.Client] does, with a client certificate.
func (s *Server) TLSClient(certificate tls.Certificate) *http.Client {
	return &http.Client{Transport: InMemoryTLS(s, certificate)}
}

// checkPresent refuses a call without the client certificate that it needs, as the proxy before WeChat's server does.
func (s *Server) checkPresent(c *call) (answer, bool) {
	if !c.route.v2.certificate {
		return answer{}, true
	}
	sent := c.request.TLS
	if sent == nil || len(sent.PeerCertificates) == 0 {
		return proxyPage("No required SSL certificate was sent"), false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		if a.owns(sent) && !c.now.After(a.expires) {
			return answer{}, true
		}
	}
	return proxyPage("The SSL certificate error"), false
}

// checkOwner refuses a call with the certificate of another merchant.
func (s *Server) checkOwner(c *call) (answer, bool) {
	switch {
	case !c.route.v2.certificate, c.from.owns(c.request.TLS):
		return answer{}, true
	case c.route.v2.market:
		return c.refuseV2("CA_ERROR", ""), false
	}
	return c.refuseV2("CERT_ERROR", ""), false
}

// owns reports whether the client of a connection has shown the account's certificate.
func (a *account) owns(sent *tls.ConnectionState) bool {
	return a.leaf != nil && bytes.Equal(a.leaf, sent.PeerCertificates[0].Raw)
}

// proxyPage returns a refusal of the proxy.
func proxyPage(text string) answer {
	lines := []string{
		"<html>", "<head><title>400 " + text + "</title></head>", "<body>", "<center><h1>400 Bad Request</h1></center>",
		"<center>" + text + "</center>", "<hr><center>nginx</center>", "</body>", "</html>", "",
	}
	return answer{status: http.StatusBadRequest, kind: "text/html", body: []byte(strings.Join(lines, "\r\n"))}
}
