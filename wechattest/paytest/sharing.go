package paytest

import (
	"fmt"
	"math"
	"time"
)

// sharing has the profit sharing (分账) of a merchant.
type sharing struct {
	receivers map[string]bool // by type and account
	orders    map[string]*shareOrder
	returns   map[string]*shareReturn
}

type shareOrder struct {
	order     *order
	id, outNo string
	asked     []byte
	receivers []shareReceiver
	created   time.Time
}

type shareReceiver struct {
	Type        string `json:"type"`
	Account     string `json:"account"`
	Name        string `json:"name,omitempty"`
	Amount      int64  `json:"amount"`
	Description string `json:"description"`
}

const (
	shareTakes = 10 * time.Second // until a sharing is finished
	frozenFor  = 30 * 24 * time.Hour
	maxShares  = 50
)

type shareBody struct {
	SubMchID      string          `json:"sub_mchid"`
	AppID         string          `json:"appid"`
	TransactionID string          `json:"transaction_id"`
	OutOrderNo    string          `json:"out_order_no"`
	Receivers     []shareReceiver `json:"receivers"`
	Unfreeze      bool            `json:"unfreeze_unsplit"`
	Description   string          `json:"description"`
}

func sharingRoutes() []*route {
	const base = "/v3/profitsharing"
	return []*route{
		at("POST "+base+"/receivers/add", func(s *Server, c *call) answer { return s.setReceiver(c, true) }),
		at("POST "+base+"/receivers/delete", func(s *Server, c *call) answer { return s.setReceiver(c, false) }),
		at("POST "+base+"/orders", (*Server).share),
		at("GET "+base+"/orders/{}", (*Server).queryShare),
		at("POST "+base+"/orders/unfreeze", (*Server).unfreeze),
		at("POST "+base+"/return-orders", (*Server).returnShare),
		at("GET "+base+"/return-orders/{}", (*Server).queryReturn),
		at("GET "+base+"/transactions/{}/amounts", (*Server).unshared),
	}
}

func (s *Server) setReceiver(c *call, add bool) answer {
	var in struct {
		SubMchID string `json:"sub_mchid"`
		Type     string `json:"type"`
		Account  string `json:"account"`
		Name     string `json:"name"`
		Relation string `json:"relation_type"`
	}
	if a, ok := c.decode(&in); !ok {
		return a
	}
	payee, a, ok := s.payee(c, c.from.subs != nil, c.from.id, in.SubMchID)
	switch {
	case !ok:
		return a
	case in.Type == "":
		return missing("type")
	case in.Account == "":
		return missing("account")
	case add && in.Relation == "":
		return missing("relation_type")
	}
	if in.Name != "" {
		if _, a, ok := c.secret("name", in.Name); !ok {
			return a
		}
	}
	if payee.sharing.receivers == nil {
		payee.sharing.receivers = make(map[string]bool)
	}
	payee.sharing.receivers[in.Type+" "+in.Account] = add
	v := fields{"type": in.Type, "account": in.Account}
	if add {
		v["relation_type"] = in.Relation
	}
	return done(v)
}

func (s *Server) share(c *call) answer {
	in, payee, a, ok := s.readShare(c)
	if !ok {
		return a
	}
	if len(in.Receivers) == 0 || len(in.Receivers) > maxShares {
		return paramError("/receivers", "", "want 1 to 50", "分账接收方列表错误")
	}
	var sum int64
	for i, r := range in.Receivers {
		if r.Name != "" {
			if in.Receivers[i].Name, a, ok = c.secret("receivers/name", r.Name); !ok {
				return a
			}
		}
		switch {
		case r.Amount < 1:
			return paramError("/receivers/amount", "", "less than 1", "分账金额必须大于0")
		case !payee.sharing.receivers[r.Type+" "+r.Account]:
			return refuse("PARAM_ERROR", "分账接收方关系不存在，请先添加分账接收方")
		}
		sum = min(sum, math.MaxInt64-r.Amount) + r.Amount
	}
	return s.doShare(c, payee, in, sum)
}

// readShare reads the body of a sharing or of its end.
func (s *Server) readShare(c *call) (in *shareBody, payee *account, a answer, ok bool) {
	in = new(shareBody)
	if a, ok := c.decode(in); !ok {
		return nil, nil, a, false
	}
	if payee, a, ok = s.payee(c, c.from.subs != nil, c.from.id, in.SubMchID); !ok {
		return nil, nil, a, false
	}
	switch {
	case in.TransactionID == "":
		return nil, nil, missing("transaction_id"), false
	case in.OutOrderNo == "":
		return nil, nil, missing("out_order_no"), false
	}
	return in, payee, a, true
}

func (s *Server) doShare(c *call, payee *account, in *shareBody, sum int64) answer {
	asked := toJSON(in)
	if old := payee.sharing.orders[in.OutOrderNo]; old != nil {
		if string(old.asked) != string(asked) {
			return refuse("INVALID_REQUEST", "分账单号重复，且参数与原请求不一致")
		}
		return done(old.shown(c.now))
	}
	o := payee.transactions[in.TransactionID]
	switch {
	case o == nil:
		return refuse("RESOURCE_NOT_EXISTS", "订单不存在")
	case !o.shares:
		return refuse("INVALID_REQUEST", "非分账订单不支持分账")
	case o.unfrozen || c.now.Sub(o.paidAt) > frozenFor:
		return refuse("INVALID_REQUEST", "订单已完结分账，资金已解冻")
	case o.shareCalls >= maxShares:
		return refuse("INVALID_REQUEST", "分账次数超过限制")
	case sum > o.total-o.refunded-o.shared:
		return refuse("NOT_ENOUGH", "分账金额超过订单剩余待分金额")
	}
	s.serial++
	sh := &shareOrder{order: o, id: fmt.Sprintf("3008%020d", s.serial), outNo: in.OutOrderNo, asked: asked, receivers: in.Receivers, created: c.now}
	o.shared += sum
	o.shareCalls++
	o.unfrozen = in.Unfreeze
	payee.balance -= sum
	if payee.sharing.orders == nil {
		payee.sharing.orders = make(map[string]*shareOrder)
	}
	payee.sharing.orders[sh.outNo] = sh
	return done(sh.shown(c.now))
}

func (s *Server) unfreeze(c *call) answer {
	in, payee, a, ok := s.readShare(c)
	if !ok {
		return a
	}
	in.Unfreeze = true
	return s.doShare(c, payee, in, 0)
}

func (sh *shareOrder) shown(now time.Time) fields {
	state, result := processing, "PENDING"
	if now.Sub(sh.created) >= shareTakes {
		state, result = "FINISHED", success
	}
	list := []fields{}
	for i, r := range sh.receivers {
		v := fields{
			"type": r.Type, "account": r.Account, "amount": r.Amount, "description": r.Description, "result": result,
			"detail_id": fmt.Sprintf("%s%02d", sh.id, i), "create_time": wireTime(sh.created),
		}
		if state != processing {
			v["finish_time"] = wireTime(sh.created.Add(shareTakes))
		}
		list = append(list, v)
	}
	return fields{"transaction_id": sh.order.transactionID, "out_order_no": sh.outNo, "order_id": sh.id, "state": state, "receivers": list}
}

func (s *Server) queryShare(c *call) answer {
	payee, a, ok := s.payee(c, c.from.subs != nil, c.from.id, c.query.Get("sub_mchid"))
	if !ok {
		return a
	}
	id := c.query.Get("transaction_id")
	if id == "" {
		return missing("transaction_id")
	}
	sh := payee.sharing.orders[c.vars[0]]
	if sh == nil || sh.order.transactionID != id {
		return refuse("RESOURCE_NOT_EXISTS", "记录不存在")
	}
	return done(sh.shown(c.now))
}

// unshared answers the amount of an order that may still be shared.
func (s *Server) unshared(c *call) answer {
	o := c.from.transactions[c.vars[0]]
	for _, sub := range c.from.subs {
		if o == nil {
			o = sub.transactions[c.vars[0]]
		}
	}
	if o == nil {
		return refuse("RESOURCE_NOT_EXISTS", "订单不存在")
	}
	left := o.total - o.refunded - o.shared
	if o.unfrozen || !o.shares {
		left = 0
	}
	return done(fields{"transaction_id": o.transactionID, "unsplit_amount": left})
}
