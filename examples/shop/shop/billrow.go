package shop

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// billRow is a payment or a refund in a bill.
type billRow struct {
	transactionID, outTradeNo string
	outRefundNo               string // empty for a payment
	fen                       int64
}

const (
	maxBillLine = 64 << 10
	maxBillRows = 1_000_000
)

// readBill reads a trade bill of any API version: a line of titles, a line for each payment and refund, then the titles and the sums.
func readBill(r io.Reader) (rows []billRow, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 4096), maxBillLine)
	next := func() (string, error) {
		if lines.Scan() {
			return strings.TrimSuffix(lines.Text(), "\r"), nil
		}
		if err := lines.Err(); err != nil {
			return "", err
		}
		return "", errors.New("the bill ends before its sums")
	}
	line, err := next()
	if err != nil {
		return nil, err
	}
	titles := strings.Split(strings.TrimPrefix(line, "\ufeff"), ",")
	for {
		if line, err = next(); err != nil {
			return nil, err
		}
		if !strings.HasPrefix(line, "`") {
			break // the titles of the sums
		}
		row, err := newBillRow(titles, line)
		if err != nil {
			return nil, fmt.Errorf("line %d of the bill: %w", len(rows)+2, err)
		}
		if len(rows) == maxBillRows {
			return nil, fmt.Errorf("the bill has more than %d lines", maxBillRows)
		}
		rows = append(rows, row)
	}
	if line, err = next(); err != nil {
		return nil, err
	}
	if count := splitRow(line)[0]; count != strconv.Itoa(len(rows)) {
		return nil, fmt.Errorf("the bill has %d lines, but says %q", len(rows), count)
	}
	for lines.Scan() { // to its end, where the download may fail
	}
	return rows, lines.Err()
}

// splitRow returns the values of a line, each of which begins with a back-quote.
func splitRow(line string) []string {
	return strings.Split(strings.TrimPrefix(line, "`"), ",`")
}

func newBillRow(titles []string, line string) (row billRow, err error) {
	values := splitRow(line)
	value := func(names ...string) string {
		for _, name := range names { // older bills have other titles
			if i := slices.Index(titles, name); i >= 0 && i < len(values) {
				return values[i]
			}
		}
		return ""
	}
	if len(values) != len(titles) {
		return row, fmt.Errorf("it has %d values, want %d", len(values), len(titles))
	}
	row.transactionID, row.outTradeNo = value("微信订单号"), value("商户订单号")
	amount := value("订单金额", "应结订单金额", "总金额")
	if no := value("商户退款单号"); no != "" && no != "0" {
		row.outRefundNo = no
		amount = value("申请退款金额", "退款金额")
	}
	if row.transactionID == "" || row.outTradeNo == "" {
		return row, errors.New("it lacks 微信订单号 or 商户订单号")
	}
	row.fen, err = parseYuan(amount)
	return row, err
}

// parseYuan returns the fen of an amount such as 12.00.
func parseYuan(text string) (int64, error) {
	yuan, rest, _ := strings.Cut(text, ".")
	if len(rest) > 2 || strings.ContainsAny(text, "+-") || yuan == "" || len(yuan) > 12 {
		return 0, fmt.Errorf("invalid amount %.20q", text)
	}
	fen, err := strconv.ParseInt(yuan+(rest + "00")[:2], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("invalid amount %.20q", text)
	}
	return fen, nil
}
