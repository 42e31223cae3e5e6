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
	"slices"
	"strings"

	"github.com/wetoken/wetoken/cmd/server/internal/admin"
)

// settings are the flags, or the environment variables in place of them.
type settings struct {
	command                        string // empty: serve
	config, public, private, store string
	admin                          admin.Options
	outbox                         admin.Outbox
	imports                        admin.Import
	init                           *admin.Init
	key                            admin.Key
	platform                       admin.Platform
	demo, fresh                    bool
	logLevel                       slog.Level

	listeners map[string]net.Listener // by address; only the demo has any
}

// These commands work on the gateway, and not on a store.
const (
	outboxCommand = "outbox"
	importCommand = "import"
	keyCommand    = "key"

	platformCommand = "platform"
)

// initCommand makes the configuration that all others need.
const initCommand = "init"

// usesGateway reports whether the command works on the gateway.
func (s settings) usesGateway() bool {
	return s.command == outboxCommand || s.command == keyCommand || s.command == importCommand || s.command == platformCommand
}

// errHelp is returned after the usage was printed.
var errHelp = flag.ErrHelp

func parseSettings(args []string, stderr io.Writer) (s settings, err error) {
	if len(args) > 0 && args[0] == initCommand {
		s.command = initCommand
		s.init, err = admin.ParseInit(args[1:], stderr)
		return s, err
	}
	f := flag.NewFlagSet("server", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&s.config, "config", "", "configuration file, in YAML")
	f.BoolVar(&s.demo, "demo", false, "serve an app of a WeChat simulated in this process")
	f.BoolVar(&s.fresh, "fresh", false, "with -demo: make a new app, secret and key at each start")
	f.StringVar(&s.public, "public", "127.0.0.1:8080", "address for WeChat and browsers")
	f.StringVar(&s.private, "private", "127.0.0.1:8081", "address for our own services")
	f.StringVar(&s.store, "store", "", "URL of the shared store, in place of store in the file (default memory:)")
	f.BoolVar(&s.admin.Plaintext, "plaintext", false, "with seal: seal plaintext values too, which were stored without master keys")
	f.BoolVar(&s.admin.Mixed, "mixed", false, "with seal -plaintext: even in a store with sealed values")
	f.BoolVar(&s.imports.Flags.DryRun, "dry-run", false, "with import: write nothing")
	f.BoolVar(&s.imports.Flags.Verify, "verify", false, "with import: ask WeChat whether it knows the new apps and merchants")
	f.Func("rename", "with import: OLD=NEW calls what would be OLD otherwise NEW; can be repeated", s.imports.Flags.Rename)
	f.Func("skip", "with import: NAME leaves it out; can be repeated", s.imports.Flags.Skip)
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
	if len(args) > 0 && (args[0] == outboxCommand || args[0] == keyCommand || args[0] == platformCommand) && s.command == "" {
		words := 1
		for words < len(args) && words < 3 && !strings.HasPrefix(args[words], "-") {
			words++
		}
		s.command = args[0]
		verb, operand := strings.Join(args[min(1, words):min(2, words)], ""), strings.Join(args[min(2, words):words], "")
		args = args[words:]
		help := slices.ContainsFunc(args, func(a string) bool { return a == "-h" || a == "-help" || a == "--help" })
		if help && operand == "" && verb != "list" {
			operand = "NAME" // to list the flags
		}
		switch s.command {
		case outboxCommand:
			s.outbox = admin.Outbox{Verb: verb, Handle: operand}
			err = s.outbox.Check()
		case platformCommand:
			s.platform = admin.Platform{Verb: verb, Name: operand}
			err = s.platform.AddFlags(f)
		default:
			s.key = admin.Key{Verb: verb, Name: operand}
			err = s.key.AddFlags(f)
		}
		if err != nil && !help {
			return s, err
		}
	}
	if len(args) > 0 && args[0] == importCommand && s.command == "" {
		s.command = importCommand
		words := takeWords(args[1:], 2)
		args = args[1+len(words):]
		words = append(words, "", "")
		s.imports.System, s.imports.Source, s.imports.DecodeP12 = words[0], words[1], decodeP12
	}
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "server [init|migrate|seal|outbox list|outbox retry ID|outbox drop ID|key list|key create NAME|key rotate NAME|key revoke NAME|platform sync NAME|platform start-push NAME|import SYSTEM SOURCE] [flags]")
			f.SetOutput(stderr)
			f.PrintDefaults()
		}
		return s, err
	}
	if s.command == importCommand {
		if err := s.imports.Check(); err != nil {
			return s, err
		}
		if s.config == "" {
			return s, errors.New("import: -config FILE is needed, which names the records to register apps in")
		}
	} else if s.imports.Flags.Used() {
		return s, errors.New("-dry-run, -verify, -rename and -skip are for the command import")
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("invalid argument %q: want flags, or a command before them: init, migrate, seal, outbox, key, platform or import", f.Arg(0))
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
		return s, errors.New("-demo and -config (or WETOKEN_DEMO and WETOKEN_CONFIG) are both set: choose one, since the demo has its own configuration")
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
	if (s.command == keyCommand || s.command == platformCommand) && s.config == "" {
		return s, errors.New("-config FILE is needed, since it names the apps and the records")
	}
	if s.command == "" && !s.demo && s.config == "" {
		return s, errors.New("-config FILE is needed, with apps and keys in it; or try -demo")
	}
	if s.command == "" {
		return s, cmp.Or(checkAddress("public", s.public), checkAddress("private", s.private))
	}
	return s, nil
}

// takeWords returns the first arguments, at most n, that are no flags.
func takeWords(args []string, n int) []string {
	words := 0
	for words < min(n, len(args)) && !strings.HasPrefix(args[words], "-") {
		words++
	}
	return slices.Clone(args[:words])
}

func checkAddress(flag, address string) error {
	if _, err := portOf(address); err != nil {
		return fmt.Errorf("-%s (or WETOKEN_%s): invalid address %q: want one to listen on such as 127.0.0.1:8080 or :8080", flag, strings.ToUpper(flag), address)
	}
	return nil
}

// oneAddress reports whether both sides are served on one address. Port 0 is another port each time.
func (s settings) oneAddress() bool {
	port, err := portOf(s.public)
	return err == nil && port != 0 && s.public == s.private
}

// listen listens on an address, unless the demo does already.
func (s settings) listen(address string) (net.Listener, error) {
	if l := s.listeners[address]; l != nil {
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
