package wechattest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

func menuRoutes() []route {
	only := []Kind{Official}
	get, post := http.MethodGet, http.MethodPost
	return []route{
		{path: "/cgi-bin/menu/create", on: apiHost, method: post, body: jsonBody, kinds: only, serve: (*Server).menuCreate},
		{path: "/cgi-bin/menu/get", on: apiHost, method: get, kinds: only, plain: true, serve: (*Server).menuGet},
		{path: "/cgi-bin/menu/delete", on: apiHost, method: get, kinds: only, serve: (*Server).menuDelete},
		{path: "/cgi-bin/menu/create", on: workHost, method: post, body: jsonBody, serve: ofAgent((*Server).menuCreate)},
		{path: "/cgi-bin/menu/get", on: workHost, method: get, serve: ofAgent((*Server).menuGet)},
		{path: "/cgi-bin/menu/delete", on: workHost, method: get, serve: ofAgent((*Server).menuDelete)},
	}
}

// ofAgent requires a call to name its own application in the query.
func ofAgent(serve func(*Server, *call) reply) func(*Server, *call) reply {
	return func(s *Server, c *call) reply {
		agent, err := strconv.Atoi(c.query.Get("agentid"))
		switch {
		case c.query.Get("agentid") == "":
			return c.refuse(41011)
		case err != nil:
			return c.refuse(40056)
		case agent != c.app.AgentID || agent == 0:
			return c.refuse(301002)
		}
		return serve(s, c)
	}
}

// menuCreate keeps each value byte for byte: WeChat shows an escape such as \u003c unchanged.
func (s *Server) menuCreate(c *call) reply {
	var buttons []json.RawMessage
	if json.Unmarshal(c.fields["button"], &buttons) != nil || len(buttons) == 0 || len(buttons) > 3 {
		return c.refuse(40016)
	}
	list, errcode := listButtons(buttons, 1)
	if errcode != 0 {
		return c.refuse(errcode)
	}
	c.app.menu = list
	return c.done(nil)
}

// Limits of a menu.
const (
	maxMenuLevels = 2
	maxSubButtons = 5
)

// listButtons gives every button a sub_button, as menu/get does: an empty one if it has none.
func listButtons(buttons []json.RawMessage, level int) (list []byte, errcode int) {
	written := make([][]byte, len(buttons))
	for i, button := range buttons {
		names, values, ok := members(button)
		if !ok {
			return nil, 47001
		}
		var b bytes.Buffer
		b.WriteByte('{')
		subs := []byte("[]")
		for j, name := range names {
			if name != "sub_button" {
				b.WriteString(jsonText(name) + ":" + string(values[j]) + ",")
				continue
			}
			var below []json.RawMessage
			switch err := json.Unmarshal(values[j], &below); {
			case err != nil:
				return nil, 47001
			case len(below) > maxSubButtons:
				return nil, 40023
			case len(below) > 0 && level == maxMenuLevels:
				return nil, 40022
			}
			if subs, errcode = listButtons(below, level+1); errcode != 0 {
				return nil, errcode
			}
		}
		b.WriteString(`"sub_button":` + string(subs) + "}")
		written[i] = b.Bytes()
	}
	return []byte("[" + string(bytes.Join(written, []byte(","))) + "]"), 0
}

// members returns the names and values of a JSON object, in their order.
func members(object []byte) (names []string, values []json.RawMessage, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, nil, false
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, nil, false
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return nil, nil, false
		}
		names, values = append(names, name.(string)), append(values, value)
	}
	return names, values, true
}

// menuGet replies with the menu: of an official account in the member menu, of WeCom beside the errcode.
func (s *Server) menuGet(c *call) reply {
	if c.app.menu == nil {
		return c.refuse(46003)
	}
	buttons := json.RawMessage(c.app.menu)
	if c.on == workHost {
		return c.done(fields{"button": buttons})
	}
	return c.ok(fields{"menu": fields{"button": buttons}})
}

func (s *Server) menuDelete(c *call) reply {
	c.app.menu = nil
	return c.done(nil)
}
