package paytest

import "strings"

// sandboxKind is one of the sandboxes of v2. Each has orders of its own, a key that it answers, and no certificates.
type sandboxKind string

const (
	notSandbox sandboxKind = ""
	oldSandbox sandboxKind = "sandboxnew"   // MD5 alone; the amount selects the case; pays at once
	newSandbox sandboxKind = "apiv2sandbox" // payment codes alone; the header Wechatpay-Negative-Test selects a refusal
)

// sandboxFees are the amounts in fen that the old sandbox takes.
var sandboxFees = []int64{
	101, 102, 130, 131, 132, 133, 134, 179, 201, 301, 302, 330, 331, 332, 333, 401, 402, 501, 502, 551, 552,
}

func signKeyRoutes() []*route {
	key := func(kind sandboxKind) func(*Server, *call) answer {
		return func(s *Server, c *call) answer { return s.signKey(c, kind) }
	}
	return []*route{
		v2At("/sandboxnew/pay/getsignkey", v2Rules{unnamed: true, unsigned: true}, key(oldSandbox)),
		v2At("/xdc/apiv2getsignkey/sign/getsignkey", v2Rules{unnamed: true, unsigned: true}, key(newSandbox)),
	}
}

// signKey answers the key of a sandbox, the same one each time.
func (s *Server) signKey(c *call, kind sandboxKind) answer {
	box := c.from.sandboxes[kind]
	if box == nil {
		box = newAccount(c.from.id)
		box.name, box.apiKey, box.settings = c.from.name, strings.ToLower(randomHex(32)), c.from.settings
		if c.from.sandboxes == nil {
			c.from.sandboxes = make(map[sandboxKind]*account)
		}
		c.from.sandboxes[kind] = box
	}
	return plainXML(values{"return_code": "SUCCESS", "return_msg": "ok", "mch_id": c.from.id, "sandbox_signkey": box.apiKey})
}

// sandboxCase returns the refusal that a payment in a sandbox asks for.
func (c *call) sandboxCase() (answer, bool) {
	switch c.route.v2.sandbox {
	case oldSandbox:
		fee := c.v2.fen("total_fee")
		for _, known := range sandboxFees {
			if fee == known {
				return answer{}, true
			}
		}
		return c.unread("沙箱支付金额(" + c.v2["total_fee"] + ")无效，请检查需要验收的case"), false
	case newSandbox:
		if code := c.header.Get("Wechatpay-Negative-Test"); code != "" {
			return c.refuseV2(code, ""), false
		}
	}
	return answer{}, true
}
