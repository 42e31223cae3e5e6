package payv3

// DefaultHTTP is the client that is used by default.
var DefaultHTTP = defaultHTTP

// Authorize returns the header Authorization of a call.
func Authorize(m *Merchant, method, uri string, body []byte) (string, error) {
	return m.wire.authorize(method, uri, body)
}
