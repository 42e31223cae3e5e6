package stores_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/cmd/server/internal/stores"
	"github.com/wetoken/wetoken/gateway"
)

// open returns the stores of a configuration, with a table in the SQLite file of the shared one.
func open(t *testing.T, file string) stores.Set {
	s, err := stores.Open(gateway.Config{Store: "sqlite:" + file})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.NoError(t, s.Shared.Migrate(t.Context()))
	return s
}

// testdata/mark is the mark as the first release wrote it.
func TestTheMarkOfTheFirstReleaseIsWrittenAndRead(t *testing.T) {
	golden, err := os.ReadFile("testdata/mark")
	require.NoError(t, err)
	s := open(t, filepath.Join(t.TempDir(), "new.db"))
	require.NoError(t, s.Start(t.Context()))
	mark, ok, err := s.Shared.Raw.Get(t.Context(), "ready")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, string(golden), string(mark))

	s = open(t, filepath.Join(t.TempDir(), "old.db"))
	require.NoError(t, s.Shared.Raw.Set(t.Context(), "ready", golden, 0))
	require.NoError(t, s.Start(t.Context()))
	_, _, err = s.Shared.Get(t.Context(), "k")
	require.NoError(t, err)
}

func TestTheMarkOfALaterReleaseIsRefused(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "later.db"))
	require.NoError(t, s.Shared.Raw.Set(t.Context(), "ready", []byte("ok 2"), 0))
	require.ErrorContains(t, s.Start(t.Context()), `a server of a later release has used it (its mark is "ok 2")`)
	mark, _, err := s.Shared.Raw.Get(t.Context(), "ready")
	require.NoError(t, err)
	require.Equal(t, "ok 2", string(mark))
}
