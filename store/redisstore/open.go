package redisstore

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Open returns a Store with a new client for one of
//
//	redis://[[USER]:PASSWORD@]HOST[:6379][/DB]
//	redis-sentinel://[[USER]:PASSWORD@]HOST[:26379][,HOST[:26379]…]/MASTER[/DB]
//	redis-cluster://[[USER]:PASSWORD@]HOST[:6379][,HOST[:6379]…]
//
// and rediss, rediss-sentinel and rediss-cluster for TLS, verified by the system's roots. Reserved characters in USER,
// PASSWORD and MASTER must be percent-encoded. Parameters: prefix, for Store.Prefix; sentinel_username and
// sentinel_password, if the sentinels require their own.
//
// Open does not connect: the first command does. A server that hangs or is down costs a caller at most 1.5 seconds. The
// caller of Open must close the Client. Errors contain no part of the URL, which may have a password.
func Open(rawURL string) (*Store, error) {
	o, prefix, err := parseURL(rawURL)
	if err != nil {
		return nil, fmt.Errorf("redisstore: open: %w", err)
	}
	o.DialTimeout = 2 * time.Second
	o.ReadTimeout = time.Second
	o.WriteTimeout = time.Second
	o.PoolTimeout = time.Second
	o.DialerRetries = 1
	o.MaxRetries = 1
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}

	s := &Store{Prefix: prefix}
	switch {
	case o.MasterName != "":
		s.Client = redis.NewFailoverClient(o.Failover())
	case o.IsClusterMode:
		s.Client = redis.NewClusterClient(o.Cluster())
	default:
		s.Client = redis.NewClient(o.Simple())
	}
	return s, nil
}

// parseURL parses the URL by hand, because net/url accepts one host only, and its errors contain the whole URL.
func parseURL(rawURL string) (o *redis.UniversalOptions, prefix string, err error) {
	scheme, rest, _ := strings.Cut(rawURL, "://")
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	o = new(redis.UniversalOptions)

	name, secure := strings.CutPrefix(scheme, "rediss")
	if secure {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	} else {
		name = strings.TrimPrefix(scheme, "redis")
	}
	port := "6379"
	switch {
	case !strings.HasPrefix(scheme, "redis"), name != "" && name != "-sentinel" && name != "-cluster":
		return nil, "", errors.New("the URL must begin with redis://, redis-sentinel:// or redis-cluster://, with rediss for TLS")
	case name == "-sentinel":
		port = "26379"
		if path, err = parseMaster(o, path); err != nil {
			return nil, "", err
		}
	case name == "-cluster":
		o.IsClusterMode = true
	}

	if path != "" {
		db, err := strconv.ParseUint(path, 10, 16)
		if err != nil {
			return nil, "", errors.New("the database in the URL's path must be a number")
		}
		if o.IsClusterMode && db != 0 {
			return nil, "", errors.New("a cluster has database 0 only")
		}
		o.DB = int(db)
	}

	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		if err := parseUser(o, authority[:at]); err != nil {
			return nil, "", err
		}
		authority = authority[at+1:]
	}
	for i, host := range strings.Split(authority, ",") {
		address, err := hostPort(host, port)
		if err != nil {
			return nil, "", fmt.Errorf("host %d of the URL: %w", i+1, err)
		}
		o.Addrs = append(o.Addrs, address)
	}
	if name == "" && len(o.Addrs) > 1 {
		return nil, "", errors.New("several hosts need redis-sentinel:// or redis-cluster://")
	}
	if prefix, err = parseQuery(o, query); err != nil {
		return nil, "", err
	}
	return o, prefix, nil
}

func parseMaster(o *redis.UniversalOptions, path string) (rest string, err error) {
	master, rest, _ := strings.Cut(path, "/")
	if o.MasterName, err = url.PathUnescape(master); err != nil || o.MasterName == "" {
		return "", errors.New("the URL's path must be /MASTER or /MASTER/DB")
	}
	return rest, nil
}

func parseUser(o *redis.UniversalOptions, userinfo string) error {
	user, password, ok := strings.Cut(userinfo, ":")
	if !ok {
		return errors.New("the URL has a user and no password; a password alone is written :PASSWORD@")
	}
	var err1, err2 error
	o.Username, err1 = url.PathUnescape(user)
	o.Password, err2 = url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return errors.New("the user or the password in the URL is not percent-encoded")
	}
	return nil
}

func parseQuery(o *redis.UniversalOptions, query string) (prefix string, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", errors.New("the URL's parameters are not percent-encoded")
	}
	for name, value := range values {
		switch name {
		case "prefix":
			prefix = value[0]
		case "sentinel_username":
			o.SentinelUsername = value[0]
		case "sentinel_password":
			o.SentinelPassword = value[0]
		default:
			return "", errors.New("the URL has a parameter other than prefix, sentinel_username and sentinel_password")
		}
	}
	return prefix, nil
}

// hostPort returns host with a port. Its errors do not contain host, which may be half of a password with a bare slash.
func hostPort(host, port string) (string, error) {
	name := host
	if strings.LastIndexByte(host, ':') > strings.LastIndexByte(host, ']') {
		var err error
		if name, port, err = net.SplitHostPort(host); err != nil {
			return "", errors.New("want HOST or HOST:PORT")
		}
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if name == "" || strings.ContainsAny(name, "[]@ \t\r\n") {
		return "", errors.New("want HOST or HOST:PORT")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errors.New("invalid port: want a number from 1 to 65535")
	}
	return net.JoinHostPort(name, port), nil
}
