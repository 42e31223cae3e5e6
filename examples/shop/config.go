package main

import (
	"bufio"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
)

// config is the configuration of the program.
type config struct {
	addr, public, db string
	version          string
	admin            string
	proxies          []netip.Prefix
}

// readConfig returns the flags. Variables that the environment lacks are read from the file .env.
func readConfig() (c config, err error) {
	flag.StringVar(&c.addr, "addr", "127.0.0.1:8093", "address to listen on; port 0 picks a free one")
	flag.StringVar(&c.public, "url", "", "public URL of this program, for WeChat's notifications; default that of -addr")
	flag.StringVar(&c.db, "db", "", "SQLite file, or a data source name of MariaDB such as user:password@tcp(127.0.0.1:3306)/letao; "+
		"default DB_HOST, DB_USER, DB_PWD and DB_DATABASE, or the file shop.db")
	flag.StringVar(&c.version, "version", "v3", "version of WeChat Pay's API for new orders: v3 or v2")
	flag.StringVar(&c.admin, "admin", "", "name of a registered user: makes the user an admin, and ends")
	flag.Func("proxies", "networks of proxies in front, whose X-Forwarded-For counts, such as 10.0.0.0/8,127.0.0.1/32", func(text string) error {
		for part := range strings.SplitSeq(text, ",") {
			p, err := netip.ParsePrefix(strings.TrimSpace(part))
			if err != nil {
				return err
			}
			c.proxies = append(c.proxies, p.Masked())
		}
		return nil
	})
	flag.Parse()
	if err := readEnvFile(".env"); err != nil {
		return c, err
	}
	if c.db == "" && os.Getenv("DB_HOST") != "" {
		host := os.Getenv("DB_HOST")
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(host, "3306")
		}
		c.db = fmt.Sprintf("%s:%s@tcp(%s)/%s", cmp.Or(os.Getenv("DB_USER"), "root"), os.Getenv("DB_PWD"), host, cmp.Or(os.Getenv("DB_DATABASE"), "letao"))
	}
	c.db = cmp.Or(c.db, "shop.db")
	return c, nil
}

// readEnvFile sets the variables NAME=VALUE of a file, except those that are set already. A missing file is no error.
func readEnvFile(name string) error {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if !ok {
			return fmt.Errorf("%s:%d: want NAME=VALUE", name, n)
		}
		key, value = strings.TrimSpace(key), strings.Trim(strings.TrimSpace(value), `"'`)
		if _, set := os.LookupEnv(key); !set {
			if err := os.Setenv(key, value); err != nil {
				return fmt.Errorf("%s:%d: %w", name, n, err)
			}
		}
	}
	return lines.Err()
}
