package wechattest

import (
	"encoding/json"
	"net/http"
)

func userRoutes() []route {
	only := []Kind{Official}
	return []route{
		{path: "/cgi-bin/user/info", on: apiHost, method: http.MethodGet, kinds: only, serve: (*Server).userInfo},
		{path: "/cgi-bin/user/info/batchget", on: apiHost, method: http.MethodPost, body: jsonBody, kinds: only, serve: (*Server).userInfos},
		{path: "/cgi-bin/user/get", on: apiHost, method: http.MethodGet, kinds: only, serve: (*Server).userList},
	}
}

// Limits of calls about followers.
const (
	maxFollowers = 10_000 // that one call lists
	maxUserInfos = 100    // that one call asks for
)

// Follow makes a person follow an official account, or not. By default everybody follows. Scanning a QR code makes a person
// follow its account, too.
func (s *Server) Follow(appID, name string, follows bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.follow(s.OpenID(appID, name), follows)
}

func (s *Server) follow(openID string, follows bool) {
	if s.people.unfollowed == nil {
		s.people.unfollowed = make(map[string]bool)
	}
	if follows {
		delete(s.people.unfollowed, openID)
	} else {
		s.people.unfollowed[openID] = true
	}
}

// userInfo knows every openid as a follower, except those who do not follow.
func (s *Server) userInfo(c *call) reply {
	id := c.query.Get("openid")
	switch {
	case id == "":
		return c.refuse(41009)
	case !validOpenID(id):
		return c.refuse(40003)
	}
	return c.ok(s.follower(c, id))
}

func (s *Server) follower(c *call, id string) fields {
	if s.people.unfollowed[id] {
		return fields{"subscribe": 0, "openid": id, "tagid_list": []int{}}
	}
	body := fields{
		"subscribe": 1, "openid": id, "language": "zh_CN", "subscribe_time": c.now.Unix(), "remark": "", "groupid": 0,
		"tagid_list": []int{}, "subscribe_scene": "ADD_SCENE_QR_CODE", "qr_scene": 0, "qr_scene_str": "",
	}
	if c.app.Owner == "" {
		return body
	}
	for _, p := range s.persons() {
		if s.OpenID(c.app.ID, p.Name) == id {
			body["unionid"] = s.UnionID(c.app.Owner, p.Name)
		}
	}
	return body
}

// userInfos replies with up to 100 followers at once.
func (s *Server) userInfos(c *call) reply {
	var list []struct {
		OpenID string `json:"openid"`
	}
	if raw, ok := c.fields["user_list"]; ok && json.Unmarshal(raw, &list) != nil {
		return c.refuse(47001)
	}
	if len(list) == 0 || len(list) > maxUserInfos {
		return c.refuse(40032)
	}
	infos := []fields{}
	for _, one := range list {
		if !validOpenID(one.OpenID) {
			return c.refuse(40003)
		}
		infos = append(infos, s.follower(c, one.OpenID))
	}
	return c.ok(fields{"user_info_list": infos})
}

// userList replies with the persons who follow, after the one in next_openid. Its own next_openid is the last one of the
// list, also on the last page.
func (s *Server) userList(c *call) reply {
	after := c.query.Get("next_openid")
	total, found := 0, after == ""
	ids := []string{}
	for _, p := range s.persons() {
		id := s.OpenID(c.app.ID, p.Name)
		if s.people.unfollowed[id] {
			continue
		}
		total++
		if found && len(ids) < maxFollowers {
			ids = append(ids, id)
		}
		found = found || id == after
	}
	if !found {
		return c.refuse(40003)
	}
	body := fields{"total": total, "count": len(ids), "next_openid": ""}
	if len(ids) > 0 {
		body["data"], body["next_openid"] = fields{"openid": ids}, ids[len(ids)-1]
	}
	return c.ok(body)
}
