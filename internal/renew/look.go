package renew

import (
	"context"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

// Look returns the credential in the store, and renews nothing. ok is false without one, and for one that has ended.
func (k *Keeper) Look(ctx context.Context) (c wechat.Credential, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	raw, ok, err := k.Store.Get(ctx, k.Key)
	if err != nil {
		return c, false, fmt.Errorf("read store: %w", err)
	}
	if !ok {
		return c, false, nil
	}
	now := time.Now()
	r, err := parse(raw, now)
	if err != nil {
		return c, false, err
	}
	c = wechat.Credential{Value: r.Value, Expires: time.UnixMilli(r.Expires)}
	if c.Value == "" || !now.Before(c.Expires) {
		return wechat.Credential{}, false, nil
	}
	return c, true, nil
}
