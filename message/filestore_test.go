//go:build unix

package message_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/storetest"
)

// files is a Store in a folder for tests with several processes: a file for each key, and one lock.
type files struct{ dir string }

type fileRecord struct {
	Key   string
	Value []byte
	Until time.Time
}

func (f files) locked(ctx context.Context, do func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(f.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	for {
		if err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return err
	}
	return do()
}

func (f files) path(key string) string {
	return filepath.Join(f.dir, shortened(key)+".json")
}

func shortened(key string) string {
	name := hex.EncodeToString([]byte(key))
	if len(name) > 200 {
		name = name[:150] + sign(key)
	}
	return name
}

func (f files) read(path string) (r fileRecord, ok bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	return r, err == nil && (r.Until.IsZero() || time.Now().Before(r.Until)), err
}

func (f files) write(key string, value []byte, until time.Time) error {
	b, err := json.Marshal(fileRecord{key, value, until})
	if err != nil {
		return err
	}
	next := filepath.Join(f.dir, "next")
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return err
	}
	return os.Rename(next, f.path(key)) // atomic if the process is killed
}

func (f files) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	err = f.locked(ctx, func() error {
		var r fileRecord
		r, ok, err = f.read(f.path(key))
		if ok {
			value = append([]byte{}, r.Value...)
		}
		return err
	})
	return value, ok, err
}

func (f files) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl < 0 {
		return errors.New("ttl is below 0")
	}
	return f.locked(ctx, func() error { return f.write(key, value, until(ttl)) })
}

func until(ttl time.Duration) time.Time {
	if ttl == 0 {
		return time.Time{}
	}
	return time.Now().Add(ttl)
}

func (f files) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (swapped bool, err error) {
	err = f.locked(ctx, func() error {
		r, ok, err := f.read(f.path(key))
		if err != nil || ok != (old != nil) || ok && !bytes.Equal(r.Value, old) {
			return err
		}
		swapped = true
		switch {
		case new == nil && !ok:
			return nil
		case new == nil:
			return os.Remove(f.path(key))
		case ttl >= 0:
			r.Until = until(ttl)
		case !ok:
			r.Until = time.Time{}
		}
		return f.write(key, new, r.Until)
	})
	return swapped && err == nil, err
}

func (f files) Delete(ctx context.Context, key string) error {
	return f.locked(ctx, func() error {
		if err := os.Remove(f.path(key)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

func (f files) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var keys []string
		err := f.locked(ctx, func() error {
			names, err := filepath.Glob(filepath.Join(f.dir, "*.json"))
			for _, name := range names {
				r, ok, err := f.read(name)
				if err != nil {
					return err
				}
				if ok && strings.HasPrefix(r.Key, prefix) {
					keys = append(keys, r.Key)
				}
			}
			return err
		})
		if err != nil {
			yield("", err)
			return
		}
		for _, key := range keys {
			if !yield(key, nil) {
				return
			}
		}
	}
}

func TestFileStoreIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		dir := t.TempDir()
		return files{dir}
	})
}
