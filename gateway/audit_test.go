package gateway_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

// safeBuffer is a log that goroutines write.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *safeBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(s, nil)) }

type auditPage struct {
	Entries []gateway.AuditEntry
	Next    string
}

func readAudit(t *testing.T, g *gateway.Gateway, query string) (p auditPage) {
	t.Helper()
	w := askAdmin(t, g, adminKey, "GET", "/audit"+query, "", &p)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	return p
}

// acts returns the entries as event/action/caller/app texts.
func (p auditPage) acts() (list []string) {
	for _, e := range p.Entries {
		list = append(list, strings.Join([]string{e.Event, e.Action, e.Caller, e.App}, "|"))
	}
	return list
}

func TestActsAreRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records, wx := newSealed(t, new(store.Memory)), newWeChat()
		var log safeBuffer
		g := openGateway(t, records, wx, withAdmins, func(o *gateway.Options) { o.Log = log.logger() })
		other := openGateway(t, records, wx, withAdmins)
		begun := time.Now()
		require.Equal(t, auditPage{Entries: []gateway.AuditEntry{}}, readAudit(t, g, ""))

		_, first := serveDirectly(t, g.Private(), "GET", "/app/shop/token", allKey, "")
		advance(time.Second)
		wx.Refuse(first.Token)
		status, _ := serveDirectly(t, g.Private(), "POST", "/app/shop/token", allKey, `{"refused":"`+first.Token+`"}`)
		require.Equal(t, 200, status)
		advance(time.Second)
		require.Equal(t, 201, askAdmin(t, other, adminKey, "POST", "/keys", `{"name":"a","apps":["shop"],"scopes":["token"]}`, nil).Code)
		advance(time.Second)
		require.Equal(t, 403, askAdmin(t, g, allKey, "GET", "/keys", "", nil).Code)
		require.Equal(t, 403, askAdmin(t, g, allKey, "POST", "/app/shop/retry", "", nil).Code)
		advance(time.Second)
		for range 50 {
			require.Equal(t, 401, askAdmin(t, g, "a-secret-guess-of-a-key", "GET", "/keys", "", nil).Code)
		}
		synctest.Wait()
		for _, g := range []*gateway.Gateway{g, other} {
			p := readAudit(t, g, "")
			require.Equal(t, []string{
				"failed key|GET /keys||", "refused|GET /keys|all|", "refused|POST /retry|all|shop",
				"caller key|create|root|", "change|POST /token|all|shop",
			}, sortSame(p.acts(), 1, 3))
			require.Equal(t, "192.0.2.44", p.Entries[0].From)
			require.Equal(t, map[string]any{"reason": "unknown key"}, p.Entries[0].Details)
			require.Equal(t, map[string]any{"name": "a", "result": "ok"}, p.Entries[3].Details)
			require.Equal(t, begun.Add(2*time.Second).UTC(), p.Entries[3].At)
		}
		since := url.QueryEscape(begun.Add(3 * time.Second).Format(time.RFC3339))
		require.Len(t, readAudit(t, g, "?since="+since).Entries, 3)
		require.Len(t, readAudit(t, g, "?app=shop").Entries, 2)
		require.Len(t, readAudit(t, g, "?app=shop&since="+since).Entries, 1)
		require.Len(t, readAudit(t, g, "?caller=root").Entries, 1)
		require.Empty(t, readAudit(t, g, "?caller=nobody").Entries)
		for _, line := range []string{"msg=change", `msg="caller key"`, "msg=refused", `msg="failed key"`} {
			if line != `msg="caller key"` { // which the other one has logged
				require.Contains(t, log.String(), line)
			}
		}
		require.Equal(t, 1, strings.Count(log.String(), `msg="failed key"`))
		for _, hidden := range []string{"a-secret-guess", first.Token, secret, allKey, adminKey} {
			require.NotContains(t, log.String(), hidden)
			require.NotContains(t, fmt.Sprint(readAudit(t, g, "")), hidden)
		}

		advance(199 * 24 * time.Hour)
		require.Len(t, readAudit(t, g, "").Entries, 5)
		advance(3 * 24 * time.Hour)
		require.Empty(t, readAudit(t, g, "").Entries)
	})
}

// sortSame puts list[from:to], which have the same time, into one order.
func sortSame(list []string, from, to int) []string {
	if len(list) >= to && list[from] > list[to-1] {
		list[from], list[to-1] = list[to-1], list[from]
	}
	return list
}

func TestTheAuditIsReadInPagesAndExported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := new(store.Memory)
		records := newSealed(t, raw)
		var log safeBuffer
		open := func() *gateway.Gateway {
			return openGateway(t, records, newWeChat(), withAdmins, func(o *gateway.Options) { o.Log = log.logger() })
		}
		writers := []*gateway.Gateway{open(), open(), open()}
		total := 0
		for day := range 4 {
			for i := range 150 {
				for n, g := range writers {
					if (i+n)%2 == 0 {
						total++
						g.Audits().Add(t.Context(), gateway.AuditEntry{Event: "payment call", Action: "refund", App: fmt.Sprint("app", n), Details: map[string]any{"number": fmt.Sprint(day, "-", i, "-", n), "fen": 1}})
					}
				}
				advance(time.Second)
			}
			advance(24 * time.Hour)
		}
		g := open()
		read := func(query string) (numbers []any) {
			seen := make(map[any]bool)
			last := time.Now()
			for next := ""; ; {
				p := readAudit(t, g, "?limit=70&next="+next+query)
				for _, e := range p.Entries {
					require.False(t, seen[e.Details["number"]], "twice: %v", e)
					require.False(t, e.At.After(last), "in order")
					last = e.At
					seen[e.Details["number"]] = true
					numbers = append(numbers, e.Details["number"])
				}
				if next = p.Next; next == "" {
					return numbers
				}
			}
		}
		require.Len(t, read(""), total)
		require.Len(t, read("&app=app1"), total/3)

		export := func(accept, query string) (numbers []any) {
			r := httptest.NewRequest("GET", "/audit"+query, nil)
			r.Header.Set("Authorization", "Bearer "+adminKey)
			r.Header.Set("Accept", accept)
			w := httptest.NewRecorder()
			g.Private().ServeHTTP(w, r)
			require.Equal(t, 200, w.Code)
			require.Equal(t, "application/x-ndjson", w.Header().Get("Content-Type"))
			for lines := bufio.NewScanner(w.Body); lines.Scan(); {
				var e gateway.AuditEntry
				require.NoError(t, json.Unmarshal(lines.Bytes(), &e))
				require.NotZero(t, e.At)
				numbers = append(numbers, e.Details["number"])
			}
			return numbers
		}
		require.Equal(t, read(""), export("", "?format=jsonl"))
		require.Equal(t, read("&app=app2"), export("text/html, application/x-ndjson;q=0.9", "?app=app2"))
		require.Empty(t, export("", "?format=jsonl&app=none"))

		// Somebody plants records, and destroys one.
		var broken int
		for key, err := range raw.Keys(t.Context(), "audit/") {
			require.NoError(t, err)
			if strings.HasSuffix(key, "/1") && broken == 0 {
				broken++
				require.NoError(t, raw.Set(t.Context(), key, []byte("planted"), 0))
			}
		}
		require.Equal(t, 1, broken)
		require.NoError(t, raw.Set(t.Context(), "audit/"+time.Now().UTC().Format(time.DateOnly), []byte("planted"), 0))
		require.Len(t, read(""), total-11, "each writer has 64 and 11 entries a day")
		require.Equal(t, 1, strings.Count(log.String(), "audit records cannot be read"), log.String())
		g.Audits().Add(t.Context(), gateway.AuditEntry{Event: "x", Details: map[string]any{"number": "last"}})
		require.Equal(t, "last", read("")[0], "the record of the day is replaced")
	})
}

func TestEntriesWaitForTheRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := &countedStore{Store: new(store.Memory)}
		var log safeBuffer
		g := openGateway(t, records, newWeChat(), withAdmins, func(o *gateway.Options) {
			o.Store, o.Log = new(store.Memory), log.logger()
		})
		add := func(n int) {
			g.Audits().Add(t.Context(), gateway.AuditEntry{Event: "payment call", Details: map[string]any{"number": n, "result": "ok"}})
		}
		add(0)
		records.away.Store(true)
		begun := time.Now()
		for n := range 1100 {
			add(n + 1)
		}
		synctest.Wait()
		require.Less(t, time.Since(begun), 3*time.Second, "nobody waits for records that are away")
		require.Equal(t, 1101, strings.Count(log.String(), `msg="payment call"`), "the log has all")
		require.Equal(t, 1, strings.Count(log.String(), "audit entries cannot be recorded"))
		require.Equal(t, 1, strings.Count(log.String(), "audit entries are lost"))
		require.Equal(t, 503, askAdmin(t, g, adminKey, "GET", "/audit", "", nil).Code)
		records.away.Store(false)
		add(2000) // is lost, too, but has the others written
		synctest.Wait()
		add(2001)
		p := readAudit(t, g, "?limit=1000")
		require.EqualValues(t, 2001, p.Entries[0].Details["number"])
		require.NotEmpty(t, p.Next)
		require.Len(t, append(p.Entries, readAudit(t, g, "?limit=1000&next="+p.Next).Entries...), 1+1000+1)
	})
}

// A caller that repeats a call does not fill the records.
func TestRepeatedActsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins)
		renew := func() {
			status, _ := serveDirectly(t, g.Private(), "POST", "/app/shop/token", allKey, `{"refused":"another"}`)
			require.Equal(t, 200, status)
		}
		renew()
		for range 299 {
			renew()
		}
		require.Len(t, readAudit(t, g, "?limit=1000").Entries, 60)
		advance(time.Minute)
		renew()
		p := readAudit(t, g, "?limit=1000")
		require.Len(t, p.Entries, 61)
		require.EqualValues(t, 240, p.Entries[0].Details["skipped"])
	})
}

func TestMoneyThatHasMovedIsRecorded(t *testing.T) {
	d := openTill(t, func(d *till) {
		d.config.Keys = append(d.config.Keys, gateway.Key{Name: "root", Key: adminKey, Apps: []string{"*"}, Scopes: []string{"admin"}})
	})
	d.place(t, payKey, "shop", "order-1")
	_, err := d.pay.Pay(mchID, "order-1", "o1")
	require.NoError(t, err)
	require.Equal(t, 200, first(d.call(t, refundKey, "POST /app/shop/pay/refunds", `{"out_trade_no":"order-1","out_refund_no":"r1","fen":30}`)))
	for range 100 { // a backend that repeats a refused call
		require.Equal(t, 403, first(d.call(t, refundKey, "POST /app/shop/pay/refunds", `{"out_trade_no":"order-1","out_refund_no":"r2","fen":90}`)))
	}
	p := readAudit(t, d.gateway, "?app=shop")
	require.Equal(t, []string{"payment call|refund|refund|shop", "payment call|refund|refund|shop"}, p.acts(), "and not the order")
	require.Equal(t, map[string]any{"number": "r1", "fen": 30.0, "result": "ok"}, p.Entries[1].Details)
	require.Equal(t, "denied", p.Entries[0].Details["result"])
}

func first[V any](status int, _ V) int { return status }
