package event

import "time"

// Events of official accounts (公众号).
// https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Receiving_event_pushes.html

// View is VIEW and view_miniprogram: a menu item with a page was clicked (点击菜单跳转链接、小程序).
type View struct {
	EventKey string // the URL, or the mini program's path
	MenuID   string // changes with the menu's version
}

// ScanCode is scancode_push and scancode_waitmsg: a code was scanned from the menu (扫码推事件).
type ScanCode struct {
	EventKey     string
	ScanCodeInfo struct {
		ScanType   string // qrcode, barcode …
		ScanResult string
	}
}

// SendPics is pic_sysphoto, pic_photo_or_album and pic_weixin: pictures were sent from the menu (菜单发图). The pictures
// follow as messages.
type SendPics struct {
	EventKey     string
	SendPicsInfo struct {
		Count   int
		PicList []struct{ PicMD5Sum string } `wechat:"PicList>item,PicList"`
	}
}

// SendLocation is location_select: a place was sent from the menu (弹出地理位置选择器).
type SendLocation struct {
	EventKey         string
	SendLocationInfo struct {
		LocationX float64 // latitude
		LocationY float64 // longitude
		Scale     int
		Label     string
		Poiname   string
	}
}

// TemplateSendJobFinish is TEMPLATESENDJOBFINISH: whether a template message arrived (模板消息送达).
type TemplateSendJobFinish struct {
	MsgID  int64  // returned by /cgi-bin/message/template/send
	Status string // success, failed:user block, failed: system failed
}

// MassSendJobFinish is MASSSENDJOBFINISH: a mass message has been sent (群发结果).
type MassSendJobFinish struct {
	MsgID       int64
	Status      string // send success, send fail, err(10001) …
	TotalCount  int
	FilterCount int
	SentCount   int
	ErrorCount  int

	CopyrightCheckResult struct {
		Count      int
		CheckState int
		ResultList []struct {
			ArticleIdx            int
			UserDeclareState      int
			AuditState            int
			OriginalArticleURL    string
			OriginalArticleType   int
			CanReprint            bool
			NeedReplaceContent    bool
			NeedShowReprintSource bool
		} `wechat:"ResultList>item,ResultList"`
	}
	ArticleURLResult struct {
		Count      int
		ResultList []struct {
			ArticleIdx int
			ArticleURL string
		} `wechat:"ResultList>item,ResultList"`
	}
}

// PublishJobFinish is PUBLISHJOBFINISH: whether articles were published (发布结果).
type PublishJobFinish struct {
	PublishEventInfo struct {
		PublishID     int64
		PublishStatus int // 0 published; otherwise see the page of freepublish/get
		ArticleID     string
		ArticleDetail struct {
			Count int
			Item  []struct {
				Idx        int
				ArticleURL string
			}
		}
		FailIdx []int
	}
}

// SubscribeMsgPopup is subscribe_msg_popup_event: the user was asked for subscribe messages (订阅通知弹窗).
type SubscribeMsgPopup struct {
	List []struct {
		TemplateID            string
		SubscribeStatusString string // accept or reject
		PopupScene            int    // 1 a page, 2 a mini program's …
	} `wechat:"SubscribeMsgPopupEvent>List,List"`
}

// SubscribeMsgChange is subscribe_msg_change_event: the user changed their subscriptions (管理订阅通知).
type SubscribeMsgChange struct {
	List []struct {
		TemplateID            string
		SubscribeStatusString string // accept or reject
	} `wechat:"SubscribeMsgChangeEvent>List,List"`
}

// SubscribeMsgSent is subscribe_msg_sent_event: whether a subscribe message arrived (订阅通知送达).
type SubscribeMsgSent struct {
	List []struct {
		TemplateID  string
		MsgID       int64
		ErrorCode   int
		ErrorStatus string
	} `wechat:"SubscribeMsgSentEvent>List,List"`
}

// UserAuthorization is user_info_modified, user_authorization_revoke and user_authorization_cancellation: a user's
// data changed, or the user asks for their deletion (授权用户资料变更、撤回、注销).
type UserAuthorization struct {
	OpenID     string
	AppID      string
	RevokeInfo string // numbers of the revoked data
	PluginID   string
	OpenPID    string
}

// Verify is qualification_verify_success, qualification_verify_fail, naming_verify_success, naming_verify_fail,
// annual_renew and verify_expired: the state of the account's verification (微信认证事件).
type Verify struct {
	ExpiredTime time.Time // of the successes, annual_renew and verify_expired
	FailTime    time.Time
	FailReason  string
}

// KfSession is kf_create_session, kf_close_session and kf_switch_session (客服会话状态).
type KfSession struct {
	KfAccount     string
	FromKfAccount string // of a switch
	ToKfAccount   string
}

// Card has the fields of all card events, card_pass_check and user_get_card to submit_membercard_user_info (卡券事件);
// each event has some of them.
type Card struct {
	CardID              string
	UserCardCode        string
	OldUserCardCode     string
	FriendUserName      string
	IsGiveByFriend      bool
	IsReturnBack        bool
	IsChatRoom          bool
	IsRestoreMemberCard bool
	IsRecommendByFriend bool
	OuterID             int64
	OuterStr            string
	UnionID             string
	RefuseReason        string
	ConsumeSource       string
	LocationName        string
	LocationID          string
	StaffOpenID         string
	VerifyCode          string
	RemarkAmount        string
	TransID             string
	Fee                 int64 // fen
	OriginalFee         int64 // fen
	ModifyBonus         int64
	ModifyBalance       int64
	Detail              string
	OrderID             string
	Status              string
	CreateOrderTime     time.Time
	PayFinishTime       time.Time
	Desc                string
	OrderType           string
	Memo                string
	ReceiptInfo         string
	FreeCoinCount       float64 // of card_pay_order, as the three below: 券点
	PayCoinCount        float64
	RefundFreeCoinCount float64
	RefundPayCoinCount  float64
}

// Device is bind, unbind, subscribe_status and unsubscribe_status, all with MsgType device_event: the user has bound a
// device to the account or unbound it (微信硬件).
type Device struct {
	DeviceType string // the account's gh_ name
	DeviceID   string
	SessionID  string
	Content    string // in base64
	OpenID     string
}
