package paytest

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Bill is a bill that replaces the Server's own.
type Bill struct {
	MchID string    // its merchant
	Kind  string    // tradebill or fundflowbill
	Day   time.Time // Beijing's date of it counts

	Write     func(io.Writer) error // writes the bill, the same one each time
	WrongHash bool                  // announces a hash that is not the bill's
}

// billRow is a line of a trade bill.
type billRow struct {
	at     time.Time
	order  *order
	refund *refund
	state  string
}

// billFile is a bill that may be downloaded.
type billFile struct {
	owner *account
	until time.Time
	zip   bool
	write func(io.Writer) error
}

const billLives = 30 * time.Second

func billRoutes() []*route {
	list := []*route{
		at("GET /v3/bill/tradebill", (*Server).tradeBill),
		at("GET /v3/bill/fundflowbill", (*Server).fundFlowBill),
		at("GET /v3/billdownload/file", (*Server).downloadBill),
	}
	for _, rt := range list {
		rt.unlocked = true // a long bill is written
	}
	list[2].bare = true
	return list
}

// AddBill replaces the Server's own bill of that day.
func (s *Server) AddBill(b Bill) error {
	if b.Write == nil || b.Kind != "tradebill" && b.Kind != "fundflowbill" {
		return fmt.Errorf("paytest: bill %q: want tradebill or fundflowbill, and Write", b.Kind)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.merchant(b.MchID)
	if err != nil {
		return err
	}
	a.ownBills[b.Kind+" "+dateOf(b.Day)] = b
	return nil
}

func dateOf(t time.Time) string { return t.In(beijing).Format(time.DateOnly) }

func (a *account) record(row *billRow) {
	day := dateOf(row.at)
	a.days[day] = append(a.days[day], row)
}

func (s *Server) tradeBill(c *call) answer {
	kind := c.query.Get("bill_type")
	if kind != "" && !slices.Contains([]string{"ALL", "SUCCESS", "REFUND", "RECHARGE_REFUND", "ALL_SPECIAL", "SUC_SPECIAL", "REF_SPECIAL"}, kind) {
		return refuse("PARAM_ERROR", "invalid bill_type")
	}
	return s.bill(c, "tradebill", func(rows []*billRow) []byte { return tradeText(rows, kind) })
}

func (s *Server) fundFlowBill(c *call) answer {
	kind := c.query.Get("account_type")
	if kind != "" && !slices.Contains([]string{"BASIC", "OPERATION", "FEES"}, kind) {
		return refuse("PARAM_ERROR", "invalid account_type")
	}
	return s.bill(c, "fundflowbill", func(rows []*billRow) []byte {
		if kind == "OPERATION" || kind == "FEES" {
			return nil
		}
		return flowText(rows)
	})
}

// bill prepares a bill for download.
func (s *Server) bill(c *call, kind string, text func([]*billRow) []byte) answer {
	date := c.query.Get("bill_date")
	if _, err := time.ParseInLocation(time.DateOnly, date, beijing); err != nil {
		return refuse("PARAM_ERROR", "bill_date格式错误")
	}
	tar := c.query.Get("tar_type")
	if tar != "" && tar != "GZIP" {
		return refuse("PARAM_ERROR", "invalid tar_type")
	}
	s.mu.Lock()
	own := c.from.ownBills[kind+" "+date]
	s.mu.Unlock()
	write, a, ok := s.writerOfBill(c, kind, date, c.query.Get("sub_mchid"), text)
	if !ok {
		return a
	}
	sum := sha1.New()
	if err := write(sum); err != nil {
		return refuse("SYSTEM_ERROR", "")
	}
	hash := hex.EncodeToString(sum.Sum(nil))
	if own.WrongHash {
		hash = strings.Repeat("0", len(hash))
	}
	token := s.keepBill(&billFile{owner: c.from, until: c.now.Add(billLives), zip: tar == "GZIP", write: write})
	return done(fields{"hash_type": "SHA1", "hash_value": hash, "download_url": c.base() + "/v3/billdownload/file?token=" + url.QueryEscape(token)})
}

// writerOfBill returns what writes a merchant's bill of a day: the one that was added, or one made from what happened.
func (s *Server) writerOfBill(c *call, kind, date, subMchID string, text func([]*billRow) []byte) (write func(io.Writer) error, a answer, ok bool) {
	day, err := time.ParseInLocation(time.DateOnly, date, beijing)
	if err != nil {
		return nil, refuse("PARAM_ERROR", "bill_date格式错误"), false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if own, ok := c.from.ownBills[kind+" "+date]; ok {
		return own.Write, a, true
	}
	if a, ok := billReady(day, c.now); !ok {
		return nil, a, false
	}
	b, a, ok := c.billText(date, subMchID, text)
	if !ok {
		return nil, a, false
	}
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}, a, true
}

// base returns the base URL of downloads: WeChat's, unless the Server was reached under another name.
func (c *call) base() string {
	host := strings.ToLower(c.host)
	switch {
	case host == "" || strings.HasSuffix(host, ".weixin.qq.com") || strings.HasSuffix(host, ".wechatpay.cn"):
		return "https://api.mch.weixin.qq.com"
	case c.plain:
		return "http://" + c.host
	}
	return "https://" + c.host
}

func (s *Server) keepBill(f *billFile) (token string) {
	token = randomText(40)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bills == nil {
		s.bills = make(map[string]*billFile)
	}
	if len(s.bills) >= s.billsDue {
		now := time.Now()
		for t, old := range s.bills {
			if now.After(old.until) {
				delete(s.bills, t)
			}
		}
		s.billsDue = 2*len(s.bills) + 16
	}
	s.bills[token] = f
	return token
}

// billReady reports whether the bill of a day is ready.
func billReady(day, now time.Time) (a answer, ok bool) {
	next := day.AddDate(0, 0, 1)
	switch {
	case now.Before(next), day.Before(now.AddDate(0, -3, -1)):
		return refuse("PARAM_ERROR", "bill_date须为3个月内且早于今天的日期"), false
	case now.Before(next.Add(10 * time.Hour)):
		return refuse("STATEMENT_CREATING", ""), false
	}
	return a, true
}

// billText writes the bill of a day from what happened.
func (c *call) billText(date, sub string, text func([]*billRow) []byte) (b []byte, a answer, ok bool) {
	rows := slices.Clone(c.from.days[date])
	if sub != "" {
		if c.from.subs[sub] == nil {
			return nil, refuse("NO_AUTH", ""), false
		}
		rows = c.from.subs[sub].days[date]
	} else {
		for _, sub := range c.from.subs {
			rows = append(rows, sub.days[date]...)
		}
	}
	rows = slices.DeleteFunc(slices.Clone(rows), func(r *billRow) bool { return r.order.provider != nil && r.order.provider != c.from })
	slices.SortStableFunc(rows, func(x, y *billRow) int { return x.at.Compare(y.at) })
	if b = text(rows); b == nil {
		return nil, refuse("NO_STATEMENT_EXIST", ""), false
	}
	return b, a, true
}

func (s *Server) downloadBill(c *call) answer {
	s.mu.Lock()
	f := s.bills[c.query.Get("token")]
	s.mu.Unlock()
	switch {
	case f == nil || c.now.After(f.until):
		return refuse("INVALID_REQUEST", "下载地址已失效，请重新申请账单")
	case f.owner != c.from:
		return refuse("NO_AUTH", "下载商户号与申请商户号不一致")
	case !f.zip:
		return answer{status: 200, kind: "text/plain; charset=utf-8", stream: f.write}
	}
	return answer{status: 200, kind: "application/x-gzip", stream: zipped(f.write)}
}
