package payv2

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wetoken/wetoken/pay"
)

// transactionIn returns the order in an answer or a notification. state is that of a message without a trade_state.
func transactionIn(m message, state pay.State) (t pay.Transaction, err error) {
	for i := range m {
		switch v := m[i].value; m[i].name {
		case "out_trade_no":
			t.OutTradeNo = v
		case "transaction_id":
			t.TransactionID = v
		case "appid":
			t.AppID = v
		case "mch_id":
			t.MchID = v
		case "sub_appid":
			t.SubAppID = v
		case "sub_mch_id":
			t.SubMchID = v
		case "trade_type":
			t.Trade = tradeOf(v)
		case "trade_state":
			t.State = pay.State(v)
		case "total_fee":
			t.Fen, err = parseFen(m[i])
		case "cash_fee":
			t.PayerFen, err = parseFen(m[i])
		case "fee_type":
			if v != "CNY" {
				t.Currency = v
			}
		case "openid":
			t.OpenID = firstOf(t.OpenID, v)
		case "sub_openid":
			t.OpenID = firstOf(v, t.OpenID)
		case "attach":
			t.Attach = v
		case "time_end":
			t.PaidAt = parseTime(v)
		}
		if err != nil {
			return t, err
		}
	}
	t.State = pay.State(firstOf(string(t.State), string(state)))
	switch {
	case t.OutTradeNo == "":
		return t, errors.New("it has no out_trade_no")
	case t.State == "":
		return t, errors.New("it has no trade_state")
	case t.Fen == 0 && t.Paid():
		return t, errors.New("it has no total_fee")
	}
	t.Raw = m.json()
	return t, nil
}

// parseFen returns an amount in fen.
func parseFen(f field) (int64, error) {
	n, err := strconv.ParseInt(f.value, 10, 64)
	if err != nil || n < 0 || strings.Trim(f.value, "0123456789") != "" || len(f.value) > 15 {
		return 0, fmt.Errorf("its %s is not an amount in fen", f.name)
	}
	return n, nil
}

// beijing is the time zone in which WeChat states times and days.
var beijing = time.FixedZone("CST", 8*60*60)

// compactTime is the layout of times in calls.
const compactTime = "20060102150405"

// parseTime returns a time in one of WeChat's layouts. Any other text is the zero time.
func parseTime(text string) time.Time {
	for _, layout := range []string{compactTime, time.DateTime} {
		if t, err := time.ParseInLocation(layout, text, beijing); len(text) == len(layout) && err == nil {
			return t
		}
	}
	return time.Time{}
}

// tradeTypes has WeChat's trade_type of each trade that is placed by unifiedorder.
var tradeTypes = map[pay.Trade]string{pay.JSAPI: "JSAPI", pay.Native: "NATIVE", pay.APP: "APP", pay.H5: "MWEB"}

// tradeOf returns the trade for WeChat's trade_type.
func tradeOf(word string) pay.Trade {
	switch word {
	case "JSAPI":
		return pay.JSAPI
	case "NATIVE":
		return pay.Native
	case "APP":
		return pay.APP
	case "MWEB":
		return pay.H5
	case "MICROPAY":
		return pay.Code
	}
	return pay.Trade(strings.ToLower(word))
}

// json returns the fields as a JSON object of strings.
func (m message) json() json.RawMessage {
	size := 2
	for i := range m {
		size += len(m[i].name) + len(m[i].value) + len(`"":"",`)
	}
	b := append(make([]byte, 0, size), '{')
	for i := range m {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, m[i].name), ':')
		b = appendString(b, m[i].value)
	}
	return append(b, '}')
}

// appendString appends text as a JSON string.
func appendString(b []byte, text string) []byte {
	plain := true
	for i := 0; i < len(text) && plain; i++ {
		plain = text[i] >= ' ' && text[i] != '"' && text[i] != '\\'
	}
	if plain && utf8.ValidString(text) {
		return append(append(append(b, '"'), text...), '"')
	}
	quoted, _ := json.Marshal(text) // a string has no error
	return append(b, quoted...)
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
