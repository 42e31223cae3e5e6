package imports

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechat"
)

func isWork(a *App) bool { return a.Settings.Kind == wechat.Work }

// compareMerchant decides on a merchant by what is registered.
func (s *Step) compareMerchant(ctx context.Context, r Registry) error {
	have, err := r.Merchants.Get(ctx, s.Name)
	switch {
	case err == nil:
		s.compareWith("", have.InFile, differences(s.merchant.Settings, have.Merchant))
		return nil
	case !errors.Is(err, gateway.ErrNotRegistered):
		return err
	}
	return s.judge(r.Merchants.Check(ctx, s.Name, s.merchant.Settings), s.merchant.Settings)
}

// compareApp decides on an app by what is registered. merchants are those that are registered before it.
func (s *Step) compareApp(ctx context.Context, r Registry, merchants map[string]gateway.Merchant) error {
	if s.app.PayOnly {
		return s.comparePay(ctx, r, merchants)
	}
	have, err := r.Apps.Get(ctx, s.Name)
	switch {
	case err == nil:
		s.compareWith("", have.InFile, differences(s.app.Settings, have.App))
		return nil
	case !errors.Is(err, gateway.ErrNotRegistered):
		return err
	}
	if !isWork(s.app) {
		others, err := r.Apps.WithAppID(ctx, s.app.Settings.AppID)
		if err != nil {
			return err
		}
		for _, other := range others {
			if !s.app.Named {
				s.compareWith(other.Name, other.InFile, differences(s.app.Settings, other.App))
				return nil
			}
			if other.App.Secret != s.app.Settings.Secret {
				s.conflict(fmt.Sprintf("its appid is registered as %q with another secret", other.Name))
				return nil
			}
			if other.Name != s.Name {
				s.Notes = append(s.Notes, fmt.Sprintf("its appid is registered as %q too, so that routes by appid serve neither: rename that one to %q, or use names", other.Name, s.Name))
			}
		}
	}
	return s.judge(r.Apps.Check(ctx, s.Name, s.app.Settings, merchants), s.app.Settings)
}

// comparePay decides on the pay of an app that must be registered.
func (s *Step) comparePay(ctx context.Context, r Registry, merchants map[string]gateway.Merchant) error {
	list, err := r.Apps.WithAppID(ctx, s.app.Settings.AppID)
	if err != nil {
		return err
	}
	switch {
	case len(list) == 0:
		s.conflict(fmt.Sprintf("no app is registered with appid %q, and wechat-payment does not have its secret: import or register the app first", s.app.Settings.AppID))
		return nil
	case len(list) > 1:
		s.conflict(fmt.Sprintf("several apps are registered with appid %q: set pay of one of them, and add -skip %q", s.app.Settings.AppID, s.Name))
		return nil
	}
	have := list[0]
	s.Name = have.Name
	want := gateway.App{Pay: s.app.Settings.Pay}
	if have.App.Pay != nil || have.InFile {
		keys := differences(want, have.App)
		if have.App.Pay == nil {
			keys = []string{"pay"}
		}
		s.compareWith("", have.InFile, keys)
		return nil
	}
	s.registered = have
	changed := have.App
	changed.Pay = want.Pay
	if err := s.judge(r.Apps.Check(ctx, have.Name, changed, merchants), want); err != nil || s.State == Conflict {
		return err
	}
	s.State = Changed
	return nil
}

// compareWith decides on what is registered, maybe under another name, by the keys that differ.
func (s *Step) compareWith(other string, inFile bool, keys []string) {
	where := ""
	if other != "" {
		where = fmt.Sprintf(" as %q", other)
	}
	if inFile {
		where += " in the configuration file"
	}
	if len(keys) > 0 {
		s.conflict("is registered" + where + " with other settings: " + strings.Join(keys, ", "))
		return
	}
	s.State, s.Text = Unchanged, "is registered"+where
}

// explain returns the text of an error about a setting.
func (s *Step) explain(err *gateway.SettingError) string {
	text := strings.TrimPrefix(err.Error(), "gateway: ")
	text = strings.TrimPrefix(text, "apps."+s.Name+".")
	if _, reason, ok := strings.Cut(text, "invalid name"); ok {
		return "invalid name" + reason + ": choose one with -rename, and have clients use it"
	}
	return text
}
