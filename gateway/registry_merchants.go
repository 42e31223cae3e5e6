package gateway

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/wetoken/wetoken/internal/registry"
)

const merchantKind registry.Kind = "merchant"

// maxNamedApps is the number of apps that an InUseError names.
const maxNamedApps = 10

// InUseError reports that a merchant cannot be removed, because apps take payments with it.
type InUseError struct {
	Merchant string
	Apps     []string // names of at most 10
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("gateway: merchant %q is used by the apps %s: delete them first, or their setting pay", e.Merchant, quoteAll(e.Apps))
}

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(quoted, ", ")
}

// Merchants registers merchants (商户) while a gateway runs. Every gateway with the same records uses them, and changed keys, within
// 2 seconds: calls that have begun end with the old keys. Merchants of the configuration are listed too, and cannot be changed.
// Its methods are safe for concurrent use.
//
// The keys of a merchant are texts in PEM: settings that name files are refused. A merchant keeps its mch_id and sub_mch_id, and its
// name.
type Merchants struct{ gateway *Gateway }

// RegisteredMerchant is a merchant as it is registered. It prints without its secrets.
type RegisteredMerchant struct {
	Name     string
	Merchant Merchant
	Revision string // changes with each change; empty for a merchant of the configuration
	InFile   bool   // it is part of the configuration
}

// Merchants returns the registry of merchants.
func (g *Gateway) Merchants() *Merchants { return &Merchants{g} }

// Get returns the merchant with a name, or ErrNotRegistered.
func (m *Merchants) Get(ctx context.Context, name string) (RegisteredMerchant, error) {
	if c, ok := m.gateway.merchants[name]; ok {
		return RegisteredMerchant{Name: name, Merchant: c.config, InFile: true}, nil
	}
	if m.gateway.registered == nil {
		return RegisteredMerchant{}, ErrNotRegistered
	}
	e, ok, err := m.gateway.registered.ByName(ctx, merchantKind, name)
	if err != nil {
		return RegisteredMerchant{}, err
	}
	if !ok {
		return RegisteredMerchant{}, ErrNotRegistered
	}
	return readRegisteredMerchant(e)
}

// All yields all merchants: those of the configuration, and those that are registered, in no order.
func (m *Merchants) All(ctx context.Context) iter.Seq2[RegisteredMerchant, error] {
	return func(yield func(RegisteredMerchant, error) bool) {
		for name, c := range m.gateway.merchants {
			if !yield(RegisteredMerchant{Name: name, Merchant: c.config, InFile: true}, nil) {
				return
			}
		}
		if m.gateway.registered == nil {
			return
		}
		for e, err := range m.gateway.registered.All(ctx, merchantKind) {
			var r RegisteredMerchant
			if err == nil {
				r, err = readRegisteredMerchant(e)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// Page returns at most limit registered merchants, in the order of their numbers, after the one that next of the page before
// names. next is for the next page, or "". It does not return merchants of the configuration. A record that cannot be read is
// reported in the log, and left out.
func (m *Merchants) Page(ctx context.Context, after string, limit int) (list []RegisteredMerchant, next string, err error) {
	if m.gateway.registered == nil {
		return nil, "", nil
	}
	ids, more, err := m.gateway.registered.Page(ctx, merchantKind, after, limit)
	if err != nil {
		return nil, "", err
	}
	for _, id := range ids {
		e, ok, err := m.gateway.registered.ByID(ctx, merchantKind, id)
		var r RegisteredMerchant
		if ok && err == nil {
			r, err = readRegisteredMerchant(e)
		}
		switch {
		case isUnreadable(err):
			m.gateway.reportUnreadable(ctx, merchantKind, err)
		case err != nil:
			return nil, "", err
		case ok:
			list = append(list, r)
		}
	}
	if more {
		next = ids[len(ids)-1]
	}
	return list, next, nil
}

// Put registers a merchant under a name, or replaces the one that has it. A revision that is not empty must be that of the merchant
// that is replaced.
func (m *Merchants) Put(ctx context.Context, name string, merchant Merchant, revision string) (RegisteredMerchant, error) {
	r, _, err := m.change(ctx, name, revision, func(*Merchant) (Merchant, error) { return merchant, nil })
	return r, err
}

// PutJSON is Put with the JSON of a merchant, of up to 1 MiB. A secret that is absent, or is ********, stays as it is. One that is
// null is removed.
func (m *Merchants) PutJSON(ctx context.Context, name string, body []byte, revision string) (RegisteredMerchant, error) {
	r, _, err := m.putJSON(ctx, name, body, revision)
	return r, err
}

// putJSON is PutJSON. It reports whether the name was free.
func (m *Merchants) putJSON(ctx context.Context, name string, body []byte, revision string) (r RegisteredMerchant, created bool, err error) {
	return m.change(ctx, name, revision, func(old *Merchant) (Merchant, error) { return mergeSettings(body, old) })
}

// Delete removes a merchant. It returns an [InUseError] if an app takes payments with it. A revision that is not empty must be that
// of the merchant.
func (m *Merchants) Delete(ctx context.Context, name, revision string) error {
	_, err := m.write(ctx, name, func(old *registry.Entry) (*registry.Entry, error) {
		if err := checkRevision(old, revision); err != nil {
			return nil, err
		}
		if old == nil {
			return nil, ErrNotRegistered
		}
		return nil, m.checkUnused(ctx, name)
	})
	_, err = m.gateway.discardUnreadable(ctx, merchantKind, name, revision, err, func(string) error { return m.checkUnused(ctx, name) })
	m.gateway.auditChange(ctx, registrationEvent, err, "action", "delete", "merchant", name)
	return err
}

// checkUnused returns an InUseError if apps take payments with the merchant that has a name.
func (m *Merchants) checkUnused(ctx context.Context, name string) error {
	users, err := m.gateway.registered.ByTerm(ctx, appKind, usesTerm(name), maxNamedApps)
	if err != nil || len(users) == 0 {
		return err
	}
	used := &InUseError{Merchant: name}
	for _, e := range users {
		used.Apps = append(used.Apps, e.Name)
	}
	return used
}
