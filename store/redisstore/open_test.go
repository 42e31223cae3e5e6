package redisstore_test

import (
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store/redisstore"
)

func TestOpenReadsURLs(t *testing.T) {
	for rawURL, want := range map[string]redis.UniversalOptions{
		"redis://127.0.0.1":                {Addrs: []string{"127.0.0.1:6379"}},
		"redis://127.0.0.1:6380/3":         {Addrs: []string{"127.0.0.1:6380"}, DB: 3},
		"redis://[::1]/":                   {Addrs: []string{"[::1]:6379"}},
		"redis://[::1]:7000":               {Addrs: []string{"[::1]:7000"}},
		"redis://:p@ss@redis/1":            {Addrs: []string{"redis:6379"}, Password: "p@ss", DB: 1},
		"redis://u%3A:p%40%2F%3F%25@redis": {Addrs: []string{"redis:6379"}, Username: "u:", Password: "p@/?%"},
		"redis://:a:b:c@redis":             {Addrs: []string{"redis:6379"}, Password: "a:b:c"},
		"redis-cluster://a,b:7001,[::1]":   {Addrs: []string{"a:6379", "b:7001", "[::1]:6379"}, IsClusterMode: true},
		"redis-cluster://:p@a/0":           {Addrs: []string{"a:6379"}, Password: "p", IsClusterMode: true},
		"redis-sentinel://a/main":          {Addrs: []string{"a:26379"}, MasterName: "main"},
		"redis-sentinel://u:p@a,b:5000,c/my%2Fmain/2?sentinel_username=su&sentinel_password=s%26p": {
			Addrs: []string{"a:26379", "b:5000", "c:26379"}, MasterName: "my/main", DB: 2,
			Username: "u", Password: "p", SentinelUsername: "su", SentinelPassword: "s&p",
		},
	} {
		o, prefix, err := redisstore.Parse(rawURL)
		require.NoError(t, err, rawURL)
		require.Empty(t, prefix)
		require.Equal(t, want, *o, rawURL)
	}
}

func TestOpenUsesTLSForSchemesWithTLS(t *testing.T) {
	for scheme, secure := range map[string]bool{
		"redis": false, "redis-sentinel": false, "redis-cluster": false,
		"rediss": true, "rediss-sentinel": true, "rediss-cluster": true,
	} {
		path := ""
		if strings.Contains(scheme, "sentinel") {
			path = "/main"
		}
		o, _, err := redisstore.Parse(scheme + "://redis.example.com" + path)
		require.NoError(t, err)
		require.Equal(t, secure, o.TLSConfig != nil, scheme)
		if secure {
			require.False(t, o.TLSConfig.InsecureSkipVerify)
		}
	}
}

func TestOpenTakesAPrefix(t *testing.T) {
	s, err := redisstore.Open("redis://127.0.0.1?prefix=wetoken%3A")
	require.NoError(t, err)
	defer s.Client.Close()
	require.Equal(t, "wetoken:", s.Prefix)
}

func TestOpenMakesTheClientOfTheScheme(t *testing.T) {
	for rawURL, want := range map[string]redis.UniversalClient{
		"redis://127.0.0.1:1":               &redis.Client{},
		"redis-sentinel://127.0.0.1:1/main": &redis.Client{},
		"redis-cluster://127.0.0.1:1":       &redis.ClusterClient{},
	} {
		s, err := redisstore.Open(rawURL)
		require.NoError(t, err)
		require.IsType(t, want, s.Client, rawURL)
		require.NoError(t, s.Client.Close())
	}
}

func TestOpenErrorsHaveNoPassword(t *testing.T) {
	for rawURL, want := range map[string]string{
		"":                                     "must begin with redis://",
		"127.0.0.1:6379":                       "must begin with redis://",
		"hunter2":                              "must begin with redis://",
		"http://:hunter2@a":                    "must begin with redis://",
		"redis-hunter2://a":                    "must begin with redis://",
		"redis://":                             "host 1 of the URL",
		"redis://:hunter2@":                    "host 1 of the URL",
		"redis://:hunter2@a:0":                 "invalid port: want a number from 1 to 65535",
		"redis://:hunter2@a:65536":             "invalid port: want a number from 1 to 65535",
		"redis://:hunter2@::1":                 "want HOST or HOST:PORT",
		"redis://:hunter2@[::1":                "want HOST or HOST:PORT",
		"redis://:hunter2@a/hunter2":           "must be a number",
		"redis://:hunter2@a/-1":                "must be a number",
		"redis://:hunter2@a,b":                 "several hosts need",
		"redis://u:hunter2/hunter2@a":          "must be a number",
		"redis://:hunter2%zz@a":                "not percent-encoded",
		"redis://hunter2@a":                    "a user and no password",
		"redis://:hunter2?hunter2@a":           "host 1 of the URL",
		"redis://a?hunter2=hunter2":            "a parameter other than",
		"redis://a?prefix=%hunter2":            "parameters are not percent-encoded",
		"redis-cluster://:hunter2@a/1":         "database 0 only",
		"redis-cluster://:hunter2@a,,b":        "host 2 of the URL",
		"redis-sentinel://:hunter2@a":          "/MASTER or /MASTER/DB",
		"redis-sentinel://:hunter2@a/%zz":      "/MASTER or /MASTER/DB",
		"redis-sentinel://:hunter2@a/main/one": "must be a number",
	} {
		s, err := redisstore.Open(rawURL)
		require.Nil(t, s)
		require.ErrorContains(t, err, "redisstore: open: ", rawURL)
		require.ErrorContains(t, err, want, rawURL)
		require.NotContains(t, err.Error(), "hunter2", rawURL)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add("redis://:PASSWORD@127.0.0.1:6379/0?prefix=a")
	f.Add("rediss-sentinel://user:PASSWORD@a,b:1/main/1?sentinel_password=PASSWORD")
	f.Add("redis-cluster://user:PASSWORD@[::1]:7000,a")
	f.Add("redis://PASSWORD@a")
	f.Add("redis://:%zz@a?%zz#")
	f.Fuzz(func(t *testing.T, rawURL string) {
		const secret = "c0rrect-h0rse"
		o, _, err := redisstore.Parse(strings.ReplaceAll(rawURL, "PASSWORD", secret))
		if err != nil {
			require.Nil(t, o)
			require.NotContains(t, err.Error(), secret)
			return
		}
		require.NotEmpty(t, o.Addrs)
		for _, address := range o.Addrs {
			host, port, err := net.SplitHostPort(address)
			require.NoError(t, err, address)
			require.NotEmpty(t, host, address)
			require.NotEmpty(t, port, address)
		}
	})
}
