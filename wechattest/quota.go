package wechattest

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"time"
)

// periodCounter counts calls by name within a numbered period: a day, an hour. A new period starts from 0.
type periodCounter struct{ counts map[string]count }

type count struct {
	period int64
	n      int
}

// take counts one call, unless limit calls were counted in this period already. A negative limit is no limit.
func (t *periodCounter) take(name string, period int64, limit int) bool {
	n := t.countOf(name, period)
	if limit >= 0 && n >= limit {
		return false
	}
	if t.counts == nil {
		t.counts = make(map[string]count)
	}
	t.counts[name] = count{period, n + 1}
	return true
}

func (t *periodCounter) countOf(name string, period int64) int {
	if c := t.counts[name]; c.period == period {
		return c.n
	}
	return 0
}

// Days and months are those of Beijing, where WeChat's quotas start anew at midnight.

func dayOf(t time.Time) int64    { return (t.Unix() + 8*3600) / 86400 }
func hourOf(t time.Time) int64   { return t.Unix() / 3600 }
func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

func monthOf(t time.Time) int64 {
	b := t.UTC().Add(8 * time.Hour)
	return int64(b.Year())*12 + int64(b.Month())
}

// quota returns the number of calls of a path per day.
func (a *app) quota(path string) int {
	if n, ok := a.Quotas[path]; ok {
		return n
	}
	switch path {
	case "/cgi-bin/token":
		return orDefault(a.TokenQuota, 2000)
	case "/cgi-bin/ticket/getticket", "/wxa/getwxacode":
		return 10_000
	}
	return 500_000
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

const clearsPerMonth = 10

func quotaRoutes() []route {
	return []route{
		{path: "/cgi-bin/clear_quota", on: apiHost, method: http.MethodPost, body: jsonBody, free: true, serve: (*Server).clearQuota},
		{path: "/cgi-bin/clear_quota/v2", on: apiHost, method: http.MethodPost, open: true, serve: (*Server).clearQuotaBySecret},
		{path: "/cgi-bin/openapi/quota/get", on: apiHost, method: http.MethodPost, body: jsonBody, free: true, serve: (*Server).quotaGet},
	}
}

func (s *Server) clearQuota(c *call) reply {
	switch c.text("appid") {
	case "":
		return c.refuse(41002)
	case c.app.ID:
		return c.clear(c.app)
	}
	return c.refuse(40013)
}

// clearQuotaBySecret works even without a token. WeChat's pages disagree on whether its parameters belong in the query or
// in the body; both are accepted.
func (s *Server) clearQuotaBySecret(c *call) reply {
	c.parse()
	id := cmp.Or(c.query.Get("appid"), c.text("appid"))
	secret := cmp.Or(c.query.Get("appsecret"), c.text("appsecret"))
	a := s.apps[id]
	switch {
	case id == "":
		return c.refuse(41002)
	case secret == "":
		return c.refuse(41004)
	case a == nil:
		return c.refuse(40013)
	case !a.allowsCall(c.ip, true):
		return c.refuse(a.notAllowed())
	case !a.secretIs(secret):
		return c.refuse(40125)
	}
	return c.clear(a)
}

// clear resets the counts of the day. The limit of forced refreshes is not a call quota and stays.
func (c *call) clear(a *app) reply {
	if !a.month.take("clear_quota", monthOf(c.now), clearsPerMonth) {
		return c.refuse(48006)
	}
	a.day = periodCounter{}
	return c.done(nil)
}

func (s *Server) quotaGet(c *call) reply {
	path := c.text("cgi_path")
	candidates := s.paths[path]
	switch {
	case len(candidates) == 0:
		return c.refuse(76021)
	case !slices.ContainsFunc(candidates, func(rt *route) bool { return rt.on&c.on != 0 }):
		return c.refuse(76022)
	}
	limit := c.app.quota(path)
	if limit < 0 {
		limit = math.MaxInt32
	}
	used := c.app.day.countOf(path, dayOf(c.now))
	return c.done(fields{"quota": fields{"daily_limit": limit, "used": used, "remain": max(limit-used, 0)}})
}
