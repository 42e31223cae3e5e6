package gateway_test

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// service is a backend in memory that books each transaction once, by its id.
type service struct {
	mu     sync.Mutex
	reply  func(w http.ResponseWriter)
	calls  int
	booked map[string]int // by transaction
	ids    map[string]bool
}

func (s *service) set(reply func(w http.ResponseWriter)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply = reply
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	done := make(chan *http.Response, 1)
	go func() {
		s.mu.Lock()
		s.calls++
		s.ids[r.Header.Get("Wetoken-Delivery")] = true
		reply := s.reply
		s.mu.Unlock()
		w := httptest.NewRecorder()
		if reply != nil {
			reply(w)
		}
		var report struct {
			ID    string `json:"transaction_id"`
			Event string `json:"event_type"`
		}
		if json.Unmarshal(body, &report) == nil && w.Code == http.StatusOK {
			s.mu.Lock()
			s.booked[report.Event+" "+report.ID]++
			s.mu.Unlock()
		}
		done <- w.Result()
	}()
	select {
	case resp := <-done:
		return resp, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func (s *service) count() (calls, booked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls, len(s.booked)
}

// bubble is a gateway with payments in a synctest bubble.
type bubble struct {
	pay     *paytest.Server
	gateway *gateway.Gateway
	service *service
	log     *syncBuffer
}

// inBubble runs a test with a gateway that runs, whose options are modified by change.
func inBubble(t *testing.T, notifySync bool, test func(t *testing.T, b *bubble), change ...func(*gateway.Options)) {
	payKeys()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{service: &service{booked: map[string]int{}, ids: map[string]bool{}}, log: new(syncBuffer)}
		public := func(w http.ResponseWriter, r *http.Request) { b.gateway.Public().ServeHTTP(w, r) }
		b.pay = &paytest.Server{Transport: paytest.InMemory(http.HandlerFunc(public)), GenerateKey: func() (*rsa.PrivateKey, error) { return payKeys()[1], nil }}
		defer b.pay.Close()
		shown := b.pay.AddMerchant(paytest.Merchant{MchID: mchID, Key: payKeys()[0]})
		options := gateway.Options{
			Config: gateway.Config{
				PublicURL: "https://wx.example.com",
				Keys:      []gateway.Key{{Name: "pay", Key: payKey, Apps: []string{"*"}, Scopes: []string{"pay"}}},
				Merchants: map[string]gateway.Merchant{"m1": {MchID: mchID, V3: &gateway.APIv3{
					APIv3Key: shown.APIv3Key, Cert: shown.Certificate, PrivateKey: shown.PrivateKey, PublicKeyID: shown.PublicKeyID, PublicKey: shown.PublicKey,
				}}},
				Apps: map[string]gateway.App{"shop": {AppID: shopID, Secret: secret, SignKey: signKey, Pay: &gateway.Pay{Merchant: "m1", NotifyTo: "http://shop:8000/paid", NotifySync: notifySync}},
					"silent": {AppID: corpID, Secret: secret, Pay: &gateway.Pay{Merchant: "m1"}}},
			},
			Records: new(store.Memory), HTTP: b.pay.Client(), Log: slog.New(slog.NewTextHandler(b.log, nil)),
		}
		for _, f := range change {
			f(&options)
		}
		g, err := gateway.New(options)
		require.NoError(t, err)
		b.gateway = g
		gateway.SetBackends(g, &http.Client{Transport: b.service})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = g.Run(ctx) }()
		defer func() { cancel(); <-ended }()
		test(t, b)
	})
}

// call makes a request of the private side.
func (b *bubble) call(method, path, body string) *httptest.ResponseRecorder {
	return b.callWith(payKey, method, path, body)
}

func (b *bubble) callWith(key, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	b.gateway.Private().ServeHTTP(w, r)
	return w
}

// buy places an order and pays it.
func (b *bubble) buy(t *testing.T, no string) {
	require.Equal(t, http.StatusOK, b.call("POST", "/app/shop/pay/orders", orderOf(no)).Code)
	_, err := b.pay.Pay(mchID, no, "o1")
	require.NoError(t, err)
}

var backends = map[string]func(w http.ResponseWriter){
	"down": func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
	"refuses": func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"errcode":"500"}`)
	},
	"slow": func(w http.ResponseWriter) {
		<-time.After(10 * time.Minute)
		w.WriteHeader(http.StatusTeapot)
	},
	"moved": func(w http.ResponseWriter) {
		w.Header().Set("Location", "http://evil/")
		w.WriteHeader(http.StatusFound)
	},
}

func TestAPaymentIsReportedAfterDaysWithoutItsBackend(t *testing.T) {
	for _, notifySync := range []bool{false, true} {
		for name, reply := range backends {
			t.Run(map[bool]string{false: "outbox ", true: "notify_sync "}[notifySync]+name, func(t *testing.T) {
				hours := 2
				if testform.Long() || testform.Full() && name == "down" && !notifySync {
					hours = 73
				}
				inBubble(t, notifySync, func(t *testing.T, b *bubble) {
					b.service.set(reply)
					b.buy(t, "order-1")
					<-time.After(time.Duration(hours) * time.Hour)
					calls, booked := b.service.count()
					require.Zero(t, booked)
					require.Greater(t, calls, 4*hours)
					b.service.set(func(w http.ResponseWriter) { _, _ = io.WriteString(w, "garbage") })
					<-time.After(25 * time.Minute) // one that is slow ends first
					calls, booked = b.service.count()
					require.Equal(t, 1, booked)
					<-time.After(time.Hour)
					after, _ := b.service.count()
					require.Equal(t, calls, after, "it is reported no more")
					require.Len(t, b.service.ids, 1, "each report has the same id")
				})
			})
		}
	}
}

// TestEveryReportOutlivesWeChatsDay covers the notifications that no record of pay repeats.
func TestEveryReportOutlivesWeChatsDay(t *testing.T) {
	for _, notifySync := range []bool{false, true} {
		inBubble(t, notifySync, func(t *testing.T, b *bubble) {
			b.service.set(backends["down"])
			down := 26 * time.Hour
			if testform.Long() {
				down = 73 * time.Hour
			}
			events := []string{"PROFITSHARING", "PROFITSHARING_RETURN", "MCHWITHDRAW.CHANGE", "SOMETHING.NEW"}
			for _, event := range events {
				require.NoError(t, b.pay.Notify(paytest.Notification{
					MchID: mchID, URL: "https://wx.example.com/app/shop/pay/notify", Event: event, OriginalType: "x", Plain: []byte(`{"transaction_id":"1"}`),
				}))
			}
			<-time.After(6 * time.Minute)
			all, err := b.gateway.Relays(t.Context())
			require.NoError(t, err)
			require.Len(t, all, len(events), "notify_sync %t", notifySync)
			require.Contains(t, b.call("GET", "/readyz", "").Body.String(), "oldest_report_seconds")
			require.Contains(t, b.log.text(), "reports of payments wait")

			<-time.After(down)
			require.Empty(t, b.service.booked)
			answered := len(b.pay.Deliveries())
			for _, d := range b.pay.Deliveries() {
				require.Equal(t, notifySync, d.Status == http.StatusServiceUnavailable)
			}
			b.service.set(nil)
			<-time.After(time.Hour)
			for _, event := range events {
				require.Equal(t, 1, b.service.booked[event+" 1"], event)
			}
			require.Len(t, b.service.ids, len(events), "each has one id")
			require.Len(t, b.pay.Deliveries(), answered, "WeChat has given up")
			all, err = b.gateway.Relays(t.Context())
			require.NoError(t, err)
			require.Empty(t, all)
		})
	}
}

func TestNotifySyncWaitsInTheOutboxAndIsBookedOnce(t *testing.T) {
	inBubble(t, true, func(t *testing.T, b *bubble) {
		b.service.set(backends["down"])
		b.buy(t, "order-1")
		<-time.After(20 * time.Second)
		all, err := b.gateway.Relays(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1)
		b.service.set(nil)
		<-time.After(2 * time.Hour)
		deliveries := b.pay.Deliveries()
		require.Equal(t, http.StatusNoContent, deliveries[len(deliveries)-1].Status, "WeChat reads of the acceptance")
		require.Len(t, b.service.booked, 1)
		for _, times := range b.service.booked {
			require.Equal(t, 1, times)
		}

		b.service.set(backends["down"])
		b.buy(t, "order-2")
		<-time.After(time.Hour)
		all, err = b.gateway.Relays(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.NoError(t, b.gateway.DropRelay(t.Context(), all[0].Handle))
		b.service.set(nil)
		<-time.After(30 * time.Hour)
		require.Len(t, b.service.booked, 1, "a person has ended it")
	})
}

func TestWithoutNotifyToNothingAboutMoneyIsAcknowledgedUnseen(t *testing.T) {
	inBubble(t, false, func(t *testing.T, b *bubble) {
		for _, event := range []string{"PROFITSHARING", "SOMETHING.NEW"} {
			require.NoError(t, b.pay.Notify(paytest.Notification{
				MchID: mchID, URL: "https://wx.example.com/app/silent/pay/notify", Event: event, OriginalType: "x", Plain: []byte(`{"a":1}`),
			}))
		}
		<-time.After(10 * time.Second)
		for _, d := range b.pay.Deliveries() {
			want := map[string]int{"PROFITSHARING": http.StatusServiceUnavailable, "SOMETHING.NEW": http.StatusNoContent}[d.Event]
			require.Equal(t, want, d.Status, d.Event)
		}
		require.Contains(t, b.log.text(), "PROFITSHARING is about money")
	})
}

func TestABackendThatTakesTenSecondsIsCalledOnce(t *testing.T) {
	inBubble(t, false, func(t *testing.T, b *bubble) {
		b.service.set(func(http.ResponseWriter) { <-time.After(10 * time.Second) })
		b.buy(t, "order-1")
		<-time.After(time.Hour)
		calls, booked := b.service.count()
		require.Equal(t, [2]int{1, 1}, [2]int{calls, booked})
		require.Equal(t, http.StatusNoContent, b.pay.Deliveries()[0].Status, "WeChat does not wait for it")
	})
}

func TestWeChatReads503UntilNotifySyncHasAccepted(t *testing.T) {
	inBubble(t, true, func(t *testing.T, b *bubble) {
		b.service.set(func(http.ResponseWriter) { <-time.After(10 * time.Second) }) // it books, and its answer is too late
		b.buy(t, "order-1")
		<-time.After(10 * time.Second)
		require.Equal(t, http.StatusServiceUnavailable, b.pay.Deliveries()[0].Status)
		b.service.set(nil)
		<-time.After(time.Minute)
		deliveries := b.pay.Deliveries()
		require.Equal(t, http.StatusNoContent, deliveries[len(deliveries)-1].Status)
		require.Len(t, b.service.ids, 1)
	})
}

func TestAReportThatWaitsIsOnReadyzAndInTheLog(t *testing.T) {
	inBubble(t, false, func(t *testing.T, b *bubble) {
		b.service.set(backends["down"])
		require.JSONEq(t, `{"errcode":0,"errmsg":"ok"}`, b.call("GET", "/readyz", "").Body.String())
		b.buy(t, "order-1")
		<-time.After(4 * time.Minute)
		require.NotContains(t, b.log.text(), "reports of payments wait")
		<-time.After(2 * time.Minute)
		require.Contains(t, b.log.text(), "reports of payments wait")
		w := b.call("GET", "/readyz", "")
		require.Equal(t, http.StatusOK, w.Code)
		var ready struct {
			Oldest int `json:"oldest_report_seconds"`
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &ready))
		require.InDelta(t, 360, ready.Oldest, 20)
		all, err := b.gateway.Relays(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.NoError(t, b.gateway.DropRelay(t.Context(), all[0].Handle))
		<-time.After(time.Minute)
		require.JSONEq(t, `{"errcode":0,"errmsg":"ok"}`, b.call("GET", "/readyz", "").Body.String())
	})
}

func TestRefusedNotificationsAreLoggedOnceAMinute(t *testing.T) {
	inBubble(t, false, func(t *testing.T, b *bubble) {
		notify := func(body io.Reader) {
			r := httptest.NewRequest("POST", "/app/shop/pay/notify", body)
			for key, value := range map[string]string{"Nonce": "n", "Signature": "AAAA", "Serial": "PUB_KEY_ID_1", "Timestamp": fmt.Sprint(time.Now().Unix())} {
				r.Header.Set("Wechatpay-"+key, value)
			}
			w := httptest.NewRecorder()
			b.gateway.Public().ServeHTTP(w, r)
			require.GreaterOrEqual(t, w.Code, 400)
		}
		for range 50 {
			notify(strings.NewReader("{}"))
			notify(iotest.ErrReader(io.ErrUnexpectedEOF))
		}
		require.Equal(t, 2, strings.Count(b.log.text(), "msg=payment "), b.log.text())
		<-time.After(time.Minute)
		notify(strings.NewReader("{}"))
		require.Equal(t, 3, strings.Count(b.log.text(), "msg=payment "))
		require.Contains(t, b.log.text(), "repeats=49")
	})
}
