package admin

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/wetoken/wetoken/cmd/server/internal/stores"
	"github.com/wetoken/wetoken/gateway"
)

const maxAnswer = 4096 // bytes

// Init writes the configuration of a new server, and makes the tables of its stores.
type Init struct {
	Config, Env string // the files that are written

	publicURL, store, records answer
	name, appID, kind         answer
	yes                       bool // asks nothing
}

// answer is the value of a flag, or the answer to a question in its place.
type answer struct {
	value string
	given bool
}

func (a *answer) Set(value string) error {
	a.value, a.given = value, true
	return nil
}

func (a *answer) String() string { return a.value }

// ParseInit parses the flags of the command. It prints them for -h.
func ParseInit(args []string, stderr io.Writer) (*Init, error) {
	i := new(Init)
	f := flag.NewFlagSet("server init", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&i.Config, "config", "wetoken.yaml", "configuration file to write")
	f.StringVar(&i.Env, "env", "", "file to write the secrets to, for the environment of the server (default the configuration file's name with .env)")
	f.Var(&i.publicURL, "public-url", "base URL that WeChat and browsers see, such as https://wx.example.com")
	f.Var(&i.store, "store", "URL of the shared store")
	f.Var(&i.records, "records", "URL of the durable store")
	f.Var(&i.name, "app", "name of a first app")
	f.Var(&i.appID, "app-id", "its appid; its secret is asked for, or comes from the environment variable APP_SECRET")
	f.Var(&i.kind, "app-kind", "its kind: official, mini, website or work")
	f.BoolVar(&i.yes, "yes", false, "ask nothing, and take the defaults")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "server init [flags]")
			f.SetOutput(stderr)
			f.PrintDefaults()
		}
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("init: invalid argument %q: want flags", f.Arg(0))
	}
	if i.Env == "" {
		i.Env = strings.TrimSuffix(i.Config, filepath.Ext(i.Config)) + ".env"
	}
	if i.Config == i.Env {
		return nil, errors.New("init: -config and -env are the same file")
	}
	return i, nil
}

// Run asks what the flags do not have, and writes the files, once the stores that they name can be used. parse parses a
// configuration file. It prints no secret.
func (i *Init) Run(ctx context.Context, stdin io.Reader, stdout io.Writer, parse func([]byte) (gateway.Config, error)) error {
	if err := i.run(ctx, stdin, stdout, parse); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	return nil
}

func (i *Init) run(ctx context.Context, stdin io.Reader, stdout io.Writer, parse func([]byte) (gateway.Config, error)) error {
	for _, name := range []string{i.Config, i.Env} {
		if _, err := os.Lstat(name); err == nil {
			return fmt.Errorf("%s exists, and is not overwritten", name)
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if _, ok := os.LookupEnv("WETOKEN_MASTER_KEYS"); ok {
		return errors.New("WETOKEN_MASTER_KEYS is set, and a new one is made: unset it")
	}
	n, err := i.ask(bufio.NewReader(stdin), stdout)
	if err != nil {
		return err
	}
	config := n.yaml() // adds variables
	for _, v := range n.env {
		if err := os.Setenv(v.name, v.value); err != nil {
			return fmt.Errorf("%s: invalid value", v.name)
		}
	}
	c, err := parse([]byte(config))
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	env, err := n.envFile()
	if err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	if err := prepare(ctx, c); err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	if err := writeNew(i.Env, env, 0o600); err != nil {
		return err
	}
	if err := writeNew(i.Config, config, 0o644); err != nil {
		return errors.Join(err, os.Remove(i.Env))
	}
	fmt.Fprintf(stdout, "%s: written, without secrets\n%s: written, with the master key and all other secrets: keep a copy in a safe place, since nothing can be read without it\nstores: their tables exist\n\nstart the server:\n\n  set -a; . %s; set +a\n  server -config %s\n",
		i.Config, i.Env, shellWord(absolute(i.Env)), shellWord(absolute(i.Config)))
	return nil
}

// prepare makes the tables of the stores, which must be empty.
func prepare(ctx context.Context, c gateway.Config) error {
	opened, err := stores.Open(c)
	if err != nil {
		return err
	}
	defer opened.Close()
	ctx, cancel := context.WithTimeout(ctx, maxMigrateTime)
	defer cancel()
	if err := opened.CheckDurable(ctx); err != nil {
		return err
	}
	return opened.Each(func(o *stores.Store) error {
		if o.Migrate != nil {
			if err := o.Migrate(ctx); err != nil {
				return fmt.Errorf("%s: %w", o.Name, err)
			}
		}
		for _, err := range o.Raw.Keys(ctx, "") {
			if err != nil {
				return fmt.Errorf("%s: %w", o.Name, err)
			}
			return fmt.Errorf("%s: has values of another server: use its configuration and its WETOKEN_MASTER_KEYS, or another store", o.Name)
		}
		return nil
	})
}

// writeNew writes a file that does not exist.
func writeNew(name, text string, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = cmp.Or(err, f.Sync()); err != nil {
		f.Close()
		return errors.Join(err, os.Remove(name))
	}
	return f.Close()
}

// ask returns the answers, by flags or questions.
func (i *Init) ask(in *bufio.Reader, out io.Writer) (*newServer, error) {
	dir := filepath.Dir(absolute(i.Config))
	n := &newServer{envName: filepath.Base(i.Env)}
	n.secret("WETOKEN_MASTER_KEYS", newMasterKey())
	n.secret("ADMIN_KEY", rand.Text())
	var err error
	one := func(a *answer, question, def string) string {
		if err == nil && !a.given {
			a.value, err = i.question(in, out, question, def)
		}
		return a.value
	}
	n.publicURL = one(&i.publicURL, "Base URL that WeChat and browsers see, such as https://wx.example.com; empty for none yet", "")
	n.store = one(&i.store, "URL of the shared store: sqlite:FILE, redis://, mysql://, postgres:// or oracle://", "sqlite:"+filepath.Join(dir, "wetoken.db"))
	def := n.store
	if strings.HasPrefix(n.store, "redis") || strings.HasPrefix(n.store, "memory") {
		def = "sqlite:" + filepath.Join(dir, "records.db")
	}
	n.records = one(&i.records, "URL of the store of what must not be lost", def)
	n.appID = one(&i.appID, "Appid of a first app; empty for none yet", "")
	if n.appID == "" || err != nil {
		if err == nil && (i.name.given || i.kind.given) {
			err = errors.New("-app and -app-kind need -app-id")
		}
		return n, err
	}
	n.app = one(&i.name, "Its name, in the URLs of callers", "main")
	n.kind = one(&i.kind, "Its kind: official, mini, website or work", "official")
	secret := answer{value: os.Getenv("APP_SECRET"), given: os.Getenv("APP_SECRET") != ""}
	if i.yes && !secret.given {
		return nil, errors.New("APP_SECRET: must be set in the environment, for -app-id with -yes")
	}
	n.secret("APP_SECRET", one(&secret, "Its secret (it is shown as you type)", ""))
	return n, err
}

// question asks one question, and returns the answer or its default.
func (i *Init) question(in *bufio.Reader, out io.Writer, text, def string) (string, error) {
	if i.yes {
		return def, nil
	}
	if def == "" {
		fmt.Fprintf(out, "%s: ", text)
	} else {
		fmt.Fprintf(out, "%s [%s]: ", text, hideUser(def))
	}
	line, err := readLine(in)
	if err != nil {
		fmt.Fprintln(out)
		return "", fmt.Errorf("no answer (%w): give the answers as flags, with -yes", err)
	}
	return cmp.Or(line, def), nil
}

func readLine(in *bufio.Reader) (string, error) {
	var line []byte
	for {
		b, err := in.ReadByte()
		switch {
		case err == io.EOF && len(line) > 0, err == nil && b == '\n':
			return strings.TrimSpace(string(line)), nil
		case err != nil:
			return "", err
		case len(line) == maxAnswer:
			return "", errors.New("it is too long")
		}
		line = append(line, b)
	}
}

func newMasterKey() string {
	key := make([]byte, 32)
	rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}

func absolute(name string) string {
	full, err := filepath.Abs(name)
	if err != nil {
		return name
	}
	return full
}

// hideUser returns a URL of a store without a user, a password and parameters.
func hideUser(url string) string {
	url, query, _ := strings.Cut(url, "?")
	if query != "" {
		url += "?…"
	}
	scheme, rest, ok := strings.Cut(url, "://")
	if at := strings.LastIndex(rest, "@"); ok && at >= 0 {
		return scheme + "://…@" + rest[at+1:]
	}
	return url
}
