package gateway_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/gateway"
)

// pickyBackend is a backend that always refuses the reports of one order.
type pickyBackend struct {
	mu   sync.Mutex
	bad  string
	took map[string]time.Time
}

func (p *pickyBackend) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	w := httptest.NewRecorder()
	p.mu.Lock()
	defer p.mu.Unlock()
	if bytes.Contains(body, []byte(p.bad)) {
		w.WriteHeader(http.StatusInternalServerError)
	} else {
		for _, part := range strings.Split(string(body), `"`) {
			if strings.HasPrefix(part, "order-") {
				p.took[part] = time.Now()
			}
		}
	}
	return w.Result(), nil
}

func TestAReportThatIsAlwaysRefusedDelaysNoOther(t *testing.T) {
	inBubble(t, false, func(t *testing.T, b *bubble) {
		p := &pickyBackend{bad: "order-bad", took: map[string]time.Time{}}
		gateway.SetBackends(b.gateway, &http.Client{Transport: p})
		b.buy(t, "order-bad")
		var worst time.Duration
		for i := range 5 {
			<-time.After(2*time.Hour + 7*time.Minute)
			begun, no := time.Now(), fmt.Sprintf("order-%d", i)
			b.buy(t, no)
			<-time.After(15 * time.Minute)
			p.mu.Lock()
			worst = max(worst, p.took[no].Sub(begun))
			p.mu.Unlock()
		}
		t.Logf("worst: reported after %s", worst)
		require.Less(t, worst, 10*time.Second)
	})
}

func TestARefusalIsFoundInACompressedResponse(t *testing.T) {
	inBubble(t, false, func(t *testing.T, b *bubble) {
		b.service.set(func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, `{"errcode":40001,"errmsg":"not now"}`)
			_ = z.Close()
		})
		b.buy(t, "order-1")
		<-time.After(time.Hour)
		calls, _ := b.service.count()
		require.Greater(t, calls, 1, "the report was refused, and is not sent again")
	})
}
