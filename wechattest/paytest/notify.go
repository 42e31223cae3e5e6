package paytest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Notification is a message of WeChat Pay to a merchant (回调通知).
type Notification struct {
	MchID        string `json:"mchid"` // its keys seal and sign
	URL          string `json:"url"`
	Event        string `json:"event_type"`    // such as TRANSACTION.SUCCESS
	OriginalType string `json:"original_type"` // such as transaction
	Summary      string `json:"summary"`
	CreateTime   string `json:"create_time"` // default now in RFC 3339; some kinds write it otherwise
	Plain        []byte `json:"-"`           // the JSON that is sealed
}

// Delivery is one attempt to deliver a notification.
type Delivery struct {
	ID      string      `json:"id"` // of the notification
	Event   string      `json:"event_type"`
	MchID   string      `json:"mchid"`
	URL     string      `json:"url"`
	Attempt int         `json:"attempt"` // from 1
	At      time.Time   `json:"at"`
	Header  http.Header `json:"header"`
	Body    string      `json:"body"`
	Status  int         `json:"status"` // of the answer; 0: none
	Err     string      `json:"error"`  // the reason why no answer came
}

const (
	answerWithin  = 5 * time.Second
	maxDeliveries = 50_000 // kept
	maxAnswer     = 64 << 10
)

// usualDelays are the waits between the attempts of most notifications.
var usualDelays = []time.Duration{
	15 * time.Second, 15 * time.Second, 30 * time.Second, 3 * time.Minute, 10 * time.Minute, 20 * time.Minute,
	30 * time.Minute, 30 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 3 * time.Hour, 3 * time.Hour,
	6 * time.Hour, 6 * time.Hour,
}

// nextDelay returns the wait after the nth attempt that failed, from 1, and false after the last one. since is the time
// since the first.
func nextDelay(event string, n int, since time.Duration) (time.Duration, bool) {
	switch {
	case strings.HasPrefix(event, "COMPLAINT."):
		switch {
		case since >= 7*24*time.Hour:
			return 0, false
		case n == 1:
			return 5 * time.Second, true
		case n <= 11:
			return time.Minute, true
		}
		return 5 * time.Minute, true
	case strings.HasPrefix(event, "ENTRUST."):
		switch {
		case n == 1:
			return time.Second, true
		case n <= 11:
			return time.Minute, true
		case n <= 20:
			return 5 * time.Minute, true
		}
		return 0, false
	case n <= len(usualDelays):
		return usualDelays[n-1], true
	}
	return 0, false
}

// message is a notification that is being delivered.
type message struct {
	Notification
	id    string
	fault NotificationFault

	// form writes an attempt: it sets the headers and returns the body.
	form func(header http.Header, how Signing, now time.Time) []byte
	// taken reports whether an answer acknowledges the notification.
	taken func(status int, body []byte) bool
}

// Notify sends any notification, with the retries of its kind.
func (s *Server) Notify(n Notification) error {
	s.start()
	s.mu.Lock()
	defer s.mu.Unlock()
	to, err := s.merchant(n.MchID)
	if err != nil {
		return err
	}
	s.notify(to, n, time.Now())
	return nil
}

// notify seals a notification and sends it. It is called with the Server locked.
func (s *Server) notify(to *account, n Notification, now time.Time) {
	n.MchID = to.id
	if n.CreateTime == "" {
		n.CreateTime = wireTime(now)
	}
	resource := seal(to.apiV3Key, n.OriginalType, n.Plain)
	resource.OriginalType = n.OriginalType
	id := newUUID()
	body := toJSON(struct {
		ID         string `json:"id"`
		CreateTime string `json:"create_time"`
		Type       string `json:"resource_type"`
		Event      string `json:"event_type"`
		Summary    string `json:"summary"`
		Resource   sealed `json:"resource"`
	}{id, n.CreateTime, "encrypt-resource", n.Event, n.Summary, resource})
	s.sendMessage(&message{
		Notification: n, id: id,
		form: func(header http.Header, how Signing, now time.Time) []byte {
			s.mu.Lock()
			key := to.notificationKey(now)
			s.mu.Unlock()
			header.Set("Content-Type", "application/json")
			return key.signHeader(header, body, how, now)
		},
		taken: func(status int, _ []byte) bool { return status == http.StatusOK || status == http.StatusNoContent },
	})
}

// sendMessage sends a message, with the fault that is due. It is called with the Server locked.
func (s *Server) sendMessage(m *message) {
	m.fault = s.disturbance(m.MchID, m.Event)
	for copy := range m.fault.Copies + 1 {
		s.background(func(ctx context.Context) {
			if wait(ctx, m.fault.Delay+time.Duration(copy)*m.fault.Apart) {
				s.deliver(ctx, m)
			}
		})
	}
}

// deliver makes attempts until one is acknowledged or the table ends.
func (s *Server) deliver(ctx context.Context, m *message) {
	first := time.Now()
	for n := 1; ; n++ {
		if s.attempt(ctx, m, n) {
			return
		}
		d, ok := nextDelay(m.Event, n, time.Since(first))
		if !ok || !wait(ctx, d) {
			return
		}
	}
}

// attempt makes one attempt and reports whether it was acknowledged.
func (s *Server) attempt(ctx context.Context, m *message, n int) bool {
	now := time.Now()
	sent := n - m.fault.Lost
	how := m.fault.Sign
	if sent > max(1, m.fault.Attempts) {
		how = ""
	}
	d := Delivery{ID: m.id, Event: m.Event, MchID: m.MchID, URL: m.URL, Attempt: n, At: now, Header: make(http.Header)}
	taken := false
	if sent > 0 {
		body := m.form(d.Header, how, now)
		d.Body = string(body)
		d.Header.Set("Accept", "*/*")
		d.Header.Set("User-Agent", "Mozilla/4.0")
		d.Header.Set("Request-Id", requestID())
		status, reply, err := s.post(ctx, m.URL, d.Header, body)
		d.Status = status
		if err != nil {
			d.Err = err.Error()
		}
		taken = err == nil && m.taken(status, reply)
	} else {
		d.Err = "lost"
	}
	s.mu.Lock()
	s.deliveries = append(s.deliveries, d)
	if len(s.deliveries) >= 2*maxDeliveries {
		s.deliveries = slices.Clone(s.deliveries[maxDeliveries:])
	}
	s.mu.Unlock()
	return taken
}

func (s *Server) post(ctx context.Context, url string, header http.Header, body []byte) (status int, reply []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("paytest: notify: %w", err)
	}
	r.Header = header.Clone()
	res, err := s.sender.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	reply, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return 0, nil, err
	}
	return res.StatusCode, reply, nil
}

// Deliveries returns the attempts to deliver notifications so far, in the order in which they ended.
func (s *Server) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.deliveries)
}

func newUUID() string {
	x := strings.ToLower(randomHex(32))
	return x[:8] + "-" + x[8:12] + "-5" + x[13:16] + "-a" + x[17:20] + "-" + x[20:]
}

func (s *Server) notifyPaid(o *order, now time.Time) {
	if o.v2 {
		s.v2NotifyPaid(o, now)
		return
	}
	s.notify(o.notified(), Notification{URL: o.notifyURL, Event: "TRANSACTION.SUCCESS", OriginalType: "transaction", Summary: "支付成功", Plain: toJSON(o.transaction())}, now)
}
