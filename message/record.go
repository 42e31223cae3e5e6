package message

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// recordKey returns the key of the record of m. A message is identified by its MsgId, sender and receiver. Events have
// no MsgId and are identified by all their fields: two reports for the same user in the same second can have equal
// FromUserName, CreateTime, Event and EventKey.
func (in *Receiver) recordKey(m *Message) string {
	h := sha256.New()
	if m.MsgID != 0 {
		fmt.Fprintf(h, "%q %q %d %d", m.ToUserName, m.FromUserName, m.AgentID, m.MsgID)
	} else {
		h.Write([]byte(trimDocument(m.Raw)))
	}
	return in.prefix + "once/" + hex.EncodeToString(h.Sum(nil)[:16])
}

// deliveryID returns the id of all requests to backends about the message with a recordKey.
func deliveryID(recordKey string) string {
	sum := sha256.Sum256([]byte(recordKey))
	return hex.EncodeToString(sum[:16])
}

// addTry counts a request for a message that had to wait or failed, and returns the count. Requests at the same time
// count once.
func (in *Receiver) addTry(ctx context.Context, key string) (n int, err error) {
	first, err := in.swap(ctx, key+"/round", nil, []byte("1"), requestTimeout-2*countDelay)
	if err != nil {
		return 0, err
	}
	for range 3 {
		old, ok, err := in.get(ctx, key+"/tries")
		if err != nil {
			return 0, err
		}
		n, _ = strconv.Atoi(string(old)) // no record is 0
		if !first {
			return n, nil
		}
		if !ok {
			old = nil
		}
		swapped, err := in.swap(ctx, key+"/tries", old, strconv.AppendInt(nil, int64(n+1), 10), time.Minute)
		if err != nil {
			return 0, err
		}
		if swapped {
			return n + 1, nil
		}
	}
	return n, nil
}

func (in *Receiver) get(ctx context.Context, key string) ([]byte, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return in.store.Get(ctx, key)
}

func (in *Receiver) swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return in.store.Swap(ctx, key, old, new, ttl)
}
