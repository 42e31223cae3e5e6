package pay

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/wetoken/wetoken/store"
)

// Due lists hold the times at which Run checks records. One process finds all due records by reading dueLists records, however
// many orders and merchants exist.
const (
	dueLists        = 64
	maxDueEntries   = 8000 // of one list, which keeps it below maxRecord bytes
	firstCheckDelay = 10 * time.Second
	writeTimeout    = 30 * time.Second // for the record of a new entry
	orphanTTL       = 15 * time.Minute // of an entry without a record: longer than writeTimeout, and clocks may differ by minutes
)

// dueList is one of the lists. The keys of Due are those of records without "pay/".
type dueList struct {
	recordHead
	Due map[string]dueEntry `json:"due"`
}

type dueEntry struct {
	At  int64  `json:"at"` // in seconds
	App string `json:"app,omitempty"`
}

func (l *dueList) check() error {
	if len(l.Due) > maxDueEntries {
		return fmt.Errorf("the list has more than %d entries", maxDueEntries)
	}
	return nil
}

func (*dueList) ttl(time.Time) time.Duration { return 0 }

func dueListKey(n int) string { return "pay/due/" + string([]byte{byte('0' + n/10), byte('0' + n%10)}) }

func dueListFor(key string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return dueListKey(int(h.Sum32() % dueLists))
}

// dueShare is the part of a list, in eighths of what other Apps leave, that an App may fill. A part of each list thus stays free for
// other Apps, and for payments, which are entered whatever the number of unpaid orders is.
type dueShare int

const (
	shareOfOrders dueShare = 6 // with a new order
	shareOfAsked  dueShare = 7 // with a new refund or transfer
	shareOfRest   dueShare = 8 // with a received payment, and anything else that WeChat has
)

// hasRoom reports whether an App may add an entry.
func (l *dueList) hasRoom(app string, share dueShare) bool {
	mine := 0
	for _, entry := range l.Due {
		if entry.App == app {
			mine++
		}
	}
	others := len(l.Due) - mine
	return mine < (maxDueEntries-others)*int(share)/int(shareOfRest)
}

// addDue makes Run check the record of key at a time.
func addDue(ctx context.Context, s store.Store, key, app string, at time.Time) error {
	return addDueWithin(ctx, s, key, app, at, shareOfRest)
}

// addDueWithin is addDue for a new entry within a share of its list. It returns ErrBusy if that is filled.
func addDueWithin(ctx context.Context, s store.Store, key, app string, at time.Time, share dueShare) error {
	key = strings.TrimPrefix(key, "pay/")
	_, err := changeRecord(ctx, s, dueListFor(key), func(l *dueList) (*dueList, error) {
		if l == nil {
			l = new(dueList)
		}
		if l.Due == nil {
			l.Due = make(map[string]dueEntry)
		}
		if _, known := l.Due[key]; !known && !l.hasRoom(app, share) {
			return nil, newError("schedule a check", ErrBusy, "", "too many records of this app wait for a check: is Run running?")
		}
		l.Due[key] = dueEntry{At: at.Unix(), App: app}
		return l, nil
	})
	return err
}

// dueChange is the new time of an entry, or its removal if next is zero.
type dueChange struct {
	name string
	was  dueEntry
	next time.Time
}

// applyDueChanges changes the entries of a list, except those that others have changed.
func applyDueChanges(ctx context.Context, s store.Store, list string, changes []dueChange) error {
	_, err := changeRecord(ctx, s, list, func(l *dueList) (*dueList, error) {
		changed := false
		for _, c := range changes {
			if l == nil || l.Due[c.name] != c.was || !c.next.IsZero() && c.next.Unix() == c.was.At {
				continue
			}
			changed = true
			if c.next.IsZero() {
				delete(l.Due, c.name)
			} else {
				l.Due[c.name] = dueEntry{At: c.next.Unix(), App: c.was.App}
			}
		}
		if !changed {
			return nil, errUnchanged
		}
		return l, nil
	})
	return err
}

// splitKey returns the merchant, kind and number in the key of a record without "pay/".
func splitKey(key string) (merchant, kind, no string, ok bool) {
	last := strings.LastIndexByte(key, '/')
	if last < 1 {
		return "", "", "", false
	}
	before := strings.LastIndexByte(key[:last], '/')
	if before < 1 {
		return "", "", "", false
	}
	return key[:before], key[before+1 : last], key[last+1:], true
}
