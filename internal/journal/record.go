package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/store"
)

// item is an entry as it is stored.
type item struct {
	At   int64           `json:"at"` // Unix milliseconds
	By   string          `json:"by"` // process
	Data json.RawMessage `json:"data"`
}

type chunkRecord struct {
	Version int    `json:"v,omitempty"`
	Entries []item `json:"entries"`
}

type dayRecord struct {
	Version int      `json:"v,omitempty"`
	Streams []string `json:"streams"`
}

func dayOf(ms int64) string                 { return time.UnixMilli(ms).UTC().Format(time.DateOnly) }
func (j *Journal) dayKey(day string) string { return j.Prefix + "/" + day }
func (j *Journal) key(day, stream string, n int) string {
	return fmt.Sprintf("%s/%s/%s/%d", j.Prefix, day, stream, n)
}

// isValid reports whether c is a record of a day.
func (c chunkRecord) isValid(day string) bool {
	return c.Version == 0 && len(c.Entries) <= maxChunk &&
		slices.IsSortedFunc(c.Entries, func(a, b item) int { return cmp.Compare(a.At, b.At) }) &&
		!slices.ContainsFunc(c.Entries, func(it item) bool { return dayOf(it.At) != day })
}

// parseChunk returns the content of a record of a day.
func parseChunk(raw []byte, day string) (c chunkRecord, ok bool) {
	if json.Unmarshal(raw, &c) != nil || !c.isValid(day) {
		return chunkRecord{}, false
	}
	return c, true
}

// recordError is an error about the content of a record.
type recordError struct{ error }

func isUnreadable(err error) bool {
	return errors.As(err, new(*recordError)) || errors.Is(err, store.ErrPlaintext) || errors.Is(err, store.ErrSealKey) || errors.Is(err, store.ErrTampered)
}

func (j *Journal) get(ctx context.Context, key string) ([]byte, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	raw, ok, err := j.Store.Get(ctx, key)
	if err == nil && len(raw) > maxRecord {
		return nil, false, &recordError{fmt.Errorf("journal: the record under %q has %d bytes: want at most %d", key, len(raw), maxRecord)}
	}
	return raw, ok, err
}

var streamPattern = regexp.MustCompile(`^[a-z2-7]{16}$`)

// readDay returns the streams of a day.
func (j *Journal) readDay(ctx context.Context, day string) (d dayRecord, raw []byte, err error) {
	raw, ok, err := j.get(ctx, j.dayKey(day))
	if err != nil || !ok {
		return d, nil, err
	}
	if json.Unmarshal(raw, &d) != nil || d.Version != 0 || len(d.Streams) > maxStreams || slices.ContainsFunc(d.Streams, func(w string) bool { return !streamPattern.MatchString(w) }) {
		return dayRecord{}, nil, &recordError{fmt.Errorf("journal: invalid record under %q", j.dayKey(day))}
	}
	slices.Sort(d.Streams)
	d.Streams = slices.Compact(d.Streams)
	return d, raw, nil
}

// listStreams returns the streams of a day, whose record cannot be read, from the keys of their records.
func (j *Journal) listStreams(ctx context.Context, day string) (list []string, err error) {
	prefix := j.dayKey(day) + "/"
	seen := make(map[string]bool)
	for key, err := range j.Store.Keys(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		stream, _, _ := strings.Cut(key[len(prefix):], "/")
		if streamPattern.MatchString(stream) && !seen[stream] && len(list) < maxStreams-1 {
			seen[stream] = true
			list = append(list, stream)
		}
	}
	slices.Sort(list)
	return list, nil
}
