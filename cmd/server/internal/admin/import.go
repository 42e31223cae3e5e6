package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/cmd/server/internal/imports"
	"github.com/wetoken/wetoken/cmd/server/internal/stores"
	"github.com/wetoken/wetoken/gateway"
)

// ErrConflict is returned after the conflicts of an import were printed.
var ErrConflict = errors.New("import: nothing was written")

// Import registers the apps and merchants of an older system.
type Import struct {
	System string
	Source string // a URL as of a store, a file, or env:NAME for the environment variable that has either
	Flags  ImportFlags

	DecodeP12 imports.DecodeP12
}

// ImportFlags are the flags of the command import.
type ImportFlags struct {
	DryRun, Verify bool
	Change         imports.Change
}

// Rename adds a new name, as OLD=NEW.
func (f *ImportFlags) Rename(text string) error {
	from, to, ok := strings.Cut(text, "=")
	if !ok || from == "" || to == "" {
		return errors.New("want OLD=NEW")
	}
	if f.Change.Rename == nil {
		f.Change.Rename = make(map[string]string)
	}
	if _, twice := f.Change.Rename[from]; twice {
		return fmt.Errorf("%q is renamed twice", from)
	}
	f.Change.Rename[from] = to
	return nil
}

// Skip leaves out an app or a merchant.
func (f *ImportFlags) Skip(name string) error {
	f.Change.Skip = append(f.Change.Skip, name)
	return nil
}

// Used reports whether a flag is set.
func (f *ImportFlags) Used() bool {
	return f.DryRun || f.Verify || len(f.Change.Rename) > 0 || len(f.Change.Skip) > 0
}

// readers read the sources, by system.
var readers = map[string]func(*Import, context.Context) (*imports.Source, error){
	"wetoken":     (*Import).readWetoken,
	"proxy":       (*Import).readProxy,
	"accesstoken": (*Import).readAccessToken,
	"payment":     (*Import).readPayment,
}

// Check returns an error unless i is a command.
func (i *Import) Check() error {
	if readers[i.System] == nil || i.Source == "" {
		return fmt.Errorf("import: want import SYSTEM SOURCE, where SYSTEM is %s", strings.Join(slices.Sorted(maps.Keys(readers)), ", "))
	}
	return nil
}

// Run registers what the source has, in the records of g, and prints what it does. It writes nothing if there is a conflict.
func (i *Import) Run(ctx context.Context, g *gateway.Gateway, stdout io.Writer) error {
	if name, ok := strings.CutPrefix(i.Source, "env:"); ok {
		if i.Source = os.Getenv(name); i.Source == "" {
			return fmt.Errorf("import: the environment variable %s is empty", name)
		}
	}
	source, err := readers[i.System](i, ctx)
	if err != nil {
		return fmt.Errorf("import: %s: %w", i.System, err)
	}
	p, err := imports.NewPlan(ctx, source, i.Flags.Change, imports.Registry{Apps: g.Apps(), Merchants: g.Merchants()})
	if err != nil {
		return fmt.Errorf("import: %w", stores.Explain(err))
	}
	if i.Flags.Verify {
		p.Verify(ctx)
	}
	i.print(stdout, source, p)
	switch {
	case p.Count(imports.Conflict) > 0:
		fmt.Fprintln(stdout, "nothing was written, because of the conflicts")
		return ErrConflict
	case i.Flags.DryRun:
		fmt.Fprintln(stdout, "nothing was written: -dry-run")
		return nil
	}
	if err := p.Write(gateway.WithActor(ctx, userName())); err != nil {
		return fmt.Errorf("import: ended early, and continues when it is run again: %w", stores.Explain(err))
	}
	return nil
}

// print prints what the plan does.
func (i *Import) print(w io.Writer, source *imports.Source, p *imports.Plan) {
	for _, s := range p.Steps {
		fmt.Fprintf(w, "%s: %s %q: %s\n", s.State, s.Kind, s.Name, s.Text)
		if s.State == imports.Conflict {
			fmt.Fprintf(w, "  found in %s\n", s.From)
		}
		for _, note := range s.Notes {
			fmt.Fprintf(w, "  note: %s\n", note)
		}
	}
	for _, note := range source.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	fmt.Fprintf(w, "%d new, %d changed, %d unchanged, %d skipped, %d conflicts\n",
		p.Count(imports.New), p.Count(imports.Changed), p.Count(imports.Unchanged), p.Count(imports.Skipped), p.Count(imports.Conflict))
}

func (i *Import) readWetoken(ctx context.Context) (*imports.Source, error) {
	kind, db, err := stores.OpenDatabase(i.Source, "mysql", "oracle")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return imports.ReadWetoken(ctx, kind, db)
}

func (i *Import) readProxy(ctx context.Context) (*imports.Source, error) {
	return imports.ReadProxy(ctx, strings.TrimPrefix(i.Source, "sqlite:"))
}

func (i *Import) readAccessToken(ctx context.Context) (*imports.Source, error) {
	if strings.HasPrefix(i.Source, "redis") && strings.Contains(i.Source, "://") {
		return imports.ReadAccessTokenRedis(ctx, i.Source)
	}
	return imports.ReadAccessTokenFile(ctx, i.Source)
}

func (i *Import) readPayment(context.Context) (*imports.Source, error) {
	return imports.ReadPayment(i.Source, i.DecodeP12)
}
