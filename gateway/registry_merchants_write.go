package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/wetoken/wetoken/internal/registry"
)

// change replaces a merchant, after the checks that the configuration passes. created reports whether the name was free.
func (m *Merchants) change(ctx context.Context, name, revision string, change func(old *Merchant) (Merchant, error)) (r RegisteredMerchant, created bool, err error) {
	if err := checkAppName(name); err != nil {
		return RegisteredMerchant{}, false, &SettingError{Reason: err.Error()}
	}
	r, err = m.write(ctx, name, func(old *registry.Entry) (*registry.Entry, error) {
		if err := checkRevision(old, revision); err != nil {
			return nil, err
		}
		var before *Merchant
		if old != nil {
			r, err := readRegisteredMerchant(old)
			if err != nil {
				return nil, err
			}
			before = &r.Merchant
		}
		created = old == nil
		next, err := change(before)
		if err != nil {
			return nil, err
		}
		return m.newEntry(name, old, next)
	})
	m.gateway.auditChange(ctx, registrationEvent, err, "action", "put", "merchant", name)
	return r, created, err
}

// newEntry returns the entry of a merchant. Its id is the number, so that two merchants cannot have the same one.
func (m *Merchants) newEntry(name string, old *registry.Entry, c Merchant) (*registry.Entry, error) {
	if err := c.checkRegistered(name, m.gateway); err != nil {
		return nil, err
	}
	id := c.MchID
	if c.SubMchID != "" {
		id += "." + c.SubMchID
	}
	if old != nil && old.ID != id {
		return nil, &SettingError{"mch_id", "a merchant keeps its mch_id and sub_mch_id: register another one"}
	}
	for _, other := range m.gateway.merchants {
		if other.config.MchID == c.MchID && other.config.SubMchID == c.SubMchID {
			return nil, fmt.Errorf("%w: merchant %q there has the same mch_id", ErrInFile, other.name)
		}
	}
	settings, err := encodePlain(c)
	if err != nil {
		return nil, fmt.Errorf("gateway: register a merchant: %w", err)
	}
	return &registry.Entry{ID: id, Name: name, Settings: settings}, nil
}

// checkRegistered checks a merchant as the configuration is checked, and that it names no files.
func (m Merchant) checkRegistered(name string, g *Gateway) error {
	if key := m.fileSetting(); key != "" {
		return &SettingError{key, "must be unset: want the text of the file, in PEM, in the setting without _file"}
	}
	if v3, v2 := m.V3, m.V2; v3 != nil && v3.CertPassword != "" || v2 != nil && v2.CertPassword != "" {
		return &SettingError{Reason: "cert_password: must be unset: it is for p12 files, and keys are registered as texts in PEM"}
	}
	err := m.check()
	if err == nil {
		_, err = newMerchant(name, m, g, true)
	}
	if err != nil { // the settings that are named have no _file here
		key, reason, _ := strings.Cut(strings.ReplaceAll(err.Error(), "_file", ""), ": ")
		return &SettingError{key, reason}
	}
	return nil
}

// fileSetting returns the key of a setting that names a file, or "".
func (m Merchant) fileSetting() string {
	if v := m.V3; v != nil {
		switch {
		case v.CertFile != "":
			return "v3.cert_file"
		case v.PrivateKeyFile != "":
			return "v3.private_key_file"
		case v.PublicKeyFile != "":
			return "v3.public_key_file"
		}
	}
	if v := m.V2; v != nil {
		switch {
		case v.CertFile != "":
			return "v2.cert_file"
		case v.PrivateKeyFile != "":
			return "v2.private_key_file"
		}
	}
	return ""
}

// write changes an entry, and has this process see the change at once.
func (m *Merchants) write(ctx context.Context, name string, change func(*registry.Entry) (*registry.Entry, error)) (RegisteredMerchant, error) {
	if _, ok := m.gateway.merchants[name]; ok {
		return RegisteredMerchant{}, ErrInFile
	}
	e, err := m.gateway.writeEntry(ctx, merchantKind, name, change)
	if errors.Is(err, registry.ErrIDTaken) {
		return RegisteredMerchant{}, fmt.Errorf("%w: another merchant has this mch_id and sub_mch_id", ErrTaken)
	}
	if err != nil || e == nil {
		return RegisteredMerchant{}, err
	}
	return readRegisteredMerchant(e)
}

// readRegisteredMerchant returns the merchant of an entry.
func readRegisteredMerchant(e *registry.Entry) (r RegisteredMerchant, err error) {
	r = RegisteredMerchant{Name: e.Name, Revision: e.Revision}
	if err := decodeExactly(e.Settings, &r.Merchant); err != nil {
		return RegisteredMerchant{}, &unreadableError{fmt.Errorf("gateway: the registration of merchant %q cannot be read by this release: %w", e.Name, err)}
	}
	return r, nil
}
