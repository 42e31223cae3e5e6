package outbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// ErrRefused is wrapped in the error of a Send that must never deliver the item. Such an item is dropped, or held
// if the outbox is [Outbox.Forever], and reported, like an item that no key authenticates.
var ErrRefused = errors.New("refused")

// maxMACs is the most authentication codes of an item. An app has at most two keys.
const maxMACs = 2

// authenticate sets the authentication codes of item, one for each key of its app.
func (o *Outbox) authenticate(item *Item) error {
	keys, err := o.appKeys(item.App)
	if err != nil {
		return err
	}
	item.MACs = nil
	for _, key := range keys[:min(len(keys), maxMACs)] {
		item.MACs = append(item.MACs, item.computeMAC(key))
	}
	return nil
}

// checkItem returns ErrRefused if the item under key must not be sent, and another error if this process does not know
// the app. Any program with access to the store can write an item, so nothing in item is used before this check.
func (o *Outbox) checkItem(key string, item *Item) error {
	keys, err := o.appKeys(item.App)
	age, boundsErr := time.Since(item.Added), item.checkBounds()
	switch {
	case boundsErr != nil:
		return fmt.Errorf("%w: %w", ErrRefused, boundsErr)
	case o.itemKey(*item) != key:
		return fmt.Errorf("%w: its record belongs to another key", ErrRefused)
	case !o.Forever && (age > 3*o.age() || age < -o.age()):
		return fmt.Errorf("%w: it was added at %s, and the store keeps items for %s", ErrRefused, item.Added.UTC().Format(time.DateTime), 2*o.age())
	case err != nil:
		return err
	case len(keys) > 0 && !item.isAuthentic(keys):
		return fmt.Errorf("%w: it is authenticated by neither sign_key nor previous_sign_key of the app", ErrRefused)
	}
	return nil
}

// appKeys returns the keys of an app that are not empty.
func (o *Outbox) appKeys(app string) (list []string, err error) {
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

// isAuthentic reports whether one of the codes of i was made with one of keys.
func (i *Item) isAuthentic(keys []string) (ok bool) {
	if len(i.MACs) > maxMACs {
		return false
	}
	for _, key := range keys {
		want := i.computeMAC(key)
		for _, mac := range i.MACs {
			ok = hmac.Equal(mac, want) || ok
		}
	}
	return ok
}

// computeMAC returns the HMAC-SHA256 of all of i but its codes. The text begins with letters, unlike the text of a
// Wetoken-Signature, so that one is never valid as the other.
func (i *Item) computeMAC(key string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(h, "wetoken outbox item\n%q\n%q\n%q\n%q\n%q\n%d\n%d\n",
		i.App, i.ID, i.Target, i.Query, i.ContentType, i.Added.UnixNano(), len(i.Body))
	if len(i.Headers) > 0 {
		fmt.Fprintf(h, "headers %q\n", i.Headers) // sorted by name
	}
	h.Write(i.Body)
	return h.Sum(nil)
}
