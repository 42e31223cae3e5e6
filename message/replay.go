package message

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
)

// checkReplay returns ErrReplay for a signature that was used with another text before. In plain mode the signature
// covers only a timestamp and a nonce: anyone who has seen one could use it with any body until it is stale, and for
// any app with the same token. So all apps in a store share the record of used signatures. WeChat repeats a message
// with the same body.
//
// The store has a small record for each verified signature until it is stale; only WeChat can make verified signatures.
// If the store fails, callbacks are accepted unchecked.
func (in *Receiver) checkReplay(ctx context.Context, signature, signed string) error {
	signatureHash, textHash := sha256.Sum256([]byte(signature)), sha256.Sum256([]byte(signed))
	key, text := "message/seen/"+hex.EncodeToString(signatureHash[:16]), textHash[:16]
	swapped, err := in.swap(ctx, key, nil, text, recordTTL)
	if swapped || err != nil {
		return nil
	}
	before, ok, err := in.get(ctx, key)
	if err != nil || !ok || bytes.Equal(before, text) {
		return nil
	}
	return ErrReplay
}
