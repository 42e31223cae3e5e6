package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	ticketLife  = 12 * time.Hour
	maxTicket   = 1024 // bytes
	maxRecord   = 8 << 10
	swapTries   = 20
	recordLimit = 5 * time.Second // of one call of Records
	retryLimit  = 3 * time.Second // of the fetch that follows a ticket: WeChat waits 5 seconds for the answer
)

// tickets are the last two tickets, as Records keep them.
type tickets struct {
	Newest   ticket `json:"newest"`
	Previous ticket `json:"previous"`
}

type ticket struct {
	Ticket string `json:"ticket"`
	At     int64  `json:"at"` // Unix seconds at which WeChat made it
}

// good returns the tickets that have not ended, the newest first.
func (t tickets) good(now time.Time) (list []ticket) {
	for _, one := range []ticket{t.Newest, t.Previous} {
		if one.Ticket != "" && now.Sub(time.Unix(one.At, 0)) < ticketLife+10*time.Minute { // for clocks that differ
			list = append(list, one)
		}
	}
	return list
}

// SaveTicket keeps a component_verify_ticket that WeChat made at an instant, the CreateTime of the notice. An older ticket than the
// kept one replaces nothing. If the component_access_token failed, it is fetched again at once.
func (p *Platform) SaveTicket(ctx context.Context, value string, at time.Time) error {
	if value == "" || len(value) > maxTicket {
		return p.wrapError(fmt.Errorf("invalid component_verify_ticket: want 1 to %d bytes", maxTicket))
	}
	if err := p.saveTicket(ctx, ticket{value, at.Unix()}); err != nil {
		return p.wrapError(err)
	}
	if p.failed.Load() {
		ctx, cancel := context.WithTimeout(ctx, retryLimit)
		defer cancel()
		_ = p.Retry(ctx) // OnError is called; the ticket is kept
	}
	return nil
}

func (p *Platform) saveTicket(ctx context.Context, t ticket) error {
	for range swapTries {
		kept, raw, err := p.readTickets(ctx)
		if err != nil {
			return err
		}
		switch {
		case t.Ticket == kept.Newest.Ticket, t.Ticket == kept.Previous.Ticket:
			return nil
		case t.At >= kept.Newest.At:
			kept = tickets{Newest: t, Previous: kept.Newest}
		case t.At > kept.Previous.At:
			kept.Previous = t
		default:
			return nil
		}
		if done, err := p.swap(ctx, p.key("tickets"), raw, kept); done || err != nil {
			return err
		}
	}
	return errors.New("save the ticket: others keep changing the record")
}

// readTickets returns the kept tickets, and their record. An invalid record is replaced.
func (p *Platform) readTickets(ctx context.Context) (t tickets, raw []byte, err error) {
	raw, _, err = p.get(ctx, p.key("tickets"))
	if err != nil {
		return t, nil, err
	}
	if len(raw) > maxRecord || json.Unmarshal(raw, &t) != nil || len(t.Newest.Ticket) > maxTicket || len(t.Previous.Ticket) > maxTicket {
		t = tickets{}
	}
	return t, raw, nil
}

// get reads a record.
func (p *Platform) get(ctx context.Context, key string) ([]byte, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, recordLimit)
	defer cancel()
	raw, ok, err := p.records().Get(ctx, key)
	if err != nil {
		return nil, false, fmt.Errorf("read the records: %w", err)
	}
	return raw, ok, nil
}

// swap replaces a record, unless another process has changed it.
func (p *Platform) swap(ctx context.Context, key string, old []byte, v any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, recordLimit)
	defer cancel()
	var next []byte
	if v != nil {
		var err error
		if next, err = json.Marshal(v); err != nil {
			return false, err
		}
	}
	done, err := p.records().Swap(ctx, key, old, next, 0)
	if err != nil {
		return false, fmt.Errorf("write the records: %w", err)
	}
	return done, nil
}
