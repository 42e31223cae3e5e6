package renew

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

// record is a credential as the store holds it. Instants are milliseconds of Unix time. A record does not change once it
// is made.
type record struct {
	Value   string `json:"value"`
	Expires int64  `json:"expires"`
	Life    int64  `json:"life"` // milliseconds it had when fetched

	// Gen grows with each fetch. It is the time of the fetch, or a little more than the last Gen if that is later, so
	// that it grows even across a store that lost everything.
	Gen int64 `json:"gen"`

	// Asked is set while a fetch that ends this value has begun and its outcome is not known: see announce.
	Asked bool `json:"asked,omitempty"`

	// Brief is set when an earlier fetch may yet end this value. Expires and Life then bound the time in which WeChat
	// accepts it nevertheless: see call.go.
	Brief bool `json:"brief,omitempty"`

	raw []byte // its bytes in the store, for Swap
}

// newRecord returns the record of a value fetched at an instant.
func newRecord(c wechat.Credential, fetched time.Time, gen int64) *record {
	return &record{Value: c.Value, Expires: c.Expires.UnixMilli(), Life: c.Expires.Sub(fetched).Milliseconds(), Gen: gen}
}

// newerThan reports whether r is a later state of the credential than o.
func (r *record) newerThan(o *record) bool {
	return r.Gen > o.Gen || r.Gen == o.Gen && (r.Value != o.Value || r.Asked != o.Asked)
}

// Bounds of a record: anyone who can write to the store may have made it. MaxLife is the longest accepted life of a
// credential, in answers from WeChat too.
const (
	MaxLife     = 31 * 24 * time.Hour
	maxRecord   = 16 << 10  // bytes
	maxGenAhead = time.Hour // how far a generation, which is a time, may be ahead of the clock of this process
)

// parse reads a stored record. An invalid one is returned without a value, and can be replaced.
func parse(raw []byte, now time.Time) (*record, error) {
	r := new(record)
	err := errors.New("it is too long")
	if len(raw) <= maxRecord {
		err = json.Unmarshal(raw, r)
	}
	if err == nil {
		err = r.validate(now)
	}
	if err != nil {
		return &record{raw: raw}, fmt.Errorf("invalid stored record: %w", err)
	}
	r.raw = raw
	return r, nil
}

// validate checks each field of r against the bounds of records that this package writes.
func (r *record) validate(now time.Time) error {
	switch most := MaxLife.Milliseconds(); {
	case r.Gen < 0 || r.Gen > now.Add(maxGenAhead).UnixMilli():
		return errors.New("its gen is out of range")
	case r.Value == "" && r.Asked:
		return nil
	case r.Value == "":
		return errors.New("it has no value")
	case r.Life <= 0 || r.Life > most:
		return errors.New("its life is out of range")
	case r.Expires < 0 || r.Expires > now.Add(maxGenAhead).UnixMilli()+r.Life:
		return errors.New("its expiry is out of range")
	}
	return nil
}

// encode returns the bytes of r in the store.
func (r *record) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(r)
	return bytes.TrimSpace(b.Bytes()), err
}

// overlap returns how long before the end of the value WeChat issues the next one, and accepts both: 5 minutes of 2 hours.
func (r *record) overlap() time.Duration {
	return min(5*time.Minute, time.Duration(r.Life)*time.Millisecond/4)
}

// minLead is the least lead of a credential that lives long enough: a lease, and the time to fetch after that.
const minLead = 3 * leaseTTL / 2

// lead returns how long before its end the value of r is renewed.
func (k *Keeper) lead(r *record, ours bool) time.Duration {
	if k.Early {
		return r.earlyLead(k.Key, ours)
	}
	return r.lead(k.Key, ours)
}

// earlyLead is lead for Early: between 60 and 22 minutes of 2 hours by the process that fetched the value, and 2 minutes later
// by others.
func (r *record) earlyLead(key string, ours bool) time.Duration {
	life := float64(r.Life) * float64(time.Millisecond)
	most, least, later := life/2, life/6, life/60
	lead := most - (most-least-later)*r.spread(key)
	if !ours {
		lead -= later
	}
	return time.Duration(lead)
}

// spread returns a number in [0, 1) for the value of r, stored under key, which is the same in all processes.
func (r *record) spread(key string) float64 {
	sum := sha256.Sum256(strconv.AppendInt([]byte(key+"\n"), r.Gen, 10))
	return float64(binary.BigEndian.Uint32(sum[:])) / (1 << 32)
}

// lead returns how long before its end the value of r, stored under key, is renewed: between 285 and 90 seconds of 2 hours by
// the process that fetched it, and between 240 and 75 by others, which thus find the next one in the store. By the slowest
// clock WeChat would return the same value before that, and by the fastest one it would be too late after that. The leads
// of credentials that were fetched together are spread evenly. All processes have the same one, so that the next fetches
// are as far apart as these, however many processes there are. A shorter life has time for one lease of a process that dies.
func (r *record) lead(key string, ours bool) time.Duration {
	spread := r.spread(key)
	part, least := 0.80-0.55*spread, 0.65
	if ours {
		part, least = 0.95-0.65*spread, 0.80
	}
	overlap := float64(r.overlap())
	return time.Duration(max(overlap*part, min(overlap*least, float64(minLead))))
}

// skew returns how far the clock of another process may be off: a minute. For the short lives of tests it is a twentieth
// of the life. A life is never that short where WeChat issues the next value ahead, and may be where it does not.
func (r *record) skew(overlaps bool) time.Duration {
	life := time.Duration(r.Life) * time.Millisecond
	if overlaps && life < 5*time.Minute {
		return life / 20
	}
	return time.Minute
}

// slack returns how much later than expected the store may receive a record, or a reader the news of it: 4 seconds. Where
// WeChat issues no next value before the end of this one, there is no such time.
func (r *record) slack(overlaps bool) time.Duration {
	if !overlaps {
		return 0
	}
	return r.skew(overlaps) / 15
}

// fetched returns when the value of r was fetched, by the clock of the process that fetched it.
func (r *record) fetched() time.Time { return time.UnixMilli(r.Expires - r.Life) }

// endingBy returns r with no more life than it has for certain after a fetch that began at start and may end it.
func (r *record) endingBy(start time.Time) *record {
	b := *r
	b.Gen, b.Brief = r.Gen+1, true
	b.Expires = min(r.Expires, start.Add(r.overlap()*4/5).UnixMilli())
	b.Life = max(b.Expires-r.fetched().UnixMilli(), 1)
	return &b
}

// shortened returns r with no more life than it certainly has if an earlier fetch ends it: WeChat then accepts it for the
// overlap.
func (r *record) shortened() *record {
	trust := r.overlap() * 4 / 5
	if r.Brief || trust.Milliseconds() >= r.Life {
		return r
	}
	b := *r
	b.Expires, b.Life, b.Brief = r.fetched().Add(trust).UnixMilli(), trust.Milliseconds(), true
	return &b
}
