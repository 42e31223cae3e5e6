package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/internal/peer"
)

const (
	residentKeys = 20000 // keys that a process holds

	useInterval = 10 * time.Minute // between two records of the use of a key
	useTTL      = 400 * 24 * time.Hour
	useTimeout  = 5 * time.Second
	maxUses     = 16 // that are recorded at once

	// Reads of the records for keys that turn out to be unknown, in a second and process: of one address, and of all.
	maxUnknownFrom = 20
	maxUnknown     = 100
)

// heldKey is a registered key in memory.
type heldKey struct {
	caller  *caller
	digests []heldDigest
}

type heldDigest struct {
	sum   [sha256.Size]byte
	until time.Time // zero for the present key
}

// newHeldKey returns the key that readStoredKey has read.
func newHeldKey(id string, s storedKey) *heldKey {
	k := new(heldKey)
	for _, d := range s.Digests {
		sum, _ := parseKey("sha256:" + d.SHA256)
		k.digests = append(k.digests, heldDigest{sum, d.Until})
	}
	k.caller, _ = callerOf(s.Settings, s.AppIDs) // its settings were checked
	k.caller.account = "key-" + id
	return k
}

// has reports whether a digest is that of the present key, or of an earlier one that is still good.
func (k *heldKey) has(d [sha256.Size]byte) bool {
	for _, known := range k.digests {
		if subtle.ConstantTimeCompare(known.sum[:], d[:]) == 1 {
			return known.until.IsZero() || time.Now().Before(known.until)
		}
	}
	return false
}

// findCaller returns the caller of a registered key. It reads the record of a key that is not held only if read is set, and not if
// too many were read in vain.
func (r *registered) findCaller(req *http.Request, key string, d [sha256.Size]byte, read bool) (*caller, error) {
	id, ok := keyID(key)
	if r == nil || !ok {
		return nil, errUnknownKey
	}
	r.catchUp(req.Context())
	k, ok := r.keys.held(id)
	if !ok {
		if !read {
			return nil, errUnknownKey
		}
		from := peer.Network(peer.Parse(req.RemoteAddr))
		var err error
		k, ok, err = r.keys.get(req.Context(), id, func(ctx context.Context) (string, *heldKey, bool, error) { return r.readKey(ctx, id, from) })
		if refused := (*refusedKey)(nil); errors.As(err, &refused) {
			return nil, refused
		}
		if err != nil {
			return nil, errKeysAway
		}
	}
	if !ok || !k.has(d) {
		return nil, errUnknownKey
	}
	return k.caller, nil
}

// readKey reads the record of a key for a request from a network.
func (r *registered) readKey(ctx context.Context, id string, from netip.Prefix) (string, *heldKey, bool, error) {
	if !r.unknown.allows(from) {
		return "", nil, false, errManyUnknown
	}
	e, ok, err := r.ByID(ctx, keyKind, id)
	if err != nil || !ok {
		r.unknown.add(from)
		if err != nil {
			r.gateway.reportUnreadable(ctx, keyKind, err)
		}
		return "", nil, false, err
	}
	s, err := readStoredKey(e)
	if err != nil {
		r.unknown.add(from)
		r.gateway.reportUnreadable(ctx, keyKind, err)
		return "", nil, false, err
	}
	k := newHeldKey(id, s)
	use, _ := r.uses.LoadOrStore(id, &keyUse{id: id})
	k.caller.use = use.(*keyUse)
	return id, k, true, nil
}

// unknownKeys counts the keys that were looked up in vain in this second.
type unknownKeys struct {
	mu     sync.Mutex
	second int64
	all    int
	from   map[netip.Prefix]int
}

// allows reports whether a key may be looked up for a request from a network.
func (u *unknownKeys) allows(from netip.Prefix) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.turn()
	return u.all < maxUnknown && u.from[from] < maxUnknownFrom
}

// add counts a key that was looked up in vain.
func (u *unknownKeys) add(from netip.Prefix) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.turn()
	u.all++
	u.from[from]++
}

func (u *unknownKeys) turn() {
	if now := time.Now().Unix(); now != u.second || u.from == nil {
		u.second, u.all, u.from = now, 0, make(map[netip.Prefix]int)
	}
}

// keyUse is when the use of a key was recorded last by this process.
type keyUse struct {
	id string
	at atomic.Int64 // Unix seconds
}

func useKey(id string) string { return "keys/used/" + id }

// noteUse records that a key is in use, unless it did so a short time ago. It does not wait for the records.
func (r *registered) noteUse(ctx context.Context, u *keyUse) {
	now, last := time.Now().Unix(), u.at.Load()
	if now-last < int64(useInterval/time.Second) || !u.at.CompareAndSwap(last, now) {
		return
	}
	select {
	case r.useSlots <- struct{}{}:
	default:
		u.at.Store(last) // the next request tries again
		return
	}
	go func() {
		defer func() { <-r.useSlots }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), useTimeout)
		defer cancel()
		if err := r.Store.Set(ctx, useKey(u.id), strconv.AppendInt(nil, now, 10), useTTL); err != nil && !isReported(err) {
			if ok, more := r.gateway.warnings.Allow("use"); ok {
				r.gateway.log.WarnContext(ctx, "the use of a caller key was not recorded", "error", err, "repeats", more)
			}
		}
	}()
}
