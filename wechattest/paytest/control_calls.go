package paytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"time"
)

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

func controlMerchant(s *Server, in Merchant) (any, error) { return s.addMerchant(in) }

func controlShowMerchant(s *Server, r *http.Request) (any, error) {
	return s.Merchant(r.URL.Query().Get("mchid"))
}

type modeBody struct {
	MchID   string  `json:"mchid"`
	Mode    Mode    `json:"mode"`
	Percent float64 `json:"percent"`
}

func controlMode(s *Server, in modeBody) (any, error) {
	return fields{}, s.SetMode(in.MchID, in.Mode, in.Percent)
}

type keyBody struct {
	MchID string `json:"mchid"`
	Key   string `json:"key"`
}

func controlKey(s *Server, in keyBody) (any, error) {
	return fields{}, s.SetAPIv3Key(in.MchID, in.Key)
}

func controlV2Key(s *Server, in keyBody) (any, error) {
	return fields{}, s.SetAPIKey(in.MchID, in.Key)
}

type consoleBody struct {
	MchID      string `json:"mchid"`
	OutTradeNo string `json:"out_trade_no"`
	Fen        int64  `json:"fen"`
}

func controlConsole(s *Server, in consoleBody) (any, error) {
	no, err := s.RefundInConsole(in.MchID, in.OutTradeNo, in.Fen)
	return fields{"out_refund_no": no}, err
}

type rotateBody struct {
	MchID string  `json:"mchid"`
	After float64 `json:"after"`
}

func controlRotate(s *Server, in rotateBody) (any, error) {
	serialNo, err := s.RotateCertificate(in.MchID, seconds(in.After))
	return fields{"serial_no": serialNo}, err
}

type depositBody struct {
	MchID string `json:"mchid"`
	Fen   int64  `json:"fen"`
}

func controlDeposit(s *Server, in depositBody) (any, error) {
	balance, err := s.Deposit(in.MchID, in.Fen)
	return fields{"balance": balance}, err
}

type payBody struct {
	MchID      string `json:"mchid"`
	OutTradeNo string `json:"out_trade_no"`
	OpenID     string `json:"openid"`
	Late       bool   `json:"late"`
}

func controlPay(s *Server, in payBody) (any, error) {
	id, err := s.pay(in.MchID, in.OutTradeNo, in.OpenID, in.Late)
	return fields{"transaction_id": id}, err
}

type payingBody struct {
	MchID      string `json:"mchid"`
	OutTradeNo string `json:"out_trade_no"`
}

func controlPaying(do func(s *Server, mchID, outTradeNo string) error) func(*Server, payingBody) (any, error) {
	return func(s *Server, in payingBody) (any, error) {
		return fields{}, do(s, in.MchID, in.OutTradeNo)
	}
}

type payCodeBody struct {
	OpenID string `json:"openid"`
	Asks   bool   `json:"asks"`
}

func controlPayCode(s *Server, in payCodeBody) (any, error) {
	return fields{"auth_code": s.PayCode(in.OpenID, in.Asks)}, nil
}

type finishRefundBody struct {
	MchID       string `json:"mchid"`
	OutRefundNo string `json:"out_refund_no"`
	Status      string `json:"status"`
}

func controlRefund(s *Server, in finishRefundBody) (any, error) {
	return fields{}, s.FinishRefund(in.MchID, in.OutRefundNo, in.Status)
}

type finishTransferBody struct {
	MchID     string `json:"mchid"`
	OutBillNo string `json:"out_bill_no"`
	State     string `json:"state"`
	Reason    string `json:"fail_reason"`
}

func controlTransfer(s *Server, in finishTransferBody) (any, error) {
	return fields{}, s.FinishTransfer(in.MchID, in.OutBillNo, in.State, in.Reason)
}

type complainBody struct {
	MchID      string `json:"mchid"`
	OutTradeNo string `json:"out_trade_no"`
	Detail     string `json:"detail"`
	Phone      string `json:"phone"`
}

func controlComplain(s *Server, in complainBody) (any, error) {
	id, err := s.Complain(in.MchID, in.OutTradeNo, in.Detail, in.Phone)
	return fields{"id": id}, err
}

type billBody struct {
	MchID     string `json:"mchid"`
	Kind      string `json:"kind"`
	Date      string `json:"date"`
	Text      string `json:"text"`
	WrongHash bool   `json:"wrong_hash"`
}

func controlBill(s *Server, in billBody) (any, error) {
	day, err := time.ParseInLocation(time.DateOnly, in.Date, beijing)
	if err != nil {
		return nil, errors.New("paytest: date: want 2006-01-02")
	}
	return fields{}, s.AddBill(Bill{MchID: in.MchID, Kind: in.Kind, Day: day, WrongHash: in.WrongHash, Write: func(w io.Writer) error {
		_, err := io.WriteString(w, in.Text)
		return err
	}})
}

type notifyBody struct {
	Notification
	Plain json.RawMessage `json:"plain"`
}

func controlNotify(s *Server, in notifyBody) (any, error) {
	in.Notification.Plain = in.Plain
	return fields{}, s.Notify(in.Notification)
}

type faultBody struct {
	Fault
	Seconds float64 `json:"delay"`
}

func controlFail(s *Server, in faultBody) (any, error) {
	switch {
	case in.Status != 0 && (in.Status < 200 || in.Status > 999):
		return nil, errors.New("paytest: status is no final HTTP status")
	case in.Times < 0 || in.Seconds < 0:
		return nil, errors.New("paytest: times or delay is negative")
	case !in.Sign.valid():
		return nil, fmt.Errorf("paytest: invalid sign %q", in.Sign)
	}
	if _, err := path.Match(in.Path, ""); err != nil {
		return nil, fmt.Errorf("paytest: path %q: %w", in.Path, err)
	}
	in.Delay = seconds(in.Seconds)
	s.AddFault(in.Fault)
	return fields{}, nil
}

type disturbBody struct {
	NotificationFault
	DelaySeconds float64 `json:"delay"`
	ApartSeconds float64 `json:"apart"`
}

func controlDisturb(s *Server, in disturbBody) (any, error) {
	switch {
	case in.Times < 0 || in.Lost < 0 || in.Copies < 0 || in.Copies > 100 || in.DelaySeconds < 0 || in.ApartSeconds < 0:
		return nil, errors.New("paytest: a number is negative, or copies more than 100")
	case !in.Sign.valid():
		return nil, fmt.Errorf("paytest: invalid sign %q", in.Sign)
	}
	in.Delay, in.Apart = seconds(in.DelaySeconds), seconds(in.ApartSeconds)
	s.AddNotificationFault(in.NotificationFault)
	return fields{}, nil
}

func controlHeal(s *Server, _ *http.Request) (any, error) {
	s.Heal()
	return fields{}, nil
}

func controlOrder(s *Server, r *http.Request) (any, error) {
	q := r.URL.Query()
	return s.Order(q.Get("mchid"), q.Get("out_trade_no"))
}

func controlOrders(s *Server, r *http.Request) (any, error) {
	return append([]Order{}, s.Orders(r.URL.Query().Get("mchid"))...), nil
}

func controlPrepaid(s *Server, r *http.Request) (any, error) {
	return s.Prepaid(r.URL.Query().Get("id"))
}

func controlComplaints(s *Server, r *http.Request) (any, error) {
	return append([]Complaint{}, s.Complaints(r.URL.Query().Get("mchid"))...), nil
}

func controlDeliveries(s *Server, _ *http.Request) (any, error) {
	return append([]Delivery{}, s.Deliveries()...), nil
}

func controlCalls(s *Server, r *http.Request) (any, error) {
	return fields{"calls": s.Calls(r.URL.Query().Get("path"))}, nil
}
