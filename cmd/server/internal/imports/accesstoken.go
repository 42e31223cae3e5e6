package imports

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store/redisstore"
)

const (
	accessTokenHash = "mp" // of the registered apps, by appid
	maxHashValue    = 64 << 10
	hashBatch       = 500
)

// ReadAccessTokenFile reads the apps of windsome/wechat-accesstoken from its config.json, and from the Redis that it names.
func ReadAccessTokenFile(ctx context.Context, file string) (*Source, error) {
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	o, _, err := parseObject(data)
	if err != nil {
		return nil, unreadable("%s %w", file, err)
	}
	r, err := o.row("appId", "appSecret", "token", "encodingAESKey")
	if err != nil {
		return nil, unreadable("%s: %w", file, err)
	}
	s := new(Source)
	if r["appId"] != "" || r["appSecret"] != "" {
		s.Apps = append(s.Apps, App{
			From: file, Name: nameOf(r["appId"]), Err: checkRow(r, "appId", "appSecret"),
			Settings: gateway.App{AppID: r["appId"], Secret: r["appSecret"]},
		})
	}
	if r["token"] != "" || r["encodingAESKey"] != "" {
		s.Notes = append(s.Notes, "token and encodingAESKey are those of a third-party platform's events, and are left out")
	}
	backend, _, err := parseObject(o["backend"])
	if err != nil && len(o["backend"]) > 0 && string(o["backend"]) != "null" {
		return nil, unreadable("%s: backend %w", file, err)
	}
	b, err := backend.row("type", "url")
	if err != nil {
		return nil, unreadable("%s: backend: %w", file, err)
	}
	if b["type"] != "redis" {
		s.Notes = append(s.Notes, "its backend is memory: apps that were registered by register_appid are only in that process: register them again; records keeps them here")
		return s, nil
	}
	registered, err := ReadAccessTokenRedis(ctx, b["url"])
	if err != nil {
		return nil, fmt.Errorf("backend.url of %s: %w", file, err)
	}
	s.Apps, s.Notes = append(s.Apps, registered.Apps...), append(s.Notes, registered.Notes...)
	return s, nil
}

// ReadAccessTokenRedis reads the registered apps of windsome/wechat-accesstoken from its Redis.
func ReadAccessTokenRedis(ctx context.Context, url string) (*Source, error) {
	ctx, cancel := context.WithTimeout(ctx, maxReadTime)
	defer cancel()
	opened, err := redisstore.Open(url)
	if err != nil {
		return nil, unreadable("%w", err)
	}
	defer opened.Client.Close()
	s := &Source{Notes: []string{"its tokens are left out: once its last client is gone, DEL accessTokenMp in its Redis, and mp, which has the secrets in clear"}}
	ids, err := readHashKeys(ctx, opened.Client)
	if err != nil {
		return nil, err
	}
	for batch := range slices.Chunk(ids, hashBatch) {
		apps, err := readHash(ctx, opened.Client, batch)
		if err != nil {
			return nil, err
		}
		s.Apps = append(s.Apps, apps...)
	}
	return s, nil
}

// readHashKeys returns the appids of the registered apps, in order.
func readHashKeys(ctx context.Context, client redis.UniversalClient) ([]string, error) {
	n, err := client.HLen(ctx, accessTokenHash).Result()
	if err != nil {
		return nil, unreadable("hash %s: %w", accessTokenHash, err)
	}
	if n > maxRows {
		return nil, unreadable("hash %s has more than %d apps", accessTokenHash, maxRows)
	}
	ids, err := client.HKeys(ctx, accessTokenHash).Result()
	if err != nil {
		return nil, unreadable("hash %s: %w", accessTokenHash, err)
	}
	slices.Sort(ids)
	return ids, nil
}

// readHash returns some of the registered apps. It reads no value that is too long.
func readHash(ctx context.Context, client redis.UniversalClient, ids []string) ([]App, error) {
	lengths := make([]*redis.Cmd, len(ids))
	_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			lengths[i] = p.Do(ctx, "HSTRLEN", accessTokenHash, id)
		}
		return nil
	})
	if err != nil {
		return nil, unreadable("hash %s: %w", accessTokenHash, err)
	}
	apps := make([]App, len(ids))
	for i, id := range ids {
		a := App{From: fmt.Sprintf("hash %s, field %.80q", accessTokenHash, id), Name: nameOf(id)}
		switch n, _ := lengths[i].Int64(); {
		case len(id) > maxValue:
			a.Name, a.Err = nameOf(id[:40]+"…"), errors.New("the field is too long for an appid")
		case n > maxHashValue:
			a.Err = fmt.Errorf("the value has more than %d bytes", maxHashValue)
		default:
			value, err := client.HGet(ctx, accessTokenHash, id).Result()
			if err != nil && !errors.Is(err, redis.Nil) {
				return nil, unreadable("hash %s: %w", accessTokenHash, err)
			}
			a.Settings, a.Err = parseRegistered(id, value)
		}
		apps[i] = a
	}
	return apps, nil
}

// parseRegistered reads the value of a registered app: all that was sent to register it.
func parseRegistered(id, value string) (a gateway.App, err error) {
	o, _, err := parseObject([]byte(value))
	if err != nil {
		return a, fmt.Errorf("the value %w", err)
	}
	r, err := o.row("appid", "secret")
	if err != nil {
		return a, err
	}
	if r["appid"] == "" {
		r["appid"] = id
	}
	if r["appid"] != id {
		return a, errors.New("the value is of another appid")
	}
	return gateway.App{AppID: id, Secret: r["secret"]}, checkRow(r, "appid", "secret")
}
