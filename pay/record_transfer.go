package pay

import (
	"errors"
	"slices"
	"time"
)

// transferState is the progress of a transfer.
type transferState string

const (
	transferSent  transferState = "sent"  // about to be sent, or sent
	transferHeld  transferState = "held"  // WeChat has it
	transferFinal transferState = "final" // done, failed or cancelled
	transferLost  transferState = "lost"  // WeChat no longer answers queries
)

// transferRecord is a stored transfer.
type transferRecord struct {
	recordHead
	App        string        `json:"app,omitempty"`
	Merchant   string        `json:"merchant"`
	State      transferState `json:"state"`
	Transfer   Transfer      `json:"transfer"` // as requested
	Asked      time.Time     `json:"asked"`
	Answer     *Transfer     `json:"answer,omitempty"` // WeChat's last reply
	Ended      time.Time     `json:"ended,omitzero"`
	HandedOver time.Time     `json:"handed_over,omitzero"`
	Kept       time.Time     `json:"kept,omitzero"` // when a caller repeated it: it is not removed then
}

func (r *transferRecord) check() error {
	if r.Merchant == "" || CheckOutBillNo(r.Transfer.OutBillNo) != nil || r.State == transferFinal && r.Answer == nil {
		return errors.New("invalid record of a transfer")
	}
	return nil
}

func (*transferRecord) ttl(time.Time) time.Duration { return paidTTL }

// maySend reports whether the transfer may be sent after a query returned ErrNotFound, which WeChat also returns for an old one.
func (r *transferRecord) maySend(now time.Time) bool {
	return r.State == transferSent && now.Sub(r.Asked) < maxTransferAge-24*time.Hour
}

func (r *transferRecord) isDone() bool { return r.State == transferFinal && !r.HandedOver.IsZero() }

// setAnswer stores a reply from WeChat. It keeps Package, which queries do not return.
func (r *transferRecord) setAnswer(answer Transfer, now time.Time) {
	if r.State == transferFinal {
		return
	}
	if len(answer.Raw) > maxRaw {
		answer.Raw = nil
	}
	if answer.Package == "" && r.Answer != nil {
		answer.Package = r.Answer.Package
	}
	if answer.State != WaitConfirm && answer.State != "" {
		answer.Package = ""
	}
	r.State, r.Answer = transferHeld, &answer
	if answer.Ended() {
		r.State, r.Ended = transferFinal, now
	}
}

// answered returns the transfer for callers.
func (r *transferRecord) answered() Transfer {
	t := r.Transfer
	t.State = Processing
	if a := r.Answer; a != nil {
		t.TransferBillNo, t.State, t.Package, t.FailReason, t.Raw = a.TransferBillNo, a.State, a.Package, a.FailReason, a.Raw
	}
	return t
}

// mismatch returns the first field in which WeChat's reply is about another transfer than the stored one, or "". A reply may omit
// fields.
func (r *transferRecord) mismatch(answer Transfer) string {
	asked := r.Transfer
	switch {
	case differs(asked.OpenID, answer.OpenID):
		return "Transfer.OpenID"
	case differs(asked.Fen, answer.Fen):
		return "Transfer.Fen"
	}
	return ""
}

// difference returns the first field in which a transfer differs from the stored one, or "".
func (r *transferRecord) difference(t Transfer) string {
	was := r.Transfer
	switch {
	case was.OpenID != t.OpenID:
		return "Transfer.OpenID"
	case was.Fen != t.Fen:
		return "Transfer.Fen"
	case was.SceneID != t.SceneID:
		return "Transfer.SceneID"
	case was.Remark != t.Remark:
		return "Transfer.Remark"
	case was.UserName != t.UserName:
		return "Transfer.UserName"
	case !slices.Equal(was.ReportInfos, t.ReportInfos):
		return "Transfer.ReportInfos"
	case was.AppID != t.AppID:
		return "Transfer.AppID"
	case !equalExtra(was.Extra, t.Extra):
		return "Transfer.Extra"
	}
	return ""
}
