package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
)

// books is a backend that books each transaction once, by its id, and answers in several ways.
type books struct {
	mu         sync.Mutex
	booked     map[string]int             // reports, by transaction
	deliveries map[string]map[string]bool // by transaction
	calls      int
}

func (b *books) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var report struct {
		ID string `json:"transaction_id"`
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if json.Unmarshal(body, &report) != nil || report.ID == "" || r.Header.Get("Wetoken-Signature") == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	switch b.calls++; b.calls % 5 {
	case 1:
		w.WriteHeader(http.StatusInternalServerError)
		return
	case 2: // it was booked, and nobody hears of it
		defer panic(http.ErrAbortHandler)
	case 3:
		_, _ = io.WriteString(w, "<html>garbage")
	}
	b.booked[report.ID]++
	if b.deliveries[report.ID] == nil {
		b.deliveries[report.ID] = make(map[string]bool)
	}
	b.deliveries[report.ID][r.Header.Get("Wetoken-Delivery")] = true
}

// received returns the number of reports that came.
func (b *books) received() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls
}

func TestPaymentsAreReportedThoughTheServerIsKilledAgainAndAgain(t *testing.T) {
	testform.NeedFull(t)
	t.Parallel()
	for _, sync := range []string{"false", "true"} {
		t.Run("notify_sync "+sync, func(t *testing.T) {
			t.Parallel()
			s := newPayShop(t)
			b := &books{booked: make(map[string]int), deliveries: make(map[string]map[string]bool)}
			backend := httptest.NewServer(b)
			t.Cleanup(backend.Close)
			private, public := freeAddress(t), freeAddress(t)
			text := s.config("sqlite:"+filepath.Join(s.dir, "r.db"), "NOTIFY_TO", backend.URL+"/paid")
			text = strings.Replace(text, "http://127.0.0.1:1\n", "http://"+public+"\n", 1)
			file := write(t, strings.Replace(text, "/paid\"}", "/paid\", notify_sync: "+sync+"}", 1))
			serve := func() *process {
				p := &process{base: "http://" + private, public: public, cmd: exec.Command(program("server"), "-config", file, "-private", private, "-public", public)}
				p.cmd.Env, p.cmd.Stderr = append(os.Environ(), s.env...), &p.log
				require.NoError(t, p.cmd.Start())
				p.wait = p.cmd.Wait
				p.ready(t)
				return p
			}
			const rounds = 12
			var paid []string
			for round := range rounds {
				p, before := serve(), b.received()
				for i := range 3 {
					no := fmt.Sprintf("order-%d-%d", round, i)
					status, body := p.order(t, no)
					require.Equal(t, http.StatusOK, status, body)
					id, err := s.pay.Pay(payMchID, no, "o1")
					require.NoError(t, err)
					paid = append(paid, id)
				}
				if kill := round % 4; kill > 0 { // else at once
					waitUntil(t, time.Minute, "some reports have come", func() bool { return b.received() >= before+kill })
				}
				p.kill()
			}
			p := serve()
			defer p.kill()
			waitUntil(t, 3*time.Minute, "all payments are booked", func() bool {
				b.mu.Lock()
				defer b.mu.Unlock()
				return len(b.booked) == len(paid)
			})
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, id := range paid {
				require.Positive(t, b.booked[id])
				require.Len(t, b.deliveries[id], 1, "all reports of a payment have one id")
			}
		})
	}
}
