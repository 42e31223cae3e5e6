package wechattest

import "net/http"

func addressRoutes() []route {
	both := apiHost | workHost
	return []route{
		{path: "/cgi-bin/getcallbackip", on: both, method: http.MethodGet, serve: (*Server).callbackIP},
		{path: "/cgi-bin/get_api_domain_ip", on: both, method: http.MethodGet, serve: (*Server).apiDomainIP},
	}
}

// callbackIP replies with the addresses that WeChat calls from. An entry may be a network.
func (s *Server) callbackIP(c *call) reply {
	return c.addresses("127.0.0.1", "101.226.103.0/25")
}

func (s *Server) apiDomainIP(c *call) reply {
	return c.addresses("127.0.0.1")
}

func (c *call) addresses(list ...string) reply {
	if c.on == workHost {
		return c.done(fields{"ip_list": list})
	}
	return c.ok(fields{"ip_list": list})
}
