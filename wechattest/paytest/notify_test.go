package paytest_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

// gaps returns the times between the messages of an inbox.
func (in *inbox) gaps() (list []time.Duration) {
	all := in.all()
	for i := 1; i < len(all); i++ {
		list = append(list, all[i].at.Sub(all[i-1].at))
	}
	return list
}

func anything(event string) paytest.Notification {
	return paytest.Notification{MchID: mchID, URL: hook, Event: event, OriginalType: "any", Plain: []byte(`{"a":1}`)}
}

func TestANotificationComesAgainUntilItIsAcknowledged(t *testing.T) {
	const s, m, h = time.Second, time.Minute, time.Hour
	usual := []time.Duration{15 * s, 15 * s, 30 * s, 3 * m, 10 * m, 20 * m, 30 * m, 30 * m, 30 * m, h, 3 * h, 3 * h, 3 * h, 6 * h, 6 * h}
	var total time.Duration
	for _, d := range usual {
		total += d
	}
	require.Equal(t, 24*h+4*m, total)
	for name, test := range map[string]struct {
		event string
		want  []time.Duration
		count int
	}{
		"a payment":   {"TRANSACTION.SUCCESS", usual, 16},
		"a refund":    {"REFUND.SUCCESS", usual, 16},
		"a transfer":  {"MCHTRANSFER.BILL.FINISHED", usual, 16},
		"a complaint": {"COMPLAINT.CREATE", []time.Duration{5 * s, m, m, m, m, m, m, m, m, m, m, 5 * m, 5 * m}, 2026},
		"a contract":  {"ENTRUST.SIGN", []time.Duration{s, m, m, m, m, m, m, m, m, m, m, 5 * m, 5 * m, 5 * m, 5 * m, 5 * m, 5 * m, 5 * m, 5 * m, 5 * m}, 21},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := &inbox{answer: func(int) int { return 500 }}
				s := newServer(t)
				s.Transport = paytest.InMemory(in)
				c := shop(t, s)
				require.NoError(t, s.Notify(anything(test.event)))
				time.Sleep(8 * 24 * time.Hour)
				require.Equal(t, test.want, in.gaps()[:len(test.want)])
				require.Len(t, in.all(), test.count)
				for i, n := range in.all()[:12] {
					require.NoError(t, c.verify(n.head, n.body))
					require.Equal(t, in.all()[0].body, n.body)
					if i > 0 {
						require.NotEqual(t, in.all()[i-1].head.Get("Wechatpay-Nonce"), n.head.Get("Wechatpay-Nonce"))
						require.NotEqual(t, in.all()[i-1].head.Get("Wechatpay-Timestamp"), n.head.Get("Wechatpay-Timestamp"))
					}
				}
			})
		})
	}
}

func TestOnly200And204AcknowledgeWithin5Seconds(t *testing.T) {
	for status, again := range map[int]bool{200: false, 204: false, 201: true, 202: true, 301: true, 401: true, 500: true} {
		synctest.Test(t, func(t *testing.T) {
			in := &inbox{answer: func(int) int { return status }}
			s := newServer(t)
			s.Transport = paytest.InMemory(in)
			shop(t, s)
			require.NoError(t, s.Notify(anything("A")))
			time.Sleep(10 * time.Second)
			require.Len(t, in.all(), 1)
			require.Equal(t, status, s.Deliveries()[0].Status)
			time.Sleep(10 * time.Second)
			require.Equal(t, again, len(in.all()) > 1, status)
		})
	}
	for took, again := range map[time.Duration]bool{4900 * time.Millisecond: false, 5100 * time.Millisecond: true} {
		synctest.Test(t, func(t *testing.T) {
			in := &inbox{took: took}
			s := newServer(t)
			s.Transport = paytest.InMemory(in)
			shop(t, s)
			require.NoError(t, s.Notify(anything("A")))
			time.Sleep(21 * time.Second)
			require.Equal(t, again, len(in.all()) > 1, took)
			d := s.Deliveries()[0]
			require.Equal(t, again, d.Err != "")
			time.Sleep(10 * time.Second)
		})
	}
}

func TestNotificationsAreDisturbed(t *testing.T) {
	run := func(name string, f paytest.NotificationFault, check func(t *testing.T, s *paytest.Server, c *client, in *inbox)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := new(inbox)
				in.answer = func(int) int { return 204 }
				s := newServer(t)
				s.Transport = paytest.InMemory(in)
				c := shop(t, s)
				f.Times = 1
				s.AddNotificationFault(f)
				require.NoError(t, s.Notify(anything("FIRST")))
				require.NoError(t, s.Notify(anything("SECOND")))
				time.Sleep(time.Hour)
				check(t, s, c, in)
			})
		})
	}
	events := func(c *client, in *inbox) (list []string) {
		for _, n := range in.got(c) {
			list = append(list, n.Event)
		}
		return list
	}
	run("lost", paytest.NotificationFault{Lost: 2}, func(t *testing.T, s *paytest.Server, c *client, in *inbox) {
		require.Equal(t, []string{"SECOND", "FIRST"}, events(c, in))
		require.Equal(t, 30*time.Second, in.gaps()[0])
		require.Len(t, s.Deliveries(), 4)
	})
	run("late", paytest.NotificationFault{Delay: time.Minute}, func(t *testing.T, _ *paytest.Server, c *client, in *inbox) {
		require.Equal(t, []string{"SECOND", "FIRST"}, events(c, in))
		require.Equal(t, time.Minute, in.gaps()[0])
	})
	run("of another event", paytest.NotificationFault{Event: "SECOND", Delay: time.Minute}, func(t *testing.T, _ *paytest.Server, c *client, in *inbox) {
		require.Equal(t, []string{"FIRST", "SECOND"}, events(c, in))
	})
	run("to another merchant", paytest.NotificationFault{MchID: "1", Delay: time.Minute}, func(t *testing.T, _ *paytest.Server, _ *client, in *inbox) {
		require.Zero(t, in.gaps()[0])
	})
	run("copies at once", paytest.NotificationFault{Event: "SECOND", Copies: 2}, func(t *testing.T, _ *paytest.Server, c *client, in *inbox) {
		require.Len(t, in.all(), 4)
		require.Zero(t, in.all()[3].at.Sub(in.all()[0].at))
		ids := map[string]int{}
		for _, n := range in.got(c) {
			ids[n.ID]++
			require.NoError(t, c.verify(n.head, n.body))
		}
		require.Len(t, ids, 2)
	})
	run("copies one after the other", paytest.NotificationFault{Copies: 1, Apart: time.Minute}, func(t *testing.T, _ *paytest.Server, c *client, in *inbox) {
		require.Equal(t, []time.Duration{0, time.Minute}, in.gaps())
	})
	for how, wrong := range map[paytest.Signing]string{
		paytest.Forged: "verification", paytest.Unknown: "no key", paytest.Probe: "base64", paytest.Altered: "verification",
		paytest.Truncated: "verification", paytest.Unsigned: "no key", paytest.Stale: "",
	} {
		run(string(how), paytest.NotificationFault{Sign: how, Lost: 1}, func(t *testing.T, _ *paytest.Server, c *client, in *inbox) {
			n := in.all()[1]
			err := c.verify(n.head, n.body)
			if wrong != "" {
				require.ErrorContains(t, err, wrong)
				return
			}
			require.NoError(t, err)
			stamp, err := time.ParseDuration(n.head.Get("Wechatpay-Timestamp") + "s")
			require.NoError(t, err)
			require.Equal(t, 10*time.Minute, n.at.Sub(time.Unix(0, 0).Add(stamp)))
		})
	}
}

func TestAWrongSignatureIsFollowedByATrueOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		var c *client
		in := new(inbox)
		in.answer = func(n int) int {
			if c.verify(in.all()[n].head, in.all()[n].body) != nil {
				return http.StatusUnauthorized
			}
			return 204
		}
		s.Transport = paytest.InMemory(in)
		c = shop(t, s)
		s.AddNotificationFault(paytest.NotificationFault{Sign: paytest.Probe, Attempts: 2})
		c.paid(s, "order-1", 1)
		time.Sleep(time.Hour)
		require.Len(t, in.all(), 3)
		for i, n := range in.all() {
			signature := n.head.Get("Wechatpay-Signature")
			require.Equal(t, i < 2, strings.HasPrefix(signature, "WECHATPAY/SIGNTEST/"))
			_, err := base64.StdEncoding.DecodeString(signature)
			require.Equal(t, i < 2, err != nil)
		}
		require.Len(t, in.all()[0].head.Get("Wechatpay-Signature"), 355)
	})
}

type brokenTransport struct{}

func (brokenTransport) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("no route")
}

func TestCloseEndsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.Transport = brokenTransport{}
		c := shop(t, s)
		c.paid(s, "order-1", 100)
		s.RefundAfter = time.Hour
		c.do("POST", refunds, refund("r1", "order-1", 1, 100))
		time.Sleep(time.Minute)
		require.NotEmpty(t, s.Deliveries())
		require.Contains(t, s.Deliveries()[0].Err, "no route")
		s.Close() // the bubble fails the test when goroutines are left
		s.Close()
		require.NoError(t, s.Notify(anything("A")))
		require.Equal(t, "REFUND", c.state("order-1"))
		require.Error(t, s.Notify(paytest.Notification{MchID: "1"}))
	})
}
