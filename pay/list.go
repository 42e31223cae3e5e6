package pay

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Orders are listed by the day on which they were placed, paid or closed, so that a list is read without reading all orders.
// A day has several shards, so that concurrent requests seldom change the same record. A shard has full pages, which do not
// change, and a current page. An order in a list may have another state: its record decides.
const (
	listShards     = 4
	pageSize       = 200                // entries of one page
	maxListPages   = 64                 // pages read by one call of Orders
	maxListRecords = 400                // order records read by one call
	maxListOrders  = 100                // orders returned by one call
	defaultListAge = 7 * 24 * time.Hour // default of Filter.Since
)

// orderList is a list of orders.
type orderList string

const (
	listAll      orderList = "all"      // by the time of placing, or of the first notification
	listPaid     orderList = "paid"     // by the time at which we learned of the payment
	listLate     orderList = "late"     // likewise, for payments after the order had ended
	listClosed   orderList = "closed"   // by the time of closing
	listReversed orderList = "reversed" // by the time of reversing
)

// listOf returns the list for orders that ended in a state.
func listOf(state orderState) orderList {
	if state == orderReversed {
		return listReversed
	}
	return listClosed
}

// listShard is a page of a shard; the current one counts the full ones.
type listShard struct {
	recordHead
	Pages   int         `json:"pages"` // number of full pages
	Entries []listEntry `json:"entries"`
}

type listEntry struct {
	Record string `json:"record"` // key of the order without "pay/"
	At     int64  `json:"at"`     // in seconds
}

func (l *listShard) check() error {
	if len(l.Entries) > pageSize || l.Pages < 0 {
		return fmt.Errorf("the page has more than %d entries", pageSize)
	}
	return nil
}

func (*listShard) ttl(time.Time) time.Duration { return paidTTL }

// shardKey returns the key of a shard of a day in Beijing.
func (c *Cashier) shardKey(list orderList, day string, n int) string {
	return "pay/list/" + url.PathEscape(c.App) + "/" + string(list) + "/" + day + "/" + strconv.Itoa(n)
}

func pageKey(shard string, page int) string { return shard + "/" + strconv.Itoa(page) }

// addToList adds an order to a list. It is called before the record of the order is written.
func (c *Cashier) addToList(ctx context.Context, list orderList, key string, at time.Time) error {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	shardKey := c.shardKey(list, dayOf(at), int(h.Sum32()%listShards))
	entry := listEntry{Record: strings.TrimPrefix(key, "pay/"), At: at.Unix()}
	_, err := changeRecord(context.WithoutCancel(ctx), c.records(), shardKey, func(l *listShard) (*listShard, error) {
		if l == nil {
			l = new(listShard)
		}
		if slices.ContainsFunc(l.Entries, func(e listEntry) bool { return e.Record == entry.Record }) {
			return nil, errUnchanged
		}
		if len(l.Entries) == pageSize {
			full := &listShard{Entries: l.Entries}
			if _, _, err := swapRecord(ctx, c.records(), pageKey(shardKey, l.Pages), nil, full); err != nil {
				return nil, err
			}
			l.Pages, l.Entries = l.Pages+1, nil
		}
		l.Entries = append(l.Entries, entry)
		return l, nil
	})
	return err
}

// addToPaidLists adds an order to listPaid and listLate. It is called before the record of the order is written.
func (c *Cashier) addToPaidLists(ctx context.Context, key string, r *orderRecord, now time.Time) error {
	if err := c.addToList(ctx, listPaid, key, now); err != nil {
		return err
	}
	if r.Transaction.Late == "" {
		return nil
	}
	return c.addToList(ctx, listLate, key, now)
}

func dayOf(at time.Time) string { return at.In(beijing).Format(time.DateOnly) }

var beijing = time.FixedZone("+08:00", 8*60*60)

// Filter selects orders.
type Filter struct {
	State State // NotPaid, Success, Closed or Reversed; default all
	Late  bool  // only orders that were paid after they had ended

	// Since is the earliest time at which the order came into State, or was placed if State is empty. Default 7 days ago, at most
	// 400 days.
	Since time.Time

	// Cursor is the next of an earlier call with the same State and Late. It includes Since.
	Cursor string
}

// Orders returns stored orders of this App, from their records, without a query to WeChat. It returns at most 100 orders, sorted by
// day but not within a day. next is the Cursor of the next call, or empty at the end. A call may return no orders and a
// next, because it reads a bounded number of records. An order may be returned twice.
func (c *Cashier) Orders(ctx context.Context, f Filter) (orders []Transaction, next string, err error) {
	at, err := f.start(time.Now())
	if err != nil {
		return nil, "", err
	}
	orders = []Transaction{}
	seen := make(map[string]bool)
	read := 0
	for range maxListPages {
		if at.day > dayOf(time.Now()) {
			return orders, "", nil
		}
		entries, full, err := c.readPage(ctx, f.list(), at)
		if err != nil {
			return nil, "", err
		}
		for at.entry < len(entries) {
			if len(orders) == maxListOrders || read == maxListRecords {
				return orders, at.String(), nil
			}
			e := entries[at.entry]
			at.entry++
			if e.At < f.Since.Unix() || seen[e.Record] {
				continue
			}
			seen[e.Record] = true
			read++
			r, _, err := readRecord[orderRecord](ctx, c.records(), "pay/"+e.Record)
			if err != nil {
				return nil, "", err
			}
			if r != nil && r.App == c.App && f.matches(r) {
				orders = append(orders, r.summary())
			}
		}
		at = at.nextPage(full)
	}
	return orders, at.String(), nil
}

// readPage returns a page, and reports whether another page follows in its shard.
func (c *Cashier) readPage(ctx context.Context, list orderList, at listCursor) (entries []listEntry, full bool, err error) {
	key := c.shardKey(list, at.day, at.shard)
	l, _, err := readRecord[listShard](ctx, c.records(), key)
	if err != nil || l == nil {
		return nil, false, err
	}
	if at.page >= l.Pages {
		return l.Entries, false, nil
	}
	p, _, err := readRecord[listShard](ctx, c.records(), pageKey(key, at.page))
	if err != nil || p == nil {
		return nil, true, err
	}
	return p.Entries, true, nil
}

// start returns the first position of a call, and sets the default of Since.
func (f *Filter) start(now time.Time) (at listCursor, err error) {
	switch f.State {
	case "", NotPaid, Success, Closed, Reversed:
	default:
		return at, &FieldError{"Filter.State", fmt.Sprintf("is %q: want NOTPAY, SUCCESS, CLOSED or REVOKED", shorten(string(f.State)))}
	}
	if f.Cursor != "" {
		if at, err = parseCursor(f.Cursor); err != nil {
			return at, &FieldError{"Filter.Cursor", "is invalid: want the cursor of an earlier reply"}
		}
		f.Since = time.Unix(at.since, 0)
		return at, nil
	}
	if f.Since.IsZero() {
		f.Since = now.Add(-defaultListAge)
	}
	if oldest := now.Add(-paidTTL); f.Since.Before(oldest) {
		f.Since = oldest
	}
	return listCursor{day: dayOf(f.Since), since: f.Since.Unix()}, nil
}

func (f *Filter) list() orderList {
	switch {
	case f.Late:
		return listLate
	case f.State == Success:
		return listPaid
	case f.State == Closed:
		return listClosed
	case f.State == Reversed:
		return listReversed
	}
	return listAll
}

func (f *Filter) matches(r *orderRecord) bool {
	t := r.summary()
	return (f.State == "" || f.State == t.State) && (!f.Late || t.Late != "")
}

// summary returns the Transaction of a record.
func (r *orderRecord) summary() Transaction {
	if r.Transaction != nil && r.hasPayment() {
		t := *r.Transaction
		t.Raw, t.Refused = nil, r.refusal(t)
		return t
	}
	t := Transaction{
		OutTradeNo: r.Order.OutTradeNo, AppID: firstText(r.Order.AppID, r.AppID), Trade: r.Order.Trade, State: NotPaid, Fen: r.Order.Fen,
		OpenID: r.Order.OpenID, Attach: r.Order.Attach, Known: r.Known,
	}
	t.MchID, t.SubMchID, _ = strings.Cut(merchantKey(r.Merchant), "/")
	switch r.State {
	case orderClosed:
		t.State = Closed
	case orderReversed:
		t.State = Reversed
	}
	return t
}

// listCursor is a position in a list.
type listCursor struct {
	day                string
	shard, page, entry int
	since              int64 // of the Filter, in seconds
}

func (l listCursor) String() string {
	return fmt.Sprintf("%s.%d.%d.%d.%d", l.day, l.shard, l.page, l.entry, l.since)
}

func parseCursor(text string) (l listCursor, err error) {
	var numbers [4]int64
	parts := strings.Split(text, ".")
	if len(parts) != 1+len(numbers) || len(text) > 100 {
		return l, errors.New("want five parts")
	}
	for i := range numbers {
		if numbers[i], err = strconv.ParseInt(parts[1+i], 10, 64); err != nil || numbers[i] < 0 || i < 3 && numbers[i] > 1<<30 {
			return l, errors.New("want numbers")
		}
	}
	if _, err := time.Parse(time.DateOnly, parts[0]); err != nil || numbers[0] >= listShards {
		return l, errors.New("want a day and a shard")
	}
	return listCursor{day: parts[0], shard: int(numbers[0]), page: int(numbers[1]), entry: int(numbers[2]), since: numbers[3]}, nil
}

// nextPage returns the position of the next page. full reports whether that page is in the same shard.
func (l listCursor) nextPage(full bool) listCursor {
	l.entry = 0
	switch {
	case full:
		l.page++
	case l.shard+1 < listShards:
		l.shard, l.page = l.shard+1, 0
	default:
		day, _ := time.Parse(time.DateOnly, l.day) // parseCursor has checked it
		l.day, l.shard, l.page = day.AddDate(0, 0, 1).Format(time.DateOnly), 0, 0
	}
	return l
}
