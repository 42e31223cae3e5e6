package imports

import (
	"context"
	"errors"
	"fmt"

	"github.com/wetoken/wetoken/gateway"
)

// State is what becomes of an app or a merchant.
type State string

// The states.
const (
	New       State = "new"
	Changed   State = "changed" // a registered app that gets its pay
	Unchanged State = "unchanged"
	Skipped   State = "skipped"
	Conflict  State = "conflict"
)

// Step is what a plan does with an app or a merchant.
type Step struct {
	Kind, Name, From string // Kind is app or merchant
	State            State
	Text             string // why, or the settings with secrets masked
	Notes            []string

	app      *App // one of both
	merchant *Merchant

	registered gateway.RegisteredApp // the one that is changed
}

func (s *Step) conflict(text string) { s.State, s.Text = Conflict, text }

// Registry is where a plan registers apps and merchants.
type Registry struct {
	Apps      *gateway.Apps
	Merchants *gateway.Merchants
}

// Plan is what an import does: first with the merchants, which the apps need.
type Plan struct {
	Steps []*Step

	registry Registry
}

// Count returns the number of steps in a state.
func (p *Plan) Count(s State) (n int) {
	for _, step := range p.Steps {
		if step.State == s {
			n++
		}
	}
	return n
}

// NewPlan compares a source with what is registered. It writes nothing. Its error is one of the records, or of c.
func NewPlan(ctx context.Context, s *Source, c Change, r Registry) (*Plan, error) {
	if err := c.apply(s); err != nil {
		return nil, err
	}
	p := &Plan{registry: r}
	merchants := make(map[string]gateway.Merchant)
	for i := range s.Merchants {
		m := &s.Merchants[i]
		p.Steps = append(p.Steps, &Step{Kind: "merchant", Name: m.Name, From: m.From, Notes: m.Notes, merchant: m})
		merchants[m.Name] = m.Settings
	}
	for i := range s.Apps {
		a := &s.Apps[i]
		p.Steps = append(p.Steps, &Step{Kind: "app", Name: a.Name, From: a.From, Notes: a.Notes, app: a})
	}
	p.checkRows()
	for _, step := range p.Steps {
		if step.State != "" {
			continue
		}
		compare := step.compareMerchant
		if step.app != nil {
			compare = func(ctx context.Context, r Registry) error { return step.compareApp(ctx, r, merchants) }
		}
		if err := compare(ctx, r); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// checkRows finds the rows that cannot be registered whatever the registry has.
func (p *Plan) checkRows() {
	named, byID := make(map[string]*Step), make(map[string]*Step)
	for _, step := range p.Steps {
		skip, settings, err := step.row()
		switch {
		case skip != "":
			step.State, step.Text = Skipped, skip
			continue
		case err != nil:
			step.conflict(err.Error())
			continue
		}
		other := named[step.Kind+" "+step.Name]
		if other == nil {
			named[step.Kind+" "+step.Name] = step
			step.compareSecrets(byID)
			continue
		}
		if _, others, _ := other.row(); equalSettings(settings, others) {
			step.State, step.Text = Skipped, "is in the source twice, with the same settings"
			continue
		}
		step.conflict("has the name of another one in the source with other settings: " + other.From)
		other.conflict("has the name of another one in the source with other settings: " + step.From)
	}
}

// row returns why a step is skipped or impossible, and its settings.
func (s *Step) row() (skip string, settings any, err error) {
	if s.merchant != nil {
		return s.merchant.Skip, s.merchant.Settings, s.merchant.Err
	}
	return s.app.Skip, s.app.Settings, s.app.Err
}

// compareSecrets finds an app that has another secret than one with its appid. A corp has an app for each of its agents.
func (s *Step) compareSecrets(byID map[string]*Step) {
	if s.app == nil || s.app.PayOnly || isWork(s.app) {
		return
	}
	other := byID[s.app.Settings.AppID]
	if other == nil {
		byID[s.app.Settings.AppID] = s
		return
	}
	if s.app.Settings.Secret != other.app.Settings.Secret {
		s.conflict("has another secret than the same appid elsewhere in the source: " + other.From)
		other.conflict("has another secret than the same appid elsewhere in the source: " + s.From)
	}
}

// Write registers what is new. An import that ends early continues when it is run again.
func (p *Plan) Write(ctx context.Context) error {
	for _, step := range p.Steps {
		var err error
		switch {
		case step.State != New && step.State != Changed:
			continue
		case step.merchant != nil:
			_, err = p.registry.Merchants.Put(ctx, step.Name, step.merchant.Settings, gateway.NoRevision)
		case step.State == Changed:
			app := step.registered.App
			app.Pay = step.app.Settings.Pay
			_, err = p.registry.Apps.Put(ctx, step.Name, app, step.registered.Revision)
		default:
			_, err = p.registry.Apps.Add(ctx, step.Name, step.app.Settings)
		}
		if err != nil {
			return fmt.Errorf("%s %q: %w", step.Kind, step.Name, err)
		}
	}
	return nil
}

// judge decides on something new by the error of a check, and returns an error of the records.
func (s *Step) judge(err error, settings any) error {
	var wrong *gateway.SettingError
	switch {
	case err == nil:
		s.State, s.Text = New, describe(settings)
	case errors.As(err, &wrong):
		s.conflict(s.explain(wrong))
	case errors.Is(err, gateway.ErrTaken):
		s.conflict("its name, id or number belongs to another one, or did in the last 30 days: choose another name with -rename")
	case errors.Is(err, gateway.ErrInFile):
		s.conflict("the configuration file has its id or number under another name: give it that name with -rename")
	default:
		return err
	}
	return nil
}
