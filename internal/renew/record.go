package renew

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
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

// parse reads what the store holds. A record that cannot be read holds nothing, and can be replaced.
func parse(raw []byte) (*record, error) {
	r := new(record)
	if err := json.Unmarshal(raw, r); err != nil {
		return &record{raw: raw}, fmt.Errorf("the stored record is not one of ours: %w", err)
	}
	r.raw = raw
	return r, nil
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
func (r *record) kept(now time.Time, ours, ahead bool) *Kept {
	end := now.Add(time.UnixMilli(r.Expires).Sub(now)) // with now's monotonic reading
	k := &Kept{Credential: wechat.Credential{Value: r.Value, Expires: end}, Late: end.Add(-r.slack(ahead)), End: end, record: r, ours: ours}
	if !ours || r.Asked {
		k.Late = end.Add(-r.skew(ahead))
	}
	if r.Asked || !ours && !ahead {
		k.End = end.Add(r.skew(ahead))
	}
	k.Due = k.Late
	if r.Asked {
		k.Due = now
	} else if ahead {
		lead := 0.8 + 0.15*rand.Float64()
		if !ours {
			lead -= 0.15
		}
		k.Due = end.Add(-time.Duration(float64(r.overlap()) * lead))
	}
	return k
}
