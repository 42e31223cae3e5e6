package message

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
)

// original returns ErrReplay for a signature that has come before with something else under it. The signature of plain
// mode covers a time and a nonce alone: anyone who has seen one could send any body with it for as long as its time is
// fresh, and to any app with the same token, so that all apps of a store remember it together. A repeat by WeChat has the
// same body.
//
// The store has one small record for each signature that was verified, for as long as it could be fresh, so that only
// WeChat makes it grow. While the store does not answer, callbacks are answered and nothing is known of what came
// before.
func (in *Receiver) original(ctx context.Context, signature, signed string) error {
	name, what := sha256.Sum256([]byte(signature)), sha256.Sum256([]byte(signed))
	key, mark := "message/seen/"+hex.EncodeToString(name[:16]), what[:16]
	swapped, err := in.swap(ctx, key, nil, mark, markLife)
	if swapped || err != nil {
		return nil
	}
	before, ok, err := in.get(ctx, key)
	if err != nil || !ok || bytes.Equal(before, mark) {
		return nil
	}
	return ErrReplay
}
