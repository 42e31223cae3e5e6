package admin

import (
	"context"
	"io"
	"time"

	"github.com/wetoken/wetoken/cmd/server/internal/stores"
)

const migrateMax = time.Minute

// migrate makes the tables of a store where they are missing. It changes nothing else, and can be repeated.
func migrate(ctx context.Context, _ Options, _ io.Writer, o *stores.Store) (string, error) {
	if o.Migrate == nil {
		return "has no tables", nil
	}
	ctx, cancel := context.WithTimeout(ctx, migrateMax)
	defer cancel()
	if err := o.Migrate(ctx); err != nil {
		return "", err
	}
	return "its table is there", nil
}
