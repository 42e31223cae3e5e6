package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// recordVersion is the version of the records that Add writes. Records of the first release have no version, which is 0.
// A release that changes the format increments it and reads all earlier versions. A record of a later release waits for
// a process of that release.
const recordVersion = 0

// maxRecord is the size of the largest record: the body in base64, and each character of the texts escaped.
const maxRecord = MaxBody*4/3 + 6*maxTexts + 1024

var (
	errNewer   = errors.New("a record of a later release") // this process cannot read it
	errNotItem = fmt.Errorf("%w: it is not a record of an outbox", ErrRefused)
)

// readItem reads the item under key. Its error is ErrRefused, errNewer, or of the store.
func (o *Outbox) readItem(ctx context.Context, key string) (item Item, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	record, ok, err := o.Store.Get(ctx, key)
	if err != nil {
		return item, false, fmt.Errorf("outbox: read item: %w", err)
	}
	if !ok {
		return item, false, nil
	}
	if len(record) > maxRecord {
		return item, false, fmt.Errorf("%w: its record has %d bytes: want at most %d", ErrRefused, len(record), maxRecord)
	}
	if err := parseItem(record, &item); err != nil {
		return Item{}, false, fmt.Errorf("%w under %q", err, key)
	}
	return item, true, nil
}

// parseItem parses a record. Its error is errNotItem or errNewer.
func parseItem(record []byte, item *Item) error {
	itemErr := json.Unmarshal(record, item)
	var head struct {
		Version int `json:"v"`
	}
	if itemErr != nil && json.Unmarshal(record, &head) != nil {
		return errNotItem
	}
	switch version := max(item.Version, head.Version); {
	case version > recordVersion:
		return errNewer
	case itemErr != nil || version < 0:
		return errNotItem
	}
	return nil
}
