package paytest

type abnormalBody struct {
	SubMchID    string `json:"sub_mchid"`
	OutRefundNo string `json:"out_refund_no"`
	Type        string `json:"type"`
	BankType    string `json:"bank_type"`
	BankAccount string `json:"bank_account"`
	RealName    string `json:"real_name"`
}

// refundAbnormal pays a refund that failed to a bank card.
func (s *Server) refundAbnormal(c *call) answer {
	var in abnormalBody
	if a, ok := c.decode(&in); !ok {
		return a
	}
	payee, a, ok := s.payee(c, c.from.subs != nil, c.from.id, in.SubMchID)
	if !ok {
		return a
	}
	if in.OutRefundNo == "" {
		return missing("out_refund_no")
	}
	r := payee.refundIDs[c.vars[0]]
	switch {
	case r == nil || r.outRefundNo != in.OutRefundNo:
		return refuse("RESOURCE_NOT_EXISTS", "退款单不存在")
	case in.Type != "USER_BANK_CARD" && in.Type != "MERCHANT_BANK_CARD":
		return paramError("/type", in.Type, "unknown", "异常退款处理方式不支持")
	}
	if in.Type == "USER_BANK_CARD" {
		for name, text := range map[string]string{"bank_type": in.BankType, "bank_account": in.BankAccount, "real_name": in.RealName} {
			if text == "" {
				return missing(name)
			}
		}
		for name, text := range map[string]string{"bank_account": in.BankAccount, "real_name": in.RealName} {
			if _, a, ok := c.secret(name, text); !ok {
				return a
			}
		}
	}
	if r.state != abnormal {
		return refuse("INVALID_REQUEST", "退款单状态不是退款异常")
	}
	r.state = processing
	return done(r.shown())
}
