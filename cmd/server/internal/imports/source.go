// Package imports reads the apps and merchants of the systems that a server replaces, and registers them.
package imports

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/gateway"
)

// Limits of a source, which may be anything.
const (
	maxRows  = 100_000
	maxValue = 1024    // characters of a value
	maxFile  = 1 << 20 // bytes of a configuration file, and of a certificate

	maxReadTime = time.Minute // of a whole source
)

// Source is what an old system holds.
type Source struct {
	Merchants []Merchant
	Apps      []App
	Notes     []string // on the source as a whole
}

// Merchant is a merchant as it would be registered.
type Merchant struct {
	From     string
	Name     string
	Settings gateway.Merchant
	AppID    string // of one of its apps

	Skip  string
	Err   error
	Notes []string
}

// App is an app as it would be registered.
type App struct {
	From     string // its place in the source
	Name     string
	Settings gateway.App
	Named    bool   // Name is the old system's, and part of its routes, so that one appid may have several
	PayOnly  bool   // only its pay is known: the app with its appid must be registered
	Unpaid   string // its merchant, by which the old system itself took no payments

	Skip  string   // why it is left out, if it is
	Err   error    // why it cannot be registered, if that is known already
	Notes []string // on what is lost
}

// Change renames apps and merchants, and leaves some out. Its names are those that they would have otherwise.
type Change struct {
	Rename map[string]string
	Skip   []string
}

// apply makes the changes.
func (c Change) apply(s *Source) error {
	found, skipped := make(map[string]bool), make(map[string]bool)
	edit := func(name, skip *string, notes *[]string) {
		from := *name
		found[from] = true
		if slices.Contains(c.Skip, from) {
			*skip = "by -skip"
		}
		if to, ok := c.Rename[from]; ok {
			*name = to
			*notes = append(*notes, fmt.Sprintf("was called %q", from))
		}
	}
	for i := range s.Merchants {
		m := &s.Merchants[i]
		edit(&m.Name, &m.Skip, &m.Notes)
		if m.Skip != "" {
			skipped[m.Name] = true
		}
	}
	for i := range s.Apps {
		a := &s.Apps[i]
		edit(&a.Name, &a.Skip, &a.Notes)
		a.movePay(c, skipped)
		a.noteUnpaid(c, skipped)
	}
	for from := range c.Rename {
		if !found[from] {
			return fmt.Errorf("-rename: nothing would be called %q", from)
		}
	}
	for _, name := range c.Skip {
		if !found[name] {
			return fmt.Errorf("-skip: nothing would be called %q", name)
		}
	}
	return nil
}

// movePay has the app's pay follow its merchant.
func (a *App) movePay(c Change, skipped map[string]bool) {
	p := a.Settings.Pay
	if p == nil {
		return
	}
	if to, ok := c.Rename[p.Merchant]; ok {
		a.Settings.Pay = &gateway.Pay{Merchant: to, NotifyTo: p.NotifyTo}
	}
	if !skipped[a.Settings.Pay.Merchant] {
		return
	}
	a.Notes = append(a.Notes, fmt.Sprintf("pay is left out, since merchant %q is", a.Settings.Pay.Merchant))
	a.Settings.Pay = nil
	if a.PayOnly {
		a.Skip = "its merchant is skipped"
	}
}

// noteUnpaid says how to take payments by the merchant of an app without pay.
func (a *App) noteUnpaid(c Change, skipped map[string]bool) {
	name := a.Unpaid
	if to, ok := c.Rename[name]; ok {
		name = to
	}
	if name != "" && !skipped[name] {
		a.Notes = append(a.Notes, fmt.Sprintf("set pay.merchant to %q for payments here, which the old system did not take itself", name))
	}
}

// nameOf returns the name of an app that has none in its old system.
func nameOf(appID string) string { return "app-" + strings.TrimPrefix(appID, "wx") }

// checkRow returns an error for a row that can be no app.
func checkRow(row row, appID, secret string) error {
	for name, value := range row {
		if len([]rune(value)) > maxValue {
			return fmt.Errorf("%s has more than %d characters", name, maxValue)
		}
		if strings.ContainsRune(value, '\uFFFD') {
			return fmt.Errorf("%s is not UTF-8", name)
		}
	}
	switch {
	case row[appID] == "":
		return fmt.Errorf("%s is empty", appID)
	case row[secret] == "":
		return fmt.Errorf("%s is empty", secret)
	}
	return nil
}

const aesKeyLength = 43

// setMessage sets the callbacks of an app. What cannot be used is left out, and noted.
func (a *App) setMessage(token, aesKey string) {
	switch {
	case token == "" && aesKey == "":
	case token == "":
		a.Notes = append(a.Notes, "its aes key is left out, since it has no token: set message for callbacks")
	case aesKey != "" && len(aesKey) != aesKeyLength:
		a.Notes = append(a.Notes, fmt.Sprintf("message is left out: its aes key has %d characters in place of %d, as the old column cuts it off: set message.token and message.aes_key for callbacks", len(aesKey), aesKeyLength))
	default:
		a.Settings.Message = &gateway.Message{Token: token, AESKey: aesKey}
	}
}

var errUnreadable = errors.New("cannot be read")

// unreadable returns an error for a source that is not what it is said to be.
func unreadable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errUnreadable, fmt.Errorf(format, args...))
}
