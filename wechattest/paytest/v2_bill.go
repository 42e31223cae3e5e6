package paytest

import (
	"compress/gzip"
	"io"
	"time"
)

// The refusals of bills that have error codes of their own.
const (
	noBill       = "No Bill Exist"
	billCreating = "Bill Creating"
)

// billErrors has the error_code of the refusals of bills.
var billErrors = map[string]string{noBill: "20002", billCreating: "20003", "SYSTEMERROR": "20003"}

// billRefusal returns the refusal of a bill. code is a known refusal, or an error_code; empty: that of wrong parameters.
func billRefusal(code, text string) answer {
	number := billErrors[code]
	switch {
	case number != "":
		text = code
	case wholeNumber.MatchString(code):
		number = code
	default:
		number = "20001"
	}
	return plainXML(values{"return_code": "FAIL", "return_msg": text, "error_code": number})
}

func (s *Server) v2DownloadBill(c *call) answer {
	kind := c.v2["bill_type"]
	if !c.v2.oneOf("bill_type", "ALL", "SUCCESS", "REFUND", "RECHARGE_REFUND") {
		return c.unread("invalid bill_type")
	}
	return s.v2Bill(c, "tradebill", func(rows []*billRow) []byte { return tradeText(rows, kind) })
}

func (s *Server) v2DownloadFlow(c *call) answer {
	kind := c.v2["account_type"]
	if !c.v2.oneOf("account_type", "Basic", "Operation", "Fees") {
		return c.unread("invalid account_type")
	}
	return s.v2Bill(c, "fundflowbill", func(rows []*billRow) []byte {
		if kind != "Basic" {
			return nil
		}
		return flowText(rows)
	})
}

// v2Bill answers a bill: text, or a gzip stream of it.
func (s *Server) v2Bill(c *call, kind string, text func([]*billRow) []byte) answer {
	day, err := time.ParseInLocation("20060102", c.v2["bill_date"], beijing)
	switch {
	case err != nil:
		return c.unread("data format error")
	case !c.v2.oneOf("tar_type", "GZIP"):
		return c.unread("invalid tar_type")
	}
	write, a, ok := s.writerOfBill(c, kind, dateOf(day), c.v2["sub_mch_id"], text)
	if !ok {
		if a.code == "PARAM_ERROR" { // a day that is not over, or long over
			a.code = noBill
		}
		return c.asV2(a)
	}
	if c.v2["tar_type"] == "" {
		return answer{status: 200, kind: v2Kind, stream: write}
	}
	return answer{status: 200, kind: "application/x-gzip", stream: zipped(write)}
}

// zipped returns write through gzip.
func zipped(write func(io.Writer) error) func(io.Writer) error {
	return func(w io.Writer) error {
		zip := gzip.NewWriter(w)
		if err := write(zip); err != nil {
			return err
		}
		return zip.Close()
	}
}
