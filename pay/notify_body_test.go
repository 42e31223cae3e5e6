package pay_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// stalled is a body that sends 250 KiB, and then nothing until release is closed.
type stalled struct {
	left    int
	release <-chan struct{}
	read    *atomic.Int64 // bodies of which more than 32 KiB were read
}

func (s *stalled) Read(p []byte) (int, error) {
	if s.left == 0 {
		<-s.release
		return 0, io.EOF
	}
	n := min(len(p), s.left)
	if before := s.left; before > 218<<10 && before-n <= 218<<10 {
		s.read.Add(1)
	}
	s.left -= n
	return n, nil
}

func TestStalledBodiesHoldLittleMemory(t *testing.T) {
	const bodies, most = 200, 16
	d := newDesk()
	release, read := make(chan struct{}), new(atomic.Int64)
	var all sync.WaitGroup
	done := make(chan struct{}, bodies)
	for range bodies {
		all.Go(func() {
			r := httptest.NewRequest(http.MethodPost, "/pay/notify", &stalled{250 << 10, release, read})
			d.Routes()["POST /pay/notify"].ServeHTTP(httptest.NewRecorder(), r)
			done <- struct{}{}
		})
	}
	for range bodies - most { // they wait for the others, and give up
		<-done
	}
	require.EqualValues(t, most, read.Load())
	close(release)
	all.Wait()
}
