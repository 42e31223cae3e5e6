package payv3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/wetoken/wetoken/pay"
)

var _ pay.Transferer = (*Merchant)(nil)

// transfer is a transfer on the wire.
type transfer struct {
	OutBillNo      string `json:"out_bill_no"`
	TransferBillNo string `json:"transfer_bill_no"`
	AppID          string `json:"appid"`
	OpenID         string `json:"openid"`
	Fen            int64  `json:"transfer_amount"`
	Remark         string `json:"transfer_remark"`
	State          string `json:"state"`
	Package        string `json:"package_info"`
	FailReason     string `json:"fail_reason"`
}

// fill returns asked with what WeChat says of it, which may differ from it.
func (t transfer) fill(asked pay.Transfer, raw []byte) pay.Transfer {
	asked.TransferBillNo, asked.State, asked.Package, asked.FailReason = t.TransferBillNo, pay.State(t.State), t.Package, t.FailReason
	asked.AppID, asked.OpenID, asked.Remark = firstOf(t.AppID, asked.AppID), firstOf(t.OpenID, asked.OpenID), firstOf(t.Remark, asked.Remark)
	if t.Fen != 0 {
		asked.Fen = t.Fen
	}
	asked.Raw = raw
	return asked
}

// transfers returns the path of transfers.
func (m *Merchant) transfers() string {
	if m.sub.mchID != "" {
		return "/v3/fund-app/mch-transfer/partner/transfer-bills"
	}
	return "/v3/fund-app/mch-transfer/transfer-bills"
}

// Transfer sends money to a user, who confirms it with the Package that is answered. See
// https://pay.weixin.qq.com/doc/v3/merchant/4012716434 (发起转账). After any error the transfer may have been done: ask again
// under the same number, and take no new one before QueryTransfer says FAIL.
func (m *Merchant) Transfer(ctx context.Context, t pay.Transfer) (pay.Transfer, error) {
	if err := t.Check(); err != nil {
		return t, err
	}
	infos := make([]any, len(t.ReportInfos))
	for i, info := range t.ReportInfos {
		infos[i] = map[string]any{"info_type": info.Type, "info_content": info.Content}
	}
	_, fields, err := m.parties(t.AppID)
	if err != nil {
		return t, &pay.FieldError{Field: "Transfer.AppID", Reason: "is not an appid of this Merchant"}
	}
	delete(fields, "mchid")
	delete(fields, "sp_mchid")
	fields["out_bill_no"], fields["transfer_scene_id"], fields["openid"] = t.OutBillNo, t.SceneID, t.OpenID
	fields["transfer_amount"], fields["transfer_remark"], fields["transfer_scene_report_infos"] = t.Fen, t.Remark, infos
	if t.UserName != "" {
		fields["user_name"] = Secret(t.UserName)
	}
	if notifyURL := firstOf(t.NotifyURL, m.notifyURL); notifyURL != "" {
		fields["notify_url"] = notifyURL
	}
	if err := merge(fields, copyObject(t.Extra), "Transfer.Extra"); err != nil {
		return t, err
	}
	r, err := m.newRequest(ctx, http.MethodPost, m.transfers(), fields)
	if err != nil {
		return t, err
	}
	r.number = "out_bill_no " + t.OutBillNo
	return m.askTransfer(ctx, r, t)
}

// QueryTransfer returns a transfer as WeChat knows it, for 30 days. See https://pay.weixin.qq.com/doc/v3/merchant/4012716437
// (商户单号查询转账单).
func (m *Merchant) QueryTransfer(ctx context.Context, outBillNo string) (pay.Transfer, error) {
	r, err := m.transferRequest(http.MethodGet, outBillNo, "")
	if err != nil {
		return pay.Transfer{}, err
	}
	if m.sub.mchID != "" {
		r.path += "?" + url.Values{"sub_mchid": {m.sub.mchID}}.Encode()
	}
	return m.askTransfer(ctx, r, pay.Transfer{OutBillNo: outBillNo})
}

// CancelTransfer takes a transfer back that the user has not confirmed. See https://pay.weixin.qq.com/doc/v3/merchant/4012716458
// (撤销转账). It is done when the State is CANCELLED.
func (m *Merchant) CancelTransfer(ctx context.Context, outBillNo string) (pay.Transfer, error) {
	r, err := m.transferRequest(http.MethodPost, outBillNo, "/cancel")
	if err != nil {
		return pay.Transfer{}, err
	}
	if m.sub.mchID != "" {
		if r.body, err = encode(map[string]string{"sub_mchid": m.sub.mchID}); err != nil {
			return pay.Transfer{}, err
		}
	}
	return m.askTransfer(ctx, r, pay.Transfer{OutBillNo: outBillNo})
}

func (m *Merchant) transferRequest(method, outBillNo, action string) (*request, error) {
	if err := pay.CheckOutBillNo(outBillNo); err != nil {
		return nil, err
	}
	path := m.transfers() + "/out-bill-no/" + outBillNo + action
	return &request{op: method + " " + path, method: method, path: path, number: "out_bill_no " + outBillNo}, nil
}

// askTransfer sends r, whose answer must be on the transfer asked.
func (m *Merchant) askTransfer(ctx context.Context, r *request, asked pay.Transfer) (pay.Transfer, error) {
	body, err := m.do(ctx, r)
	if err != nil {
		return asked, err
	}
	var answer transfer
	err = decode(body, &answer)
	switch {
	case err != nil:
	case answer.OutBillNo != asked.OutBillNo:
		err = fmt.Errorf("the answer is on transfer %.40q", answer.OutBillNo)
	case answer.State == "":
		err = errors.New("the answer has no state")
	}
	if err != nil {
		return asked, &pay.Error{Op: r.op, Cause: pay.ErrUnknown, Number: r.number, Err: err}
	}
	return answer.fill(asked, body), nil
}
