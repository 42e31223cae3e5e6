package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/journal"
	"github.com/wetoken/wetoken/internal/logline"
)

const (
	defaultAuditDays = 200
	maxAuditDays     = 3650

	maxAuditText   = 256 // bytes of a text in an entry
	maxAuditWait   = time.Second
	auditPoll      = 5 * time.Second // between tries to write what waits for the records
	auditPageLimit = 1000
)

// Audits is the record of who did what: forced renewals, registrations, changes of caller keys, calls that move money out, calls of
// administrators that were refused, and failed caller keys. Each entry is a line in the log, too, and is kept in the records for
// audit_days. Nothing changes or removes it before.
//
// While the records cannot be written, calls are served all the same, and up to 1000 entries wait in memory. Entries that are lost
// are reported in the log, whose lines remain. In each process and minute, outsiders cause at most 10 entries; and one caller, app and
// event has at most 60, except for calls that have moved money, or may have, and for changes by administrators.
type Audits struct{ gateway *Gateway }

// Audits returns the record of who did what.
func (g *Gateway) Audits() *Audits { return &Audits{g} }

// AuditEntry is one act.
type AuditEntry struct {
	At     time.Time `json:"at"`
	Event  string    `json:"event"`            // such as payment call
	Action string    `json:"action,omitempty"` // such as refund
	Caller string    `json:"caller,omitempty"` // name of its key, or of the user of a command
	App    string    `json:"app,omitempty"`    // its name at the time
	From   string    `json:"from,omitempty"`   // address of the caller

	Details map[string]any `json:"details,omitempty"` // such as number, fen, result and reason: texts, numbers and booleans
}

// AuditFilter selects entries. Empty fields select all.
type AuditFilter struct {
	App, Caller string
	Since       time.Time
}

// Add logs and records an entry, whose At is now. It waits up to a second for the records.
func (a *Audits) Add(ctx context.Context, e AuditEntry) {
	var args []any
	for _, f := range [][2]string{{"caller", e.Caller}, {"app", e.App}, {"action", e.Action}, {"from", e.From}} {
		if f[1] != "" {
			args = append(args, f[0], f[1])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Details)) {
		args = append(args, name, e.Details[name])
	}
	a.gateway.audit(ctx, e.Event, args...)
}

// Page returns at most limit entries, the newest first, of those before the position before; "" is the newest. next is the position
// of the next page, or "" after the last one. A page may have fewer entries, or none, although others follow.
func (a *Audits) Page(ctx context.Context, f AuditFilter, before string, limit int) (list []AuditEntry, next string, err error) {
	from, err := journal.ParsePosition(before)
	if err != nil {
		return nil, "", &SettingError{"next", "is no position that an earlier page has returned"}
	}
	limit = min(max(limit, 1), auditPageLimit)
	_, to, unreadable, err := a.gateway.journal.Page(ctx, from, f.Since, limit, func(e journal.Entry) bool {
		var entry AuditEntry
		if json.Unmarshal(e.Data, &entry) != nil {
			return false
		}
		entry.At = e.At
		if f.App != "" && entry.App != f.App || f.Caller != "" && entry.Caller != f.Caller {
			return false
		}
		list = append(list, entry)
		return true
	})
	if unreadable.Records > 0 {
		if ok, more := a.gateway.warnings.Allow("audit records"); ok {
			a.gateway.log.ErrorContext(ctx, "audit records cannot be read, and are left out", "records", unreadable.Records, "error", unreadable.First, "repeats", more)
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("gateway: read the audit: %w", err)
	}
	return list, to.String(), nil
}

// All yields all entries, the newest first.
func (a *Audits) All(ctx context.Context, f AuditFilter) iter.Seq2[AuditEntry, error] {
	return func(yield func(AuditEntry, error) bool) {
		for next := ""; ; {
			list, after, err := a.Page(ctx, f, next, auditPageLimit)
			if err != nil {
				yield(AuditEntry{}, err)
				return
			}
			for _, e := range list {
				if !yield(e, nil) {
					return
				}
			}
			if next = after; next == "" {
				return
			}
		}
	}
}

// newJournal returns the journal of audit entries.
func (g *Gateway) newJournal(days int) *journal.Journal {
	if days == 0 {
		days = defaultAuditDays
	}
	return &journal.Journal{Store: g.records, Prefix: "audit", Keep: time.Duration(days) * 24 * time.Hour, OnError: func(ctx context.Context, err error) {
		if isReported(err) {
			return
		}
		if ok, more := g.warnings.Allow("audit writes"); ok {
			g.log.WarnContext(ctx, "audit entries cannot be recorded, and are tried again", "error", err, "repeats", more)
		}
	}}
}

// audit logs and records who did what. args are those of slog.Logger.Log, as pairs; they have no secret. It waits up to a second for
// the records.
func (g *Gateway) audit(ctx context.Context, event string, args ...any) {
	logline.Audit(ctx, g.log, event, args...)
	e := newAuditEntry(event, args)
	if mayRepeat(e) {
		now, more := g.repeated.allow(auditKind{event, e.Caller, e.App})
		if !now {
			return // the log has it
		}
		if more > 0 {
			e.Details["skipped"] = more
		}
	}
	done := g.record(ctx, e)
	if done == nil {
		return
	}
	wait := time.NewTimer(maxAuditWait)
	defer wait.Stop()
	select {
	case <-done:
	case <-wait.C:
	case <-ctx.Done():
	}
}

// record adds an entry to the journal. It does not wait.
func (g *Gateway) record(ctx context.Context, e AuditEntry) (done <-chan struct{}) {
	data, err := json.Marshal(e)
	if err == nil {
		done, err = g.journal.Append(ctx, data)
	}
	if err != nil {
		if ok, more := g.warnings.Allow("audit lost"); ok {
			g.log.ErrorContext(ctx, "audit entries are lost: only the log has them", "error", err, "repeats", more)
		}
	}
	return done
}

// newAuditEntry returns the entry of a line in the log.
func newAuditEntry(event string, args []any) AuditEntry {
	e := AuditEntry{At: time.Now().UTC().Truncate(time.Millisecond), Event: event, Details: make(map[string]any)}
	named := map[string]*string{"caller": &e.Caller, "app": &e.App, "action": &e.Action, "from": &e.From}
	for i := 0; i+1 < len(args); i += 2 {
		name, _ := args[i].(string)
		if field := named[name]; field != nil {
			*field = shorten(fmt.Sprint(args[i+1]))
			continue
		}
		switch v := args[i+1].(type) {
		case int:
			if name != "repeats" || v > 0 {
				e.Details[name] = v
			}
		case int64, bool:
			e.Details[name] = v
		default:
			e.Details[name] = shorten(fmt.Sprint(v))
		}
	}
	e.From = clientOf(e.From)
	return e
}

func shorten(s string) string {
	if len(s) > maxAuditText {
		s = s[:maxAuditText] + "…"
	}
	return strings.ToValidUTF8(s, "�")
}

// clientOf returns the address of a client without its port.
func clientOf(remote string) string {
	if a, err := netip.ParseAddrPort(remote); err == nil {
		return a.Addr().Unmap().String()
	}
	return remote
}

// writeAudits writes the entries that wait for the records, until ctx ends.
func (g *Gateway) writeAudits(ctx context.Context) {
	tick := time.NewTicker(auditPoll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			g.journal.Flush(ctx)
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxAuditWait)
			defer cancel()
			g.journal.Flush(ctx)
			return
		}
	}
}
