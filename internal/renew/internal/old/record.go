package old

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

// record is a credential as the store holds it. Instants are milliseconds of Unix time.
type record struct {
	Value   string `json:"value"`
	Expires int64  `json:"expires"`
	Life    int64  `json:"life"` // milliseconds it had when fetched

	// Gen grows with each fetch. It is the time of the fetch, or a little more than the last if that is later, so that
	// it grows even across a store that lost everything.
	Gen int64 `json:"gen"`

	// Asked says that a fetch which ends this value began, and its outcome is not known: see announce.
	Asked bool `json:"asked,omitempty"`

	// Brief says that an earlier fetch may yet end this value, so that Expires and Life are those of the time in which
	// WeChat takes it all the same: see unanswered.
	Brief bool `json:"brief,omitempty"`

	raw []byte // as it stands in the store, for Swap
}

// newRecord makes the record of a value fetched at an instant.
func newRecord(c wechat.Credential, fetched time.Time, gen int64) *record {
	return &record{Value: c.Value, Expires: c.Expires.UnixMilli(), Life: c.Expires.Sub(fetched).Milliseconds(), Gen: gen}
}

// after tells whether r stands for a later state of the credential than o.
func (r *record) after(o *record) bool {
	return r.Gen > o.Gen || r.Gen == o.Gen && (r.Value != o.Value || r.Asked != o.Asked)
}

// Bounds of a record, which anybody who can write to the store may have made. MaxLife is the longest life of a
// credential that is believed, WeChat's own answers included.
const (
	MaxLife   = 31 * 24 * time.Hour
	maxRecord = 16 << 10  // bytes
	genAhead  = time.Hour // how far a generation, which is a time, may be ahead of the clock here
)

// parse reads a stored record. One that is invalid holds nothing, and can be replaced.
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

// validate checks that no field of r is beyond those of a record that was written here.
func (r *record) validate(now time.Time) error {
	switch most := MaxLife.Milliseconds(); {
	case r.Gen < 0 || r.Gen > now.Add(genAhead).UnixMilli():
		return errors.New("its gen is out of range")
	case r.Value == "" && r.Asked:
		return nil
	case r.Value == "":
		return errors.New("it has no value")
	case r.Life <= 0 || r.Life > most:
		return errors.New("its life is out of range")
	case r.Expires < 0 || r.Expires > now.Add(genAhead).UnixMilli()+r.Life:
		return errors.New("its expiry is out of range")
	}
	return nil
}

func (r *record) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(r)
	return bytes.TrimSpace(b.Bytes()), err
}

// life is how long the store is to keep k: for as long as WeChat takes it for sure, by whatever clock.
func (k *Kept) life(ahead bool) time.Duration {
	left := time.Until(time.UnixMilli(k.record.Expires))
	if !k.ours {
		left -= k.record.skew(ahead)
	}
	return max(left-k.record.slack(ahead), time.Millisecond)
}

// overlap is how long before its end WeChat hands out the next value, and takes both: 5 minutes of 2 hours.
func (r *record) overlap() time.Duration {
	return min(5*time.Minute, time.Duration(r.Life)*time.Millisecond/4)
}

// skew is how far another machine's clock may be off: a minute. Lives that only a test has get a twentieth of themselves;
// WeChat gives no less than 5 minutes where it has the next value ready ahead, and any rest of a life where it has not.
func (r *record) skew(ahead bool) time.Duration {
	life := time.Duration(r.Life) * time.Millisecond
	if ahead && life < 5*time.Minute {
		return life / 20
	}
	return time.Minute
}

// slack is what the store may be late to hear of a record, and a reader to hear of the store: 4 seconds. Where WeChat has
// no next value before the end of this one, there is none to spare.
func (r *record) slack(ahead bool) time.Duration {
	if !ahead {
		return 0
	}
	return r.skew(ahead) / 15
}

// fetched returns when the value of r was fetched, by the clock of the process that did.
func (r *record) fetched() time.Time { return time.UnixMilli(r.Expires - r.Life) }

// shortened returns r with no more life than it has for certain should an earlier fetch end it after all: WeChat then
// takes it for the overlap.
func (r *record) shortened() *record {
	trust := r.overlap() * 4 / 5
	if r.Brief || trust.Milliseconds() >= r.Life {
		return r
	}
	b := *r
	b.Expires, b.Life, b.Brief = r.fetched().Add(trust).UnixMilli(), trust.Milliseconds(), true
	return &b
}

// brief is k with no more life than it has for sure when others may have WeChat end it.
func (k *Kept) brief() *Kept {
	b := *k
	if end := time.Now().Add(k.record.overlap() * 3 / 5); end.Before(k.End) {
		b.Expires, b.Due, b.Late, b.End = end, end, end, end
	}
	return &b
}

// kept is the record as this process holds it, measured from now. One that another process wrote is due a little after
// it is there, and late a little before its end, as clocks differ. Where the next value is not to be had before that
// end, it is the store's clock alone that counts near it: whether the record still stands.
func (r *record) kept(now time.Time, ours bool, by *Keeper) *Kept {
	ahead := by.Ahead
	end := now.Add(time.UnixMilli(r.Expires).Sub(now)) // with now's monotonic reading
	k := &Kept{Credential: wechat.Credential{Value: r.Value, Expires: end}, Late: end.Add(-r.slack(ahead)), End: end, record: r, ours: ours}
	if !ours {
		k.Late = end.Add(-r.skew(ahead))
	}
	if r.Asked { // another process may have written it back to a store that lost it, for less than the life it had
		k.Late = end.Add(-2 * r.skew(ahead))
	}
	if !ours { // by the fastest clock
		k.Expires = end.Add(-r.skew(ahead))
	}
	if r.Asked || !ours && !ahead {
		k.End = end.Add(r.skew(ahead))
	}
	k.Due = k.Late
	if r.Asked {
		k.Due = now
	} else if ahead {
		lead := 0.8 + 0.15*by.jitter()
		if !ours {
			lead -= 0.15
		}
		k.Due = end.Add(-time.Duration(float64(r.overlap()) * lead))
	}
	return k
}
