package journal

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// Position is a place between two entries. Entries are ordered by time and, at the same time, by stream. The zero value is after all
// entries.
type Position struct {
	At     int64 // Unix milliseconds
	Stream string
	N, I   int
}

// String returns the text that ParsePosition reads.
func (p Position) String() string {
	if p == (Position{}) {
		return ""
	}
	return fmt.Sprintf("%d-%s-%d-%d", p.At, p.Stream, p.N, p.I)
}

var positionPattern = regexp.MustCompile(`^([0-9]{1,15})-([a-z2-7]{0,16})-([0-9]{1,9})-([0-9]{1,9})$`)

// ParsePosition reads the text of a Position.
func ParsePosition(text string) (p Position, err error) {
	if text == "" {
		return p, nil
	}
	m := positionPattern.FindStringSubmatch(text)
	if m == nil {
		return p, errors.New("journal: invalid position")
	}
	p.Stream = m[2]
	p.At, _ = strconv.ParseInt(m[1], 10, 64) // the pattern admits only numbers that fit
	p.N, _ = strconv.Atoi(m[3])
	p.I, _ = strconv.Atoi(m[4])
	return p, nil
}

func (p Position) compare(q Position) int {
	return cmp.Or(cmp.Compare(p.At, q.At), cmp.Compare(p.Stream, q.Stream), cmp.Compare(p.N, q.N), cmp.Compare(p.I, q.I))
}
