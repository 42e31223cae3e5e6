package store_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/storetest"
)

// ring returns keys of one repeated byte each.
func ring(bs ...byte) store.KeyRing {
	var r store.KeyRing
	for _, b := range bs {
		r = append(r, bytes.Repeat([]byte{b}, 32))
	}
	return r
}

func TestSealedIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store {
		return &store.Sealed{Store: new(store.Memory), KeyRing: ring('a', 'b')}
	})
}

func TestSealedWithPlaintextIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store {
		return &store.Sealed{Store: new(store.Memory), KeyRing: ring('a'), Plaintext: true}
	})
}

func TestSealedHidesValuesFromTheStore(t *testing.T) {
	inner := new(store.Memory)
	s := &store.Sealed{Store: inner, KeyRing: ring('a')}
	value := []byte("a value that nobody may read")
	require.NoError(t, s.Set(t.Context(), "set", value, 0))
	_, err := s.Swap(t.Context(), "swap", nil, value, 0)
	require.NoError(t, err)
	var raws [][]byte
	for _, key := range []string{"set", "swap"} {
		raw, ok, err := inner.Get(t.Context(), key)
		require.NoError(t, err)
		require.True(t, ok)
		require.NotContains(t, string(raw), "nobody")
		raws = append(raws, raw)
	}
	require.NotEqual(t, raws[0], raws[1], "the same value twice must not show")
}

func TestSealedRefusesTamperedValues(t *testing.T) {
	inner := new(store.Memory)
	s := &store.Sealed{Store: inner, KeyRing: ring('a')}
	require.NoError(t, s.Set(t.Context(), "k", []byte("value"), 0))
	raw, _, err := inner.Get(t.Context(), "k")
	require.NoError(t, err)

	refused := func(key string, raw []byte, plain bool) {
		t.Helper()
		s := &store.Sealed{Store: inner, KeyRing: ring('a'), Plaintext: plain}
		require.NoError(t, inner.Set(t.Context(), key, raw, 0))
		value, ok, err := s.Get(t.Context(), key)
		require.Error(t, err, "%x", raw)
		require.False(t, ok)
		require.Nil(t, value)
		for _, new := range [][]byte{nil, []byte("new")} {
			swapped, err := s.Swap(t.Context(), key, []byte("value"), new, 0)
			require.Error(t, err)
			require.False(t, swapped)
		}
		still, _, err := inner.Get(t.Context(), key)
		require.NoError(t, err)
		require.True(t, bytes.Equal(raw, still))
	}
	refused("moved", raw, false)
	refused("K", raw, true)
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		refused("k", changed, false)
		if i >= 3 { // a value that does not begin with ours is plain text
			refused("k", changed, true)
		}
		refused("k", raw[:i], false)
		if i >= 3 {
			refused("k", raw[:i], true)
		}
	}
	refused("k", append(bytes.Clone(raw), 0), false)
	refused("k", []byte("value"), false)
	refused("k", nil, false)
}

func TestSealedReadsPlainValuesOnlyWithPlaintext(t *testing.T) {
	inner := new(store.Memory)
	require.NoError(t, inner.Set(t.Context(), "k", []byte("old"), 0))
	strict := &store.Sealed{Store: inner, KeyRing: ring('a')}
	_, _, err := strict.Get(t.Context(), "k")
	require.ErrorContains(t, err, "not sealed")

	lenient := &store.Sealed{Store: inner, KeyRing: ring('a'), Plaintext: true}
	value, ok, err := lenient.Get(t.Context(), "k")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "old", string(value))
	swapped, err := lenient.Swap(t.Context(), "k", []byte("old"), []byte("new"), 0)
	require.NoError(t, err)
	require.True(t, swapped)
	value, _, err = strict.Get(t.Context(), "k")
	require.NoError(t, err, "what is written is sealed")
	require.Equal(t, "new", string(value))
}

func TestSealedRotatesItsKeys(t *testing.T) {
	inner := new(store.Memory)
	with := func(bs ...byte) *store.Sealed { return &store.Sealed{Store: inner, KeyRing: ring(bs...)} }
	require.NoError(t, with('a').Set(t.Context(), "k", []byte("value"), 0))

	for _, s := range []*store.Sealed{with('a', 'b'), with('b', 'a'), with('c', 'b', 'a')} {
		value, ok, err := s.Get(t.Context(), "k")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, "value", string(value))
	}
	_, _, err := with('b').Get(t.Context(), "k")
	require.ErrorContains(t, err, "not in KeyRing")

	swapped, err := with('b', 'a').Swap(t.Context(), "k", []byte("value"), []byte("value"), 0)
	require.NoError(t, err)
	require.True(t, swapped)
	_, _, err = with('b').Get(t.Context(), "k")
	require.NoError(t, err, "the first key seals")
}

func TestResealLeavesNothingUnderAnOldKey(t *testing.T) {
	inner := new(store.Memory)
	require.NoError(t, inner.Set(t.Context(), "plain", []byte("plain"), 0))
	for i := range 300 {
		s := &store.Sealed{Store: inner, KeyRing: ring("abc"[i%3])}
		require.NoError(t, s.Set(t.Context(), fmt.Sprint("k/", i), fmt.Append(nil, "value ", i), time.Hour))
	}
	s := &store.Sealed{Store: inner, KeyRing: ring('c', 'b', 'a'), Plaintext: true}
	n, err := s.Reseal(t.Context())
	require.NoError(t, err)
	require.Equal(t, 201, n)
	n, err = s.Reseal(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)

	only := &store.Sealed{Store: inner, KeyRing: ring('c')}
	for i := range 300 {
		value, ok, err := only.Get(t.Context(), fmt.Sprint("k/", i))
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, fmt.Sprint("value ", i), string(value))
	}
	value, _, err := only.Get(t.Context(), "plain")
	require.NoError(t, err)
	require.Equal(t, "plain", string(value))
}

func TestResealKeepsLives(t *testing.T) {
	inner := new(swapRecorder)
	old := &store.Sealed{Store: inner, KeyRing: ring('a')}
	require.NoError(t, old.Set(t.Context(), "k", []byte("value"), time.Hour))
	_, err := (&store.Sealed{Store: inner, KeyRing: ring('b', 'a')}).Reseal(t.Context())
	require.NoError(t, err)
	require.Equal(t, []time.Duration{-1}, inner.swaps)
}

// swapRecorder records the lives that Swap is called with.
type swapRecorder struct {
	store.Memory
	swaps []time.Duration
}

func (l *swapRecorder) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	l.swaps = append(l.swaps, ttl)
	return l.Memory.Swap(ctx, key, old, new, ttl)
}

func TestResealLosesNoWriteOfOthers(t *testing.T) {
	const keys, steps = 8, 200
	inner := new(store.Memory)
	old := &store.Sealed{Store: inner, KeyRing: ring('a', 'b')}
	for i := range keys {
		require.NoError(t, old.Set(t.Context(), fmt.Sprint("k/", i), []byte{0}, 0))
	}
	var writers sync.WaitGroup
	for i := range keys {
		writers.Go(func() {
			key, s := fmt.Sprint("k/", i), &store.Sealed{Store: inner, KeyRing: ring('a', 'b')}
			if i%2 == 0 {
				s.KeyRing = ring('b', 'a')
			}
			for n := range byte(steps) {
				if swapped, err := s.Swap(t.Context(), key, []byte{n}, []byte{n + 1}, 0); err != nil || !swapped {
					t.Errorf("step %d of %s: %v, %v", n, key, swapped, err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	s := &store.Sealed{Store: inner, KeyRing: ring('b', 'a')}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		_, err := s.Reseal(t.Context())
		require.NoError(t, err)
	}
	only := &store.Sealed{Store: inner, KeyRing: ring('b')}
	for i := range keys {
		value, ok, err := only.Get(t.Context(), fmt.Sprint("k/", i))
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, []byte{steps}, value)
	}
}

func TestResealNamesAValueItCannotOpenAndSealsTheRest(t *testing.T) {
	inner := new(store.Memory)
	old := &store.Sealed{Store: inner, KeyRing: ring('a')}
	for i := range 10 {
		require.NoError(t, old.Set(t.Context(), fmt.Sprint("k/", i), []byte("value"), 0))
	}
	require.NoError(t, inner.Set(t.Context(), "foreign/1", []byte("plain"), 0))
	n, err := (&store.Sealed{Store: inner, KeyRing: ring('b', 'a')}).Reseal(t.Context())
	require.ErrorContains(t, err, `1 values cannot be opened, the first is "foreign/1"`)
	require.Equal(t, 10, n)
	value, _, err := inner.Get(t.Context(), "foreign/1")
	require.NoError(t, err)
	require.Equal(t, "plain", string(value))
}

func TestResealEndsWithItsContext(t *testing.T) {
	inner := new(store.Memory)
	s := &store.Sealed{Store: inner, KeyRing: ring('a')}
	require.NoError(t, s.Set(t.Context(), "k", []byte("value"), 0))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Reseal(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

// golden is "value" under the key "k", sealed with ring('a') by the first release.
const golden = "ff575401bec210a4f4681943a781eef8cd80c0aa2019e144bbc35963aaef450f3c2f9167523685bceb"

func TestSealedOpensValuesOfTheFirstRelease(t *testing.T) {
	raw, err := hex.DecodeString(golden)
	require.NoError(t, err)
	inner := new(store.Memory)
	require.NoError(t, inner.Set(t.Context(), "k", raw, 0))
	value, ok, err := (&store.Sealed{Store: inner, KeyRing: ring('a')}).Get(t.Context(), "k")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "value", string(value))
}

func TestSealedRefusesTheFormatOfALaterRelease(t *testing.T) {
	raw, err := hex.DecodeString(strings.Replace(golden, "ff575401", "ff575402", 1))
	require.NoError(t, err)
	inner := new(store.Memory)
	require.NoError(t, inner.Set(t.Context(), "k", raw, 0))
	for _, plaintext := range []bool{false, true} {
		s := &store.Sealed{Store: inner, KeyRing: ring('a'), Plaintext: plaintext}
		_, _, err = s.Get(t.Context(), "k")
		require.ErrorIs(t, err, store.ErrSealKey)
		require.ErrorContains(t, err, "later release")
	}
}

func TestSealedNeedsValidKeys(t *testing.T) {
	for want, keys := range map[string]store.KeyRing{
		"KeyRing is empty":             nil,
		"key 1 of KeyRing has 5 bytes": {[]byte("short")},
		"key 2 of KeyRing has 0 bytes": append(ring('a'), nil),
	} {
		s := &store.Sealed{Store: new(store.Memory), KeyRing: keys}
		require.ErrorContains(t, s.Set(t.Context(), "k", nil, 0), want)
		_, _, err := s.Get(t.Context(), "k")
		require.ErrorContains(t, err, want)
		_, err = s.Swap(t.Context(), "k", nil, nil, 0)
		require.ErrorContains(t, err, want)
		_, err = s.Reseal(t.Context())
		require.ErrorContains(t, err, want)
	}
}

func TestParseKeysReadsBothAlphabets(t *testing.T) {
	a, b := bytes.Repeat([]byte{0xfb}, 32), bytes.Repeat([]byte{0xff}, 32)
	for _, s := range []string{
		base64.StdEncoding.EncodeToString(a) + "," + base64.URLEncoding.EncodeToString(b),
		base64.RawStdEncoding.EncodeToString(a) + " ,\n" + base64.RawURLEncoding.EncodeToString(b) + "\n",
	} {
		keys, err := store.ParseKeys(s)
		require.NoError(t, err)
		require.Len(t, keys, 2)
		require.Equal(t, a, keys[0])
		require.Equal(t, b, keys[1])
	}
}

func TestParseKeysNamesAnInvalidKeyWithoutShowingIt(t *testing.T) {
	good := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32))
	for s, want := range map[string]string{
		"":                       "key 1 has 0 bytes and must have 32",
		good + ",":               "key 2 has 0 bytes and must have 32",
		good + ",!secret!":       "key 2 is not base64",
		"c2VjcmV0c2VjcmV0":       "key 1 has 12 bytes and must have 32",
		good + "," + good + "AA": "key 2 is not base64",
	} {
		_, err := store.ParseKeys(s)
		require.ErrorContains(t, err, want, "%q", s)
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, err.Error(), "c2Vj")
	}
}

func TestKeyRingPrintsWithoutItsKeys(t *testing.T) {
	keys := ring('s', 't')
	s := &store.Sealed{Store: new(store.Memory), KeyRing: keys}
	require.NoError(t, s.Set(t.Context(), "k", nil, 0))
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "keys", keys, "s", s)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "keys", keys)
	out := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		out += fmt.Sprintf(verb+verb, keys, s)
	}
	text, err := json.Marshal(map[string]any{"keys": keys})
	require.NoError(t, err)
	out = strings.ToLower(out + string(text))
	// Each is long enough not to be a part of an address in memory.
	for _, shown := range []string{"sss", "ttt", "7373737373737373", "115 115", "0x73, 0x73", "c3nzc3nz"} {
		require.NotContains(t, out, shown)
	}
}

func FuzzSealedOpensOnlySealedValues(f *testing.F) {
	raw, err := hex.DecodeString(golden)
	require.NoError(f, err)
	f.Add(raw)
	f.Add(raw[:len(raw)-1])
	f.Add([]byte{})
	f.Add([]byte("\xffWT\x01"))
	f.Add([]byte(`{"value":"plain"}`))
	f.Fuzz(func(t *testing.T, hostile []byte) {
		inner := new(store.Memory)
		require.NoError(t, inner.Set(t.Context(), "k", hostile, 0))
		strict := &store.Sealed{Store: inner, KeyRing: ring('a', 'b')}
		value, ok, err := strict.Get(t.Context(), "k")
		if !bytes.Equal(hostile, raw) {
			require.Error(t, err)
			require.False(t, ok)
			require.Nil(t, value)
		}
		lenient := &store.Sealed{Store: inner, KeyRing: ring('a', 'b'), Plaintext: true}
		if value, ok, err = lenient.Get(t.Context(), "k"); err == nil && !bytes.Equal(hostile, raw) {
			require.True(t, ok)
			require.Equal(t, hostile, value, "plain text is given as it is")
			require.False(t, bytes.HasPrefix(hostile, []byte("\xffWT\x01")), "sealed text is never plain text")
		}
		_, _ = lenient.Reseal(t.Context())
	})
}

func TestSealedReportsWhyAValueDoesNotOpen(t *testing.T) {
	inner := new(store.Memory)
	require.NoError(t, (&store.Sealed{Store: inner, KeyRing: ring('a')}).Set(t.Context(), "k", []byte("value"), 0))
	raw, _, err := inner.Get(t.Context(), "k")
	require.NoError(t, err)
	require.NoError(t, inner.Set(t.Context(), "plain", []byte("value"), 0))
	require.NoError(t, inner.Set(t.Context(), "moved", raw, 0))
	for key, want := range map[string]error{"plain": store.ErrPlaintext, "moved": store.ErrTampered, "k": nil} {
		_, _, err := (&store.Sealed{Store: inner, KeyRing: ring('a')}).Get(t.Context(), key)
		require.ErrorIs(t, err, want)
	}
	_, _, err = (&store.Sealed{Store: inner, KeyRing: ring('b')}).Get(t.Context(), "k")
	require.ErrorIs(t, err, store.ErrSealKey)
}

// replacingStore writes a value in place of another one after the first read, as another process does.
type replacingStore struct {
	store.Store
	value []byte
}

func (s *replacingStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	raw, ok, err := s.Store.Get(ctx, key)
	if s.value != nil {
		err = errors.Join(err, s.Store.Set(ctx, key, s.value, 0))
		s.value = nil
	}
	return raw, ok, err
}

func TestDeleteUnreadableLeavesWhatCanBeRead(t *testing.T) {
	ctx, raw := t.Context(), &replacingStore{Store: new(store.Memory)}
	keys, err := store.ParseKeys(strings.Repeat("A", 43) + "=")
	require.NoError(t, err)
	s := &store.Sealed{Store: raw, KeyRing: keys}
	deleted, err := s.DeleteUnreadable(ctx, "k")
	require.NoError(t, err)
	require.False(t, deleted, "there is none")

	require.NoError(t, s.Set(ctx, "k", []byte("good"), 0))
	good, _, err := raw.Store.Get(ctx, "k")
	require.NoError(t, err)
	deleted, err = s.DeleteUnreadable(ctx, "k")
	require.NoError(t, err)
	require.False(t, deleted)

	require.NoError(t, raw.Set(ctx, "k", []byte("planted"), 0))
	raw.value = good
	deleted, err = s.DeleteUnreadable(ctx, "k")
	require.NoError(t, err)
	require.False(t, deleted, "another process has replaced it")
	value, ok, err := s.Get(ctx, "k")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "good", string(value))

	require.NoError(t, raw.Set(ctx, "k", []byte("planted"), 0))
	deleted, err = s.DeleteUnreadable(ctx, "k")
	require.NoError(t, err)
	require.True(t, deleted)
	_, ok, err = raw.Get(ctx, "k")
	require.NoError(t, err)
	require.False(t, ok)
	_, err = (&store.Sealed{Store: raw}).DeleteUnreadable(ctx, "k")
	require.Error(t, err, "it has no keys")
}
