package paytest

import (
	"fmt"
	"time"
)

type shareReturn struct {
	order     *shareOrder
	id, outNo string
	mchID     string
	fen       int64
	about     string
	created   time.Time
}

// returnShare returns a share from its receiver.
func (s *Server) returnShare(c *call) answer {
	var in struct {
		SubMchID    string `json:"sub_mchid"`
		OrderID     string `json:"order_id"`
		OutOrderNo  string `json:"out_order_no"`
		OutReturnNo string `json:"out_return_no"`
		ReturnMchID string `json:"return_mchid"`
		Amount      int64  `json:"amount"`
		Description string `json:"description"`
	}
	if a, ok := c.decode(&in); !ok {
		return a
	}
	payee, a, ok := s.payee(c, c.from.subs != nil, c.from.id, in.SubMchID)
	switch {
	case !ok:
		return a
	case in.OutReturnNo == "":
		return missing("out_return_no")
	case in.ReturnMchID == "":
		return missing("return_mchid")
	case in.Amount < 1:
		return paramError("/amount", "", "less than 1", "回退金额必须大于0")
	case in.Description == "":
		return missing("description")
	}
	sh := payee.sharing.orders[in.OutOrderNo]
	if in.OutOrderNo == "" {
		for _, each := range payee.sharing.orders {
			if each.id == in.OrderID {
				sh = each
			}
		}
	}
	if sh == nil {
		return refuse("RESOURCE_NOT_EXISTS", "分账单不存在")
	}
	if old := payee.sharing.returns[in.OutReturnNo]; old != nil {
		if old.order != sh || old.fen != in.Amount || old.mchID != in.ReturnMchID {
			return refuse("INVALID_REQUEST", "回退单号重复，且参数与原请求不一致")
		}
		return done(old.shown())
	}
	if sh.left(in.ReturnMchID, payee) < in.Amount {
		return refuse("INVALID_REQUEST", "回退金额超过可回退金额")
	}
	s.serial++
	r := &shareReturn{order: sh, id: fmt.Sprintf("3009%020d", s.serial), outNo: in.OutReturnNo, mchID: in.ReturnMchID, fen: in.Amount, about: in.Description, created: c.now}
	sh.order.shared -= r.fen
	payee.balance += r.fen
	if payee.sharing.returns == nil {
		payee.sharing.returns = make(map[string]*shareReturn)
	}
	payee.sharing.returns[r.outNo] = r
	return done(r.shown())
}

// left returns the fen that a receiver got by this sharing and has not returned.
func (sh *shareOrder) left(mchID string, payee *account) (fen int64) {
	for _, r := range sh.receivers {
		if r.Type == "MERCHANT_ID" && r.Account == mchID {
			fen += r.Amount
		}
	}
	for _, r := range payee.sharing.returns {
		if r.order == sh && r.mchID == mchID {
			fen -= r.fen
		}
	}
	return fen
}

func (r *shareReturn) shown() fields {
	return fields{
		"order_id": r.order.id, "out_order_no": r.order.outNo, "out_return_no": r.outNo, "return_id": r.id, "return_mchid": r.mchID,
		"amount": r.fen, "description": r.about, "result": success, "create_time": wireTime(r.created), "finish_time": wireTime(r.created),
	}
}

func (s *Server) queryReturn(c *call) answer {
	payee, a, ok := s.payee(c, c.from.subs != nil, c.from.id, c.query.Get("sub_mchid"))
	if !ok {
		return a
	}
	r := payee.sharing.returns[c.vars[0]]
	if r == nil || r.order.outNo != c.query.Get("out_order_no") {
		return refuse("RESOURCE_NOT_EXISTS", "记录不存在")
	}
	return done(r.shown())
}
