package paytest

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// transfer is a transfer to a user (商家转账).
type transfer struct {
	from      *account
	signer    *account // from, or its provider
	asked     []byte
	outNo     string
	id        string
	appID     string
	openID    string
	fen       int64
	remark    string
	notifyURL string
	state     string
	reason    string
	token     string // package_info
	created   time.Time
	updated   time.Time
}

type transferBody struct {
	SubMchID  string `json:"sub_mchid"`
	SpAppID   string `json:"sp_appid"`
	AppID     string `json:"appid"`
	OutBillNo string `json:"out_bill_no"`
	SceneID   string `json:"transfer_scene_id"`
	OpenID    string `json:"openid"`
	UserName  string `json:"user_name"`
	Amount    int64  `json:"transfer_amount"`
	Remark    string `json:"transfer_remark"`
	NotifyURL string `json:"notify_url"`
	Reports   []struct {
		Type    string `json:"info_type"`
		Content string `json:"info_content"`
	} `json:"transfer_scene_report_infos"`
}

const (
	waitConfirm = "WAIT_USER_CONFIRM"
	canceling   = "CANCELING"
	cancelled   = "CANCELLED"
	failed      = "FAIL"

	transferKept   = 30 * 24 * time.Hour
	confirmWithin  = 26 * time.Hour // WeChat says 24 hours, and takes longer
	cancelTakes    = time.Second
	nameNeededFrom = 200_000 // fen
	leastTransfer  = 10      // fen
)

var billNo = regexp.MustCompile(`^[0-9A-Za-z]{1,32}$`)

func transferRoutes() []*route {
	var list []*route
	for _, base := range []string{"/v3/fund-app/mch-transfer/transfer-bills", "/v3/fund-app/mch-transfer/partner/transfer-bills"} {
		list = append(list,
			at("POST "+base, (*Server).transfer),
			at("GET "+base+"/out-bill-no/{}", func(s *Server, c *call) answer { return s.queryTransfer(c, false) }),
			at("GET "+base+"/transfer-bill-no/{}", func(s *Server, c *call) answer { return s.queryTransfer(c, true) }),
			at("POST "+base+"/out-bill-no/{}/cancel", (*Server).cancelTransfer),
		)
	}
	return append(list,
		at("POST /v3/transfer/batches", func(*Server, *call) answer {
			return refuse("NO_AUTH", "当前商户号接入升级版本功能，暂不支持使用升级前功能。请参考产品文档https://pay.weixin.qq.com/doc/v3/merchant/4012711988")
		}),
	)
}

// payer returns the account that a transfer is from: the caller's, or under the provider's path that of a sub-merchant.
func (s *Server) payer(c *call, subMchID string) (*account, answer, bool) {
	if !strings.Contains(c.path, "/partner/") {
		return c.from, answer{}, true
	}
	return s.payee(c, true, c.from.id, subMchID)
}

func (s *Server) transfer(c *call) answer {
	var in transferBody
	if a, ok := c.decode(&in); !ok {
		return a
	}
	from, a, ok := s.payer(c, in.SubMchID)
	if in.AppID == "" {
		in.AppID = in.SpAppID
	}
	switch {
	case !ok:
		return a
	case in.AppID == "":
		return missing("appid")
	case in.OutBillNo == "":
		return missing("out_bill_no")
	case !billNo.MatchString(in.OutBillNo):
		return paramError("/out_bill_no", in.OutBillNo, "want letters and digits, at most 32", "商户单号只能由数字、大小写字母组成")
	case in.SceneID == "":
		return missing("transfer_scene_id")
	case in.OpenID == "":
		return missing("openid")
	case in.Amount < leastTransfer:
		return paramError("/transfer_amount", "", "less than 10", "转账金额不能低于0.1元")
	case in.Remark == "":
		return missing("transfer_remark")
	case utf8.RuneCountInString(in.Remark) > 32:
		return paramError("/transfer_remark", in.Remark, "longer than 32", "转账备注过长")
	case len(in.Reports) == 0 || in.Reports[0].Type == "" || in.Reports[0].Content == "":
		return missing("transfer_scene_report_infos")
	case !c.from.takes(in.AppID):
		return refuse("APPID_MCHID_NOT_MATCH", "")
	case in.Amount >= nameNeededFrom && in.UserName == "":
		return refuse("PARAM_ERROR", "转账金额大于等于2000元时，收款用户姓名必填")
	}
	if in.NotifyURL != "" {
		if issue := badNotifyURL(in.NotifyURL); issue != "" {
			return paramError("/notify_url", in.NotifyURL, issue, "通知地址不符合规则")
		}
	}
	name := in.UserName
	if name != "" {
		plain, a, ok := c.secret("user_name", name)
		if !ok {
			return a
		}
		name = plain
	}
	in.UserName = name // the same name is encrypted otherwise each time
	asked := toJSON(in)
	if old := from.transfers[in.OutBillNo]; old != nil {
		if !bytes.Equal(old.asked, asked) {
			return refuse("INVALID_REQUEST", "单号已存在但信息不一致")
		}
		return done(old.answered())
	}
	if from.balance < in.Amount {
		return refuse("NOT_ENOUGH", "运营账户资金不足，请充值后使用原单号重试")
	}
	s.serial++
	t := &transfer{
		from: from, signer: c.from, asked: asked, outNo: in.OutBillNo, appID: in.AppID, openID: in.OpenID, fen: in.Amount, remark: in.Remark,
		notifyURL: in.NotifyURL, state: waitConfirm, created: c.now, updated: c.now,
		id:    fmt.Sprintf("1330%06d%s%018d", s.serial%1e6, c.now.In(beijing).Format("20060102"), s.serial),
		token: "affffddafdfafddffda==" + randomText(24),
	}
	from.balance -= t.fen
	from.transfers[t.outNo], from.transferIDs[t.id] = t, t
	s.after(confirmWithin, func() {
		if t.state == waitConfirm {
			s.finishTransfer(t, failed, "OVERDUE_CLOSE", time.Now())
		}
	})
	return done(t.answered())
}

func wireMillis(t time.Time) string { return t.In(beijing).Format("2006-01-02T15:04:05.000Z07:00") }

// answered returns the transfer as the call that makes it answers.
func (t *transfer) answered() fields {
	v := fields{"out_bill_no": t.outNo, "transfer_bill_no": t.id, "create_time": wireMillis(t.created), "state": t.state}
	if t.state == waitConfirm {
		v["package_info"] = t.token
	}
	if t.reason != "" {
		v["fail_reason"] = t.reason
	}
	return v
}

// shown returns the transfer as queries and notifications show it.
func (t *transfer) shown() fields {
	v := fields{
		"mch_id": t.from.id, "out_bill_no": t.outNo, "transfer_bill_no": t.id, "appid": t.appID, "state": t.state,
		"transfer_amount": t.fen, "transfer_remark": t.remark, "openid": t.openID,
		"create_time": wireMillis(t.created), "update_time": wireMillis(t.updated),
	}
	if t.reason != "" {
		v["fail_reason"] = t.reason
	}
	return v
}

func (s *Server) queryTransfer(c *call, byID bool) answer {
	from, a, ok := s.payer(c, c.query.Get("sub_mchid"))
	if !ok {
		return a
	}
	t := from.transfers[c.vars[0]]
	if byID {
		t = from.transferIDs[c.vars[0]]
	}
	if t == nil || c.now.Sub(t.created) > transferKept {
		return refuse("NOT_FOUND", "记录不存在")
	}
	v := t.shown()
	if t.state == waitConfirm {
		v["package_info"] = t.token
	}
	return done(v)
}

func (s *Server) cancelTransfer(c *call) answer {
	var in struct {
		SubMchID string `json:"sub_mchid"`
	}
	if len(c.body) > 0 {
		if a, ok := c.decode(&in); !ok {
			return a
		}
	}
	from, a, ok := s.payer(c, in.SubMchID)
	if !ok {
		return a
	}
	t := from.transfers[c.vars[0]]
	switch {
	case t == nil:
		return refuse("NOT_FOUND", "记录不存在")
	case t.state == canceling || t.state == cancelled:
	case t.state != waitConfirm:
		return refuse("INVALID_REQUEST", "当前状态不支持撤销")
	default:
		t.state, t.updated = canceling, c.now
		s.after(cancelTakes, func() {
			if t.state == canceling {
				s.finishTransfer(t, cancelled, "", time.Now())
			}
		})
	}
	return done(fields{"out_bill_no": t.outNo, "transfer_bill_no": t.id, "state": t.state, "update_time": wireMillis(t.updated)})
}

// FinishTransfer sets the state of a transfer, as its payee does by confirming (SUCCESS), or WeChat (TRANSFERING, FAIL with
// a reason, CANCELLED). A final state is notified. The money of a transfer that fails returns to the merchant.
func (s *Server) FinishTransfer(mchID, outBillNo, state, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[mchID]
	if a == nil {
		return fmt.Errorf("paytest: no merchant %q", mchID)
	}
	t := a.transfers[outBillNo]
	switch {
	case t == nil:
		return fmt.Errorf("paytest: no transfer %q of merchant %q", outBillNo, mchID)
	case !strings.Contains(" ACCEPTED PROCESSING WAIT_USER_CONFIRM TRANSFERING CANCELING SUCCESS FAIL CANCELLED ", " "+state+" "):
		return fmt.Errorf("paytest: invalid state %q of a transfer", state)
	case t.ended():
		return fmt.Errorf("paytest: the transfer is %s", t.state)
	}
	s.finishTransfer(t, state, reason, time.Now())
	return nil
}

func (t *transfer) ended() bool {
	return t.state == success || t.state == failed || t.state == cancelled
}

func (s *Server) finishTransfer(t *transfer, state, reason string, now time.Time) {
	t.state, t.reason, t.updated = state, reason, now
	if state == failed || state == cancelled {
		t.from.balance += t.fen
	}
	if t.ended() && t.notifyURL != "" {
		s.notify(t.signer, Notification{URL: t.notifyURL, Event: "MCHTRANSFER.BILL.FINISHED", OriginalType: "mch_payment", Summary: "商家转账单据终态通知", Plain: toJSON(t.shown())}, now)
	}
}
