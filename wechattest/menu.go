package wechattest

import (
	"bytes"
	"encoding/json"
	"net/http"
)

func menuRoutes() []route {
	only := []Kind{Official}
	return []route{
		{path: "/cgi-bin/menu/create", on: apiHost, method: http.MethodPost, body: jsonBody, kinds: only, serve: (*Server).menuCreate},
		{path: "/cgi-bin/menu/get", on: apiHost, method: http.MethodGet, kinds: only, plain: true, serve: (*Server).menuGet},
		{path: "/cgi-bin/menu/delete", on: apiHost, method: http.MethodGet, kinds: only, serve: (*Server).menuDelete},
	}
}

// menuCreate keeps the menu to the byte: WeChat shows an escape such as \u003c as it stands.
func (s *Server) menuCreate(c *call) reply {
	var buttons []json.RawMessage
	if json.Unmarshal(c.fields["button"], &buttons) != nil || len(buttons) == 0 || len(buttons) > 3 {
		return c.refuse(40016)
	}
	c.app.menu = bytes.TrimSpace(c.body)
	return c.done(nil)
}

func (s *Server) menuGet(c *call) reply {
	if c.app.menu == nil {
		return c.refuse(46003)
	}
	rep := c.ok(nil)
	rep.body = bytes.Join([][]byte{[]byte(`{"menu":`), c.app.menu, []byte(`}`)}, nil)
	return rep
}

func (s *Server) menuDelete(c *call) reply {
	c.app.menu = nil
	return c.done(nil)
}
