package wechattest

import (
	"net/http"
	"time"
)

// ticket is a jsapi, wx_card or agent_config ticket.
type ticket struct {
	value   string
	expires time.Time
}

func ticketRoutes() []route {
	return []route{
		{path: "/cgi-bin/ticket/getticket", on: apiHost, method: http.MethodGet, kinds: []Kind{Official}, plain: true, serve: (*Server).ticket},
		{path: "/cgi-bin/get_jsapi_ticket", on: workHost, method: http.MethodGet, serve: (*Server).corpTicket},
		{path: "/cgi-bin/ticket/get", on: workHost, method: http.MethodGet, serve: (*Server).agentTicket},
	}
}

// ticket replies with an official account's ticket of the requested type.
func (s *Server) ticket(c *call) reply {
	kind := c.query.Get("type")
	if kind != "jsapi" && kind != "wx_card" {
		return c.refuse(40097)
	}
	return c.ticket(c.app.ticket(kind, c.now))
}

// WeCom rations its tickets by the hour.
const (
	corpTickets = 400
	appTickets  = 100
)

// corpTicket replies with the ticket that all applications of a corp share.
func (s *Server) corpTicket(c *call) reply {
	co := c.app.corp
	if co.hour.countOf(c.path, hourOf(c.now)) >= corpTickets || !c.app.hour.take(c.path, hourOf(c.now), appTickets) {
		return c.refuse(45009)
	}
	co.hour.take(c.path, hourOf(c.now), corpTickets)
	co.ticket = c.app.renew(co.ticket, "corp_ticket", c.now)
	return c.ticket(co.ticket)
}

// agentTicket replies with the ticket of one application.
func (s *Server) agentTicket(c *call) reply {
	switch {
	case c.app.AgentID == 0:
		return c.refuse(48002)
	case c.query.Get("type") != "agent_config":
		return c.refuse(40097)
	case !c.app.hour.take(c.path, hourOf(c.now), appTickets):
		return c.refuse(45009)
	}
	return c.ticket(c.app.ticket("agent_config", c.now))
}

func (c *call) ticket(t *ticket) reply {
	return c.done(fields{"ticket": t.value, "expires_in": seconds(t.expires.Sub(c.now))})
}

func (a *app) ticket(kind string, now time.Time) *ticket {
	if a.tickets == nil {
		a.tickets = make(map[string]*ticket)
	}
	a.tickets[kind] = a.renew(a.tickets[kind], kind, now)
	return a.tickets[kind]
}

// renew returns a ticket while the window remains of it, and a new one after that.
func (a *app) renew(t *ticket, kind string, now time.Time) *ticket {
	if t != nil && t.expires.Sub(now) >= a.window() {
		return t
	}
	return &ticket{value: newID(kind, 86), expires: now.Add(a.life())}
}
