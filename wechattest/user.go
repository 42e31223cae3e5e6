package wechattest

import "net/http"

func userRoutes() []route {
	return []route{
		{path: "/cgi-bin/user/info", on: apiHost, method: http.MethodGet, kinds: []Kind{Official}, serve: (*Server).userInfo},
		{path: "/cgi-bin/user/get", on: workHost, method: http.MethodGet, serve: (*Server).workUser},
	}
}

const maxUserID = 64

// userInfo knows every openid as a follower.
func (s *Server) userInfo(c *call) reply {
	id := c.query.Get("openid")
	switch {
	case id == "":
		return c.refuse(41009)
	case !validOpenID(id):
		return c.refuse(40003)
	}
	return c.ok(fields{
		"subscribe": 1, "openid": id, "language": "zh_CN", "subscribe_time": c.now.Unix(), "remark": "", "groupid": 0,
		"tagid_list": []int{}, "subscribe_scene": "ADD_SCENE_QR_CODE", "qr_scene": 0, "qr_scene_str": "",
	})
}

// workUser knows every userid as a member.
func (s *Server) workUser(c *call) reply {
	id := c.query.Get("userid")
	if id == "" || len(id) > maxUserID {
		return c.refuseAs(40003, "invalid userid")
	}
	return c.done(fields{"userid": id, "name": id, "department": []int{1}, "status": 1})
}
