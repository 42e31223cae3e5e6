package handlers

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/wetoken/wetoken/examples/shop/shop"
)

const (
	streamLife  = 30 * time.Minute // after it the browser opens another one, if the session has not ended
	streamBeat  = 20 * time.Second // proxies close connections that are silent
	streamWrite = 10 * time.Second // the time to write an event
	streamsEach = 8                // of a user
)

// streams counts the open streams of each user.
type streams struct {
	mu   sync.Mutex
	open map[int64]int
}

// enter reports whether a user may open one more.
func (s *streams) enter(user int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[user] >= streamsEach {
		return false
	}
	if s.open == nil {
		s.open = make(map[int64]int)
	}
	s.open[user]++
	return true
}

func (s *streams) leave(user int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[user]--; s.open[user] == 0 {
		delete(s.open, user)
	}
}

// streamOrder sends server-sent events: "state" has the order's part of the page, whenever it has changed, and "end" follows the last one.
func (s *site) streamOrder(w http.ResponseWriter, r *http.Request, u shop.User) {
	no := r.PathValue("no")
	if _, err := s.Shop.Order(r.Context(), u, no); err != nil {
		status, _ := explainFault(r, err)
		http.Error(w, http.StatusText(status), status)
		return
	}
	if !s.streams.enter(u.ID) {
		http.Error(w, http.StatusText(http.StatusTooManyRequests), http.StatusTooManyRequests)
		return
	}
	defer s.streams.leave(u.ID)
	ctx, cancel := context.WithTimeout(r.Context(), streamLife)
	defer cancel()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // nginx passes each event on at once

	send := func(event string) bool {
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(time.Now().Add(streamWrite)) // a writer without deadlines waits longer
		_, err := w.Write([]byte(event))
		return err == nil && control.Flush() == nil
	}
	changes, state := s.changes(ctx, no), shop.NotPaid
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	for going := true; going; {
		select {
		case o, more := <-changes:
			if !more {
				if state != shop.NotPaid { // otherwise the browser opens another one
					send("event: end\ndata:\n\n")
				}
				return
			}
			state = o.State
			going = send(s.event(r, o))
		case <-beat.C:
			going = send(":\n\n")
		case <-s.Stop:
			return
		}
	}
}

// changes sends an order whenever it has changed. The channel is closed after the last change, after an error, and when ctx ends.
func (s *site) changes(ctx context.Context, no string) <-chan shop.Order {
	orders := make(chan shop.Order)
	go func() {
		defer close(orders)
		for o, err := range s.Shop.Changes(ctx, no) {
			if err != nil {
				if ctx.Err() == nil {
					slog.ErrorContext(ctx, "handlers: changes of order "+no+": "+err.Error())
				}
				return
			}
			select {
			case orders <- o:
			case <-ctx.Done():
				return
			}
		}
	}()
	return orders
}

// event returns the event "state" of an order.
func (s *site) event(r *http.Request, o shop.Order) string {
	var part bytes.Buffer
	if err := pages[languageOf(r)].ExecuteTemplate(&part, "state", orderView{o, s.Phone}); err != nil {
		slog.ErrorContext(r.Context(), "handlers: part of a page: "+err.Error())
		return ":\n\n"
	}
	return fmt.Sprintf("event: state\nid: %s\ndata: %s\n\n", version(o), strings.ReplaceAll(part.String(), "\n", "\ndata: "))
}
