package pay

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/redact"
)

// Transfer is an argument and a result of [Transferer.Transfer], which sends money to a user (商家转账).
type Transfer struct {
	OutBillNo   string       `json:"out_bill_no"` // the merchant's own number: 1 to 32 letters and digits
	OpenID      string       `json:"openid"`
	Fen         int64        `json:"fen"`                 // at least 10, of at most 15 digits
	SceneID     string       `json:"scene_id"`            // such as 1000, as WeChat's console lists them
	Remark      string       `json:"remark"`              // shown to the user: at most 32 characters
	UserName    string       `json:"user_name,omitempty"` // real name of the user, which WeChat checks; required from 2000 yuan
	ReportInfos []ReportInfo `json:"report_infos"`        // required by the scene

	AppID     string         `json:"app_id,omitempty"`     // default the Merchant's own
	NotifyURL string         `json:"notify_url,omitempty"` // default the Merchant's own
	Extra     map[string]any `json:"extra,omitempty"`      // other fields, as in Order

	// The fields below are results.
	TransferBillNo string          `json:"transfer_bill_no,omitempty"` // WeChat's own number
	State          State           `json:"state,omitempty"`
	Package        string          `json:"package,omitempty"` // for wx.requestMerchantTransfer, while State is WaitConfirm
	FailReason     string          `json:"fail_reason,omitempty"`
	Raw            json.RawMessage `json:"raw,omitempty"` // WeChat's whole reply, as JSON
}

// ReportInfo is a detail of a transfer that WeChat requires (转账场景报备信息).
type ReportInfo struct {
	Type    string `json:"info_type"`
	Content string `json:"info_content"`
}

// The states of transfers, in addition to Success and Processing. WeChat may send other states.
const (
	WaitConfirm State = "WAIT_USER_CONFIRM" // the user must confirm within a day, with Package
	Canceling   State = "CANCELING"
	Cancelled   State = "CANCELLED"
	Failed      State = "FAIL"
)

// Format implements fmt.Formatter. It omits the name of the user.
func (t Transfer) Format(s fmt.State, verb rune) {
	type plain Transfer
	if t.UserName != "" {
		t.UserName = redact.Mask
	}
	redact.Format(s, verb, plain(t))
}

// Ended reports whether the state is final: the user has the money, or will not get it by this transfer.
func (t Transfer) Ended() bool {
	return t.State == Success || t.State == Failed || t.State == Cancelled
}

// Transferer is a [Merchant] that sends money to users. Its errors are those of a Merchant. After any error the transfer may have
// been done: use no new number before QueryTransfer returns Failed, Cancelled or ErrNotFound.
type Transferer interface {
	Transfer(ctx context.Context, transfer Transfer) (Transfer, error)
	// QueryTransfer returns a transfer of the last 30 days from WeChat.
	QueryTransfer(ctx context.Context, outBillNo string) (Transfer, error)
	// CancelTransfer cancels a transfer that the user has not confirmed.
	CancelTransfer(ctx context.Context, outBillNo string) (Transfer, error)
}

// Check returns a *[FieldError] if WeChat cannot accept the transfer.
func (t Transfer) Check() error {
	if err := CheckOutBillNo(t.OutBillNo); err != nil {
		return within("Transfer", err)
	}
	for _, f := range []struct{ name, text string }{{"OpenID", t.OpenID}, {"SceneID", t.SceneID}, {"Remark", t.Remark}} {
		if f.text == "" {
			return &FieldError{"Transfer." + f.name, "is empty"}
		}
		if err := checkText("Transfer."+f.name, f.text); err != nil {
			return err
		}
	}
	if err := checkFen("Transfer.Fen", t.Fen, 10); err != nil {
		return err
	}
	switch {
	case t.Fen >= 200_000 && t.UserName == "":
		return &FieldError{"Transfer.UserName", "is empty: WeChat requires it from 2000 yuan"}
	case len([]rune(t.Remark)) > 32:
		return &FieldError{"Transfer.Remark", "has more than 32 characters"}
	}
	return CheckNotifyURL("Transfer.NotifyURL", t.NotifyURL)
}

// CheckOutBillNo returns a *[FieldError] if no is not a valid transfer number.
func CheckOutBillNo(no string) error {
	wrong := strings.ContainsFunc(no, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	})
	if wrong || no == "" || len(no) > 32 {
		return &FieldError{"OutBillNo", fmt.Sprintf("is %q: want 1 to 32 letters and digits", shorten(no))}
	}
	return nil
}

// maxTransferAge is the time for which WeChat answers queries about a transfer.
const maxTransferAge = 30 * 24 * time.Hour
