package admin

import (
	"context"
	"io"
	"time"

	"github.com/wetoken/wetoken/cmd/server/internal/stores"
)

const maxMigrateTime = time.Minute

// migrate makes the missing tables of a store. It changes nothing else, and can be repeated.
func migrate(ctx context.Context, _ Options, _ io.Writer, o *stores.Store) (string, error) {
	if o.Migrate == nil {
		return "has no tables", nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxMigrateTime)
	defer cancel()
	if err := o.Migrate(ctx); err != nil {
		return "", err
	}
	return "its table exists", nil
}
