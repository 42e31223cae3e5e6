package order

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/wetoken/wetoken/pay"
)

// Bill is a bill of a day (对账单).
type Bill struct {
	Day    string            `json:"day"`
	Kind   string            `json:"kind"`
	Rows   int               `json:"rows"`
	Totals map[string]string `json:"totals"` // by WeChat's names, such as 总交易单数; amounts in yuan
}

// ErrNoBill means that a day has no bill, or that it is not ready: WeChat makes it by 10:00 of the next day.
var ErrNoBill = errors.New("order: no bill of this day, or not yet")

// Download returns a file with the bill of a day in Beijing, which the caller closes and removes. The file is complete: its hash
// is WeChat's.
func (s *Service) Download(ctx context.Context, kind string, day time.Time) (*os.File, error) {
	f, err := os.CreateTemp("", "bill-*.csv")
	if err != nil {
		return nil, err
	}
	err = s.Cashier.Bill(ctx, kind, day, f)
	if errors.Is(err, pay.ErrNotFound) || errors.Is(err, pay.ErrBusy) {
		err = fmt.Errorf("%w: %w", ErrNoBill, err)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return f, nil
}

// Query returns the totals of the bill of a day in Beijing.
func (s *Service) Query(ctx context.Context, kind string, day time.Time) (b Bill, err error) {
	f, err := s.Download(ctx, kind, day)
	if err != nil {
		return Bill{}, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	b = Bill{Day: day.Format(time.DateOnly), Kind: kind}
	b.Rows, b.Totals, err = readBill(f)
	return b, err
}

// readBill counts the rows of a bill and reads its totals. A bill has a line of names, its rows, a line of other names, and the
// totals; each value follows a back-quote.
func readBill(r io.Reader) (rows int, totals map[string]string, err error) {
	in := csv.NewReader(io.LimitReader(r, 8<<30))
	in.FieldsPerRecord, in.LazyQuotes = -1, true
	var names []string
	for lines := 0; ; lines++ {
		line, err := in.Read()
		switch {
		case err == io.EOF && totals == nil:
			return 0, nil, errors.New("order: the bill has no totals")
		case err == io.EOF:
			return rows, totals, nil
		case err != nil:
			return 0, nil, fmt.Errorf("order: read bill: %w", err)
		case lines == 0:
		case !strings.HasPrefix(line[0], "`"):
			names = line
		case names == nil:
			rows++
		default:
			totals = make(map[string]string, len(names))
			for i, name := range names {
				if i < len(line) {
					totals[name] = strings.TrimPrefix(line[i], "`")
				}
			}
		}
	}
}
