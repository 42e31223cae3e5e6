package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/wetoken/wetoken/cmd/server/internal/admin"
)

// settings are the flags, or the environment's word for them.
type settings struct {
	command                        string // serve when empty
	config, public, private, store string
	admin                          admin.Options
	demo, fresh                    bool
	logLevel                       slog.Level

	opened map[string]net.Listener // by address, of the demo
}

// errHelp ends the program after its usage was printed.
var errHelp = flag.ErrHelp

func parseSettings(args []string, stderr io.Writer) (s settings, err error) {
	f := flag.NewFlagSet("server", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&s.config, "config", "", "configuration file, in YAML")
	f.BoolVar(&s.demo, "demo", false, "serve an app of a WeChat played in this process")
	f.BoolVar(&s.fresh, "fresh", false, "with -demo: make a new app, secret and key at each start")
	f.StringVar(&s.public, "public", "127.0.0.1:8080", "address for WeChat and browsers")
	f.StringVar(&s.private, "private", "127.0.0.1:8081", "address for our own services")
	f.StringVar(&s.store, "store", "", "URL of the shared store, in place of the file's (default memory:)")
	f.BoolVar(&s.admin.Plaintext, "plaintext", false, "with seal: seal what was stored before there were master keys, too")
	f.BoolVar(&s.admin.Mixed, "mixed", false, "with seal -plaintext: do so in a store that holds sealed values, too")
	f.TextVar(&s.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	f.VisitAll(func(g *flag.Flag) {
		if value, ok := os.LookupEnv("WETOKEN_" + strings.ToUpper(strings.ReplaceAll(g.Name, "-", "_"))); ok && err == nil {
			if e := f.Set(g.Name, value); e != nil {
				err = fmt.Errorf("WETOKEN_%s: %w", strings.ToUpper(strings.ReplaceAll(g.Name, "-", "_")), e)
			}
		}
	})
	if err != nil {
		return s, err
	}
	if len(args) > 0 && admin.Has(args[0]) {
		s.command, args = args[0], args[1:]
	}
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "server [migrate|seal] [flags]")
			f.SetOutput(stderr)
			f.PrintDefaults()
		}
		return s, err
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("%q is no flag, and no command before the flags; commands are migrate and seal", f.Arg(0))
	}
	f.Visit(func(g *flag.Flag) {
		if g.Name == "store" && s.store == "" {
			err = errors.New("-store (or WETOKEN_STORE): is empty: set it, or leave it out")
		}
	})
	if err != nil {
		return s, err
	}
	if s.demo && s.config != "" {
		return s, errors.New("-demo and -config (or WETOKEN_DEMO and WETOKEN_CONFIG) are both set: choose one, as the demo has a configuration of its own")
	}
	if s.fresh && !s.demo {
		return s, errors.New("-fresh (or WETOKEN_FRESH) is for -demo")
	}
	if s.admin.Plaintext && s.command != "seal" {
		return s, errors.New("-plaintext is for the command seal")
	}
	if s.admin.Mixed && !s.admin.Plaintext {
		return s, errors.New("-mixed is for the command seal with -plaintext")
	}
	if s.command != "" && s.config == "" && s.store == "" {
		return s, errors.New("-config FILE or -store URL is needed")
	}
	if s.command == "" && !s.demo && s.config == "" {
		return s, errors.New("-config FILE is needed, with apps and keys in it; or try -demo")
	}
	if s.command == "" {
		return s, cmp.Or(checkAddress("public", s.public), checkAddress("private", s.private))
	}
	return s, nil
}

func checkAddress(flag, address string) error {
	if _, err := portOf(address); err != nil {
		return fmt.Errorf("-%s (or WETOKEN_%s): want an address to listen on such as 127.0.0.1:8080 or :8080, not %q", flag, strings.ToUpper(flag), address)
	}
	return nil
}

// together tells whether both sides stand on one address. Port 0 is another port each time.
func (s settings) together() bool {
	port, err := portOf(s.public)
	return err == nil && port != 0 && s.public == s.private
}

// listen listens on an address, unless the demo does already.
func (s settings) listen(address string) (net.Listener, error) {
	if l := s.opened[address]; l != nil {
		return l, nil
	}
	return net.Listen("tcp", address)
}

func portOf(address string) (int, error) {
	_, port, err := net.SplitHostPort(address)
	if err == nil && port == "" {
		err = errors.New("no port")
	}
	if err != nil {
		return 0, err
	}
	return net.LookupPort("tcp", port)
}
