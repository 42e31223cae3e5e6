package paytest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// complaints are the complaints about a merchant (消费者投诉), and the URL for their notifications.
type complaints struct {
	url  string
	list []*Complaint
}

// Complaint is a complaint of a payer.
type Complaint struct {
	ID         string    `json:"id"`
	Detail     string    `json:"detail"`
	Phone      string    `json:"phone"` // of the payer, encrypted for the merchant's certificate
	OutTradeNo string    `json:"out_trade_no"`
	State      string    `json:"state"` // PENDING, PROCESSING, PROCESSED
	Replies    []string  `json:"replies"`
	At         time.Time `json:"at"`
}

func complaintRoutes() []*route {
	const base = "/v3/merchant-service/complaints-v2"
	const hook = "/v3/merchant-service/complaint-notifications"
	return []*route{
		at("GET "+base, (*Server).listComplaints),
		at("GET "+base+"/{}", (*Server).queryComplaint),
		at("GET "+base+"/{}/negotiation-historys", (*Server).complaintHistory),
		at("POST "+base+"/{}/response", (*Server).replyComplaint),
		at("POST "+base+"/{}/complete", (*Server).completeComplaint),
		at("POST "+hook, (*Server).setComplaintURL),
		at("PUT "+hook, (*Server).setComplaintURL),
		at("GET "+hook, func(_ *Server, c *call) answer {
			if c.from.complaints.url == "" {
				return refuse("RESOURCE_NOT_EXISTS", "")
			}
			return done(fields{"mchid": c.from.id, "url": c.from.complaints.url})
		}),
		at("DELETE "+hook, func(_ *Server, c *call) answer {
			c.from.complaints.url = ""
			return noContent()
		}),
	}
}

// Complain adds a complaint of the payer of an order, and notifies the merchant if it named a URL.
func (s *Server) Complain(mchID, outTradeNo, detail, phone string) (id string, err error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.merchant(mchID)
	if err != nil {
		return "", err
	}
	if _, err := s.order(mchID, outTradeNo, now); err != nil {
		return "", err
	}
	s.serial++
	x := &Complaint{ID: fmt.Sprintf("2002%s%012d", now.In(beijing).Format("20060102"), s.serial), Detail: detail, Phone: phone, OutTradeNo: outTradeNo, State: "PENDING", At: now}
	a.complaints.list = append(a.complaints.list, x)
	s.notifyComplaint(a, x, "COMPLAINT.CREATE", "CREATE_COMPLAINT", now)
	return x.ID, nil
}

func (s *Server) notifyComplaint(a *account, x *Complaint, event, action string, now time.Time) {
	if a.complaints.url != "" {
		s.notify(a, Notification{URL: a.complaints.url, Event: event, OriginalType: "complaint", CreateTime: now.In(beijing).Format("20060102150405"), Summary: "产生新投诉", Plain: toJSON(fields{"complaint_id": x.ID, "action_type": action})}, now)
	}
}

// Complaints returns the complaints about a merchant.
func (s *Server) Complaints(mchID string) (list []Complaint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[mchID]; a != nil {
		for _, x := range a.complaints.list {
			list = append(list, *x)
		}
	}
	return list
}

func (s *Server) setComplaintURL(c *call) answer {
	var in struct {
		URL string `json:"url"`
	}
	if a, ok := c.decode(&in); !ok {
		return a
	}
	switch {
	case in.URL == "":
		return missing("url")
	case badNotifyURL(in.URL) != "":
		return paramError("/url", in.URL, badNotifyURL(in.URL), "通知地址不符合规则")
	case c.method == http.MethodPost && c.from.complaints.url != "":
		return refuse("INVALID_REQUEST", "回调地址已存在")
	}
	c.from.complaints.url = in.URL
	return done(fields{"mchid": c.from.id, "url": in.URL})
}

func (x *Complaint) shown(a *account) fields {
	v := fields{
		"complaint_id": x.ID, "complaint_time": wireTime(x.At), "complaint_detail": x.Detail, "complaint_state": x.State,
		"complaint_full_refunded": false, "incoming_user_response": false, "user_complaint_times": 1,
	}
	if x.Phone != "" {
		v["payer_phone"] = sealField(&a.key.PublicKey, x.Phone)
	}
	if o := a.orders[x.OutTradeNo]; o != nil {
		v["complaint_order_info"] = []fields{{"transaction_id": o.transactionID, "out_trade_no": o.outTradeNo, "amount": o.total}}
	}
	return v
}

func (s *Server) listComplaints(c *call) answer {
	from, errFrom := time.ParseInLocation(time.DateOnly, c.query.Get("begin_date"), beijing)
	to, errTo := time.ParseInLocation(time.DateOnly, c.query.Get("end_date"), beijing)
	if errFrom != nil || errTo != nil {
		return missing("begin_date")
	}
	limit, offset := number(c.query.Get("limit"), 10), number(c.query.Get("offset"), 0)
	if limit < 1 || limit > 50 || offset < 0 {
		return refuse("PARAM_ERROR", "limit或offset错误")
	}
	list, total := []fields{}, 0
	for _, x := range c.from.complaints.list {
		if x.At.Before(from) || !x.At.Before(to.AddDate(0, 0, 1)) {
			continue
		}
		if total >= offset && len(list) < limit {
			list = append(list, x.shown(c.from))
		}
		total++
	}
	return done(fields{"data": list, "limit": limit, "offset": offset, "total_count": total})
}

func number(text string, otherwise int) int {
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}

func (c *call) complaint() (*Complaint, answer, bool) {
	for _, x := range c.from.complaints.list {
		if x.ID == c.vars[0] {
			return x, answer{}, true
		}
	}
	return nil, refuse("RESOURCE_NOT_EXISTS", "投诉单不存在"), false
}

func (s *Server) queryComplaint(c *call) answer {
	x, a, ok := c.complaint()
	if !ok {
		return a
	}
	return done(x.shown(c.from))
}

func (s *Server) complaintHistory(c *call) answer {
	x, a, ok := c.complaint()
	if !ok {
		return a
	}
	list := []fields{{"operator": "用户", "operate_type": "USER_CREATE_COMPLAINT", "operate_details": x.Detail}}
	for _, text := range x.Replies {
		list = append(list, fields{"operator": "商家", "operate_type": "MERCHANT_RESPONSE", "operate_details": text})
	}
	return done(fields{"data": list, "limit": 50, "offset": 0, "total_count": len(list)})
}

// replyComplaint adds a reply. The same text twice makes two replies.
func (s *Server) replyComplaint(c *call) answer {
	var in struct {
		MchID   string `json:"complainted_mchid"`
		Content string `json:"response_content"`
	}
	if a, ok := c.decode(&in); !ok {
		return a
	}
	x, a, ok := c.complaint()
	switch {
	case !ok:
		return a
	case in.MchID == "":
		return missing("complainted_mchid")
	case in.MchID != c.from.id && c.from.subs[in.MchID] == nil:
		return refuse("NO_AUTH", "")
	case in.Content == "":
		return missing("response_content")
	case x.State == "PROCESSED":
		return refuse("INVALID_REQUEST", "投诉单已处理完成")
	}
	x.Replies = append(x.Replies, in.Content)
	x.State = processing
	return noContent()
}

func (s *Server) completeComplaint(c *call) answer {
	var in struct {
		MchID string `json:"complainted_mchid"`
	}
	if a, ok := c.decode(&in); !ok {
		return a
	}
	x, a, ok := c.complaint()
	switch {
	case !ok:
		return a
	case in.MchID == "":
		return missing("complainted_mchid")
	case x.State == "PENDING":
		return refuse("INVALID_REQUEST", "请先回复用户再处理完成")
	}
	if x.State != "PROCESSED" {
		x.State = "PROCESSED"
		s.notifyComplaint(c.from, x, "COMPLAINT.STATE_CHANGE", "MERCHANT_CONFIRM_COMPLETE", c.now)
	}
	return noContent()
}
