package event

import "time"

// Events of mini programs (小程序).

// EnterTempSession is user_enter_tempsession: the user opened customer service (进入客服会话).
type EnterTempSession struct {
	SessionFrom string // the button's session-from
}

// MediaCheck is wxa_media_check: the result of mediaCheckAsync for a picture or a recording (内容安全检测结果).
// https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/sec-center/sec-check/mediaCheckAsync.html
type MediaCheck struct {
	AppID   string
	TraceID string // returned by mediaCheckAsync
	Version int
	ErrCode int
	ErrMsg  string
	Result  struct {
		Suggest string // risky, pass or review
		Label   int
	}
	Detail []struct {
		Strategy string
		ErrCode  int
		Suggest  string
		Label    int
		Prob     int
	} `wechat:"detail>item,detail"`
}

// Audit is weapp_audit_success, weapp_audit_fail and weapp_audit_delay (代码审核结果).
// https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/api/code/audit_event.html
type Audit struct {
	SuccTime   time.Time
	FailTime   time.Time
	DelayTime  time.Time
	Reason     string // with <br> between lines
	ScreenShot string // media ids, divided by |
}

// NicknameAudit is wxa_nickname_audit (名称审核结果).
type NicknameAudit struct {
	Ret      int // 2 refused, 3 accepted
	Nickname string
	Reason   string
}

// CategoryAudit is wxa_category_audit (类目审核结果).
type CategoryAudit struct {
	Ret    int // 2 refused, 3 accepted
	First  int64
	Second int64 // the category and the one below it
	Reason string
}

// IllegalRecord is wxa_illegal_record: the mini program broke a rule (违规记录).
type IllegalRecord struct {
	IllegalRecordID string
	AppID           string
	CreateTime      string `wechat:"create_time"` // of the breach
	IllegalReason   string
	IllegalContent  string
	RuleURL         string
	RuleName        string
}

// AppealRecord is wxa_appeal_record: the state of an appeal (申诉记录).
type AppealRecord struct {
	AppealRecordID    string
	AppID             string
	AppealTime        string
	AppealCount       int
	AppealFrom        int // 0 the owner, 1 the service provider
	AppealStatus      int // 1 in progress, 2 accepted, 3 refused, 4 withdrawn
	AuditTime         string
	AuditReason       string
	PunishDescription string
	Material          []struct {
		IllegalMaterial struct {
			Content    string
			ContentURL string
		}
		AppealMaterial struct {
			Reason           string
			ProofMaterialIDs []string `wechat:"proof_material_ids>item,proof_material_ids"` // media ids
		}
	} `wechat:"material>item,material,materials>item,materials>material,materials"`
}

// PrivacyApply is wxa_privacy_apply: the result of an application for an interface that uses private data (隐私接口审核结果).
type PrivacyApply struct {
	ResultInfo struct {
		APIName   string
		ApplyTime time.Time
		AuditID   string
		AuditTime time.Time
		Reason    string
		Status    int // 2 refused, 3 accepted
	}
}

// TradeManageRemindAccessAPI is trade_manage_remind_access_api: the mini program must report shipping from now on
// (提醒接入发货信息管理服务). wxa_trade_controlled, which disables payments until then, has the same field.
// https://developers.weixin.qq.com/miniprogram/dev/platform-capabilities/business-capabilities/order-shipping/order-shipping.html
type TradeManageRemindAccessAPI struct {
	Msg string
}

// TradeManageRemindShipping is trade_manage_remind_shipping: an order is 48 hours old and not reported as shipped
// (提醒需要上传发货信息).
type TradeManageRemindShipping struct {
	TransactionID   string
	MerchantID      string
	SubMerchantID   string
	MerchantTradeNo string
	PayTime         time.Time
	Msg             string
}

// TradeManageOrderSettlement is trade_manage_order_settlement: an order was shipped and will be settled, or has been
// settled (订单将要结算或已经结算).
type TradeManageOrderSettlement struct {
	TransactionID           string
	MerchantID              string
	SubMerchantID           string
	MerchantTradeNo         string
	PayTime                 time.Time
	ShippedTime             time.Time
	EstimatedSettlementTime time.Time // when shipped
	ConfirmReceiveMethod    int       // when settled: 1 automatic, 2 by the user
	ConfirmReceiveTime      time.Time // when settled
	SettlementTime          time.Time // when settled
}

// AddExpressPath is add_express_path: a parcel has moved (运单轨迹更新).
type AddExpressPath struct {
	DeliveryID string
	WayBillID  string
	OrderID    string
	Version    int
	Count      int
	Actions    []struct {
		ActionTime time.Time
		ActionType int
		ActionMsg  string
	} `wechat:"Actions>item,Actions"`
}

// Xpay is xpay_goods_deliver_notify and xpay_coin_pay_notify: the user bought goods or coins by virtual payment
// (虚拟支付). WeChat repeats it until the reply is message.Raw with ErrCode 0. Amounts are in fen.
type Xpay struct {
	OpenID        string
	OutTradeNo    string
	Env           int // 0 live, 1 sandbox
	WeChatPayInfo struct {
		MchOrderNo    string
		TransactionID string
		PaidTime      time.Time
	}
	GoodsInfo struct {
		ProductID   string
		Quantity    int
		OrigPrice   int64
		ActualPrice int64
		Attach      string
	}
	CoinInfo struct {
		Quantity    int
		OrigPrice   int64
		ActualPrice int64
		Attach      string
	}
}
