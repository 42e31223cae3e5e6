package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

func TestTheClientsAddressIsATrustedProxysWord(t *testing.T) {
	for name, c := range map[string]struct {
		trusted []string
		forward string // X-Forwarded-For of request n
		limited bool   // all come from one address
	}{
		"the proxy is trusted":         {[]string{"127.0.0.0/8", "::1/128"}, "%d.0.0.7", false},
		"two proxies are trusted":      {[]string{"127.0.0.0/8", "10.0.0.0/8"}, "%d.0.0.7, 10.0.0.1", false},
		"what the client says itself":  {[]string{"127.0.0.0/8"}, "%d.0.0.7, 192.0.2.1", true},
		"nobody is trusted":            {nil, "%d.0.0.7", true},
		"others are trusted":           {[]string{"10.0.0.0/8"}, "%d.0.0.7", true},
		"nonsense":                     {[]string{"127.0.0.0/8"}, "x%d", true},
		"IPv4 in IPv6 is the same one": {[]string{"127.0.0.0/8"}, "%d.0.0.7, ::ffff:192.0.2.1", true},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, func(g *gateway.Config) {
				g.TrustedProxies = c.trusted
				delete(g.Apps, "too")
			})
			limited := false
			for n := range 250 { // of which 125 fall into one minute, and 120 are allowed
				req, err := http.NewRequestWithContext(t.Context(), "POST", d.public+"/app/"+miniID+"/session", strings.NewReader(`{}`))
				require.NoError(t, err)
				req.Header.Set("X-Forwarded-For", strings.ReplaceAll(c.forward, "%d", string(rune('0'+n%8+1))))
				resp, err := http.DefaultClient.Do(req)
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, resp.Body)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				limited = limited || resp.StatusCode == http.StatusTooManyRequests
			}
			require.Equal(t, c.limited, limited)
		})
	}
}
