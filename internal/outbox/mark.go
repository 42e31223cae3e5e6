package outbox

import (
	"context"
	"fmt"
	"time"
)

// markLife is how long a mark is kept that nobody takes: longer than WeChat repeats any notification.
const markLife = 8 * 24 * time.Hour

// Has reports whether an item with the App, Target and ID of item is in the store.
func (o *Outbox) Has(ctx context.Context, item Item) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	_, ok, err := o.Store.Get(ctx, o.itemKey(item))
	if err != nil {
		return false, fmt.Errorf("outbox: read item: %w", err)
	}
	return ok, nil
}

// TakeMark reports whether an item that was added with Mark has been delivered or dropped since, and removes the mark. Call it
// after Has has returned false: a mark is written before its item is removed.
func (o *Outbox) TakeMark(ctx context.Context, item Item) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	key := o.markKey(o.itemKey(item))
	_, ok, err := o.Store.Get(ctx, key)
	if err == nil && ok {
		err = o.Store.Delete(ctx, key)
	}
	if err != nil {
		return false, fmt.Errorf("outbox: read the mark of an item: %w", err)
	}
	return ok, nil
}

// writeMark marks the item under key as ended.
func (o *Outbox) writeMark(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := o.Store.Set(ctx, o.markKey(key), []byte("1"), markLife); err != nil {
		return fmt.Errorf("outbox: mark an item as ended: %w", err)
	}
	return nil
}

func (o *Outbox) markKey(key string) string { return o.Prefix + "ended/" + key[len(o.itemPrefix()):] }
