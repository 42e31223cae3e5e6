package stores

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// checkDurable returns an error if a Redis would lose values: a configError if its INFO proves that. Many clouds allow INFO but
// not CONFIG.
func checkDurable(ctx context.Context, client redis.UniversalClient) error {
	check := func(ctx context.Context, one *redis.Client) error { return checkDurableNode(ctx, one) }
	switch c := client.(type) {
	case *redis.ClusterClient:
		var mu sync.Mutex
		var wrong error
		err := c.ForEachMaster(ctx, func(ctx context.Context, one *redis.Client) error {
			err := check(ctx, one)
			if errors.As(err, new(configError)) {
				mu.Lock()
				defer mu.Unlock()
				wrong = err
			}
			return err
		})
		if wrong != nil {
			return wrong
		}
		return err
	case *redis.Client:
		return check(ctx, c)
	}
	return fmt.Errorf("whether it keeps values cannot be read of a client of type %T", client)
}

func checkDurableNode(ctx context.Context, one *redis.Client) error {
	appends, err := readInfo(ctx, one, "persistence", "aof_enabled")
	if err != nil {
		return err
	}
	policy, err := readInfo(ctx, one, "memory", "maxmemory_policy")
	if err != nil {
		return err
	}
	if appends == "1" && policy == "noeviction" {
		return nil
	}
	state := map[string]string{"1": "yes", "0": "no"}[appends]
	return configError{fmt.Errorf("would lose payments and authorizations: appendonly is %q and maxmemory-policy is %q: want appendonly yes and maxmemory-policy noeviction", state, policy)}
}

// readInfo returns a value of a section of INFO.
func readInfo(ctx context.Context, one *redis.Client, section, name string) (string, error) {
	text, err := one.Info(ctx, section).Result()
	if err != nil {
		return "", fmt.Errorf("whether it keeps values cannot be read: INFO %s: %w", section, err)
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return value, nil
		}
	}
	return "", fmt.Errorf("whether it keeps values cannot be read: INFO %s has no %s", section, name)
}
