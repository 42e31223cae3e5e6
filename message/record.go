package message

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// onceKey is where the record of m stands. A message is known by its MsgId and the two that it is between. Events have
// no MsgId, and are known by all their fields: by FromUserName, CreateTime, Event and EventKey alone, two reports on
// what was sent to one user would be taken for one when they come in the same second.
func (in *Receiver) onceKey(m *Message) string {
	h := sha256.New()
	if m.MsgID != 0 {
		fmt.Fprintf(h, "%q %q %d %d", m.ToUserName, m.FromUserName, m.AgentID, m.MsgID)
	} else {
		h.Write([]byte(trim(m.Raw)))
	}
	return in.prefix + "once/" + hex.EncodeToString(h.Sum(nil)[:16])
}

// deliveryID returns the id of all requests to backends about the message of a onceKey.
func deliveryID(onceKey string) string {
	sum := sha256.Sum256([]byte(onceKey))
	return hex.EncodeToString(sum[:16])
}

// count counts the requests for a message that had to wait or failed, those at the same time once.
func (in *Receiver) count(ctx context.Context, key string) (n int, err error) {
	first, err := in.swap(ctx, key+"/round", nil, []byte("1"), patience-2*countAt)
	if err != nil {
		return 0, err
	}
	for range 3 {
		old, ok, err := in.get(ctx, key+"/tries")
		if err != nil {
			return 0, err
		}
		n, _ = strconv.Atoi(string(old)) // none is 0
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
	ctx, cancel := context.WithTimeout(ctx, storeMax)
	defer cancel()
	return in.store.Get(ctx, key)
}

func (in *Receiver) swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeMax)
	defer cancel()
	return in.store.Swap(ctx, key, old, new, ttl)
}
