package outbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// ErrRefused is found under the error of a Send that must never deliver the item. Such an item is dropped with a report,
// as is one that Keys does not authenticate.
var ErrRefused = errors.New("refused")

// maxMACs is how many authentication codes an item may have. An app has two keys at most.
const maxMACs = 2

// authenticate sets the codes of item, one for each key of its app.
func (o *Outbox) authenticate(item *Item) error {
	keys, err := o.keys(item.App)
	if err != nil {
		return err
	}
	item.MACs = nil
	for _, key := range keys[:min(len(keys), maxMACs)] {
		item.MACs = append(item.MACs, item.mac(key))
	}
	return nil
}

// check reports why the item read from key must not be sent: ErrRefused when nobody may send it, another error when this
// process cannot tell. Whoever writes to the store can put anything there, so nothing of item is believed before.
func (o *Outbox) check(key string, item *Item) error {
	keys, err := o.keys(item.App)
	age, outside := time.Since(item.Added), item.bounded()
	switch {
	case outside != nil:
		return fmt.Errorf("%w: %w", ErrRefused, outside)
	case o.itemKey(*item) != key:
		return fmt.Errorf("%w: its record belongs to another key", ErrRefused)
	case age > 3*o.age() || age < -o.age():
		return fmt.Errorf("%w: it was added at %s, and the store keeps items for %s", ErrRefused, item.Added.UTC().Format(time.DateTime), 2*o.age())
	case err != nil:
		return err
	case len(keys) > 0 && !item.authentic(keys):
		return fmt.Errorf("%w: it is authenticated by neither sign_key nor previous_sign_key of the app", ErrRefused)
	}
	return nil
}

// keys returns the keys of an app, without the empty ones.
func (o *Outbox) keys(app string) (list []string, err error) {
	if o.Keys == nil {
		return nil, nil
	}
	all, err := o.Keys(app)
	for _, key := range all {
		if key != "" {
			list = append(list, key)
		}
	}
	return list, err
}

// authentic reports whether one of keys made one of the codes of i.
func (i *Item) authentic(keys []string) (ok bool) {
	if len(i.MACs) > maxMACs {
		return false
	}
	for _, key := range keys {
		want := i.mac(key)
		for _, mac := range i.MACs {
			ok = hmac.Equal(mac, want) || ok
		}
	}
	return ok
}

// mac is the HMAC-SHA256 over all of i but its codes. It begins with letters, unlike the text under a Wetoken-Signature,
// so that neither can be taken for the other.
func (i *Item) mac(key string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(h, "wetoken outbox item\n%q\n%q\n%q\n%q\n%q\n%d\n%d\n",
		i.App, i.ID, i.Target, i.Query, i.ContentType, i.Added.UnixNano(), len(i.Body))
	h.Write(i.Body)
	return h.Sum(nil)
}
