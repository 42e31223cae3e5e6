package gateway

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// payJSON is the JSON of Pay. Its merchant is a text, or a Merchant.
type payJSON[M any] struct {
	Merchant   M      `json:"merchant"`
	NotifyTo   string `json:"notify_to"`
	NotifySync bool   `json:"notify_sync"`
}

// shapeOf returns a pointer to the type that the JSON of a Pay is for.
func (*Pay) shapeOf(data []byte) any {
	var given payJSON[json.RawMessage]
	if json.Unmarshal(data, &given) == nil && bytes.HasPrefix(given.Merchant, []byte("{")) {
		return new(payJSON[Merchant])
	}
	return new(payJSON[string])
}

// UnmarshalJSON reads a Pay, whose merchant is a name or a mapping of keys.
func (p *Pay) UnmarshalJSON(data []byte) error {
	shape := p.shapeOf(data)
	if err := json.Unmarshal(data, shape); err != nil {
		return err
	}
	switch s := shape.(type) {
	case *payJSON[string]:
		*p = Pay{Merchant: s.Merchant, NotifyTo: s.NotifyTo, NotifySync: s.NotifySync}
	case *payJSON[Merchant]:
		*p = Pay{Own: &s.Merchant, NotifyTo: s.NotifyTo, NotifySync: s.NotifySync}
	}
	return nil
}

// MarshalJSON encodes p in the form that UnmarshalJSON reads, with stars in place of secrets.
func (p Pay) MarshalJSON() ([]byte, error) {
	if p.Own != nil {
		return json.Marshal(payJSON[Merchant]{*p.Own, p.NotifyTo, p.NotifySync})
	}
	return json.Marshal(payJSON[string]{p.Merchant, p.NotifyTo, p.NotifySync})
}

// withOwnMerchants returns c with the merchants that apps have in place of a name, under the names of their apps.
func (c Config) withOwnMerchants() (Config, error) {
	apps, merchants := maps.Clone(c.Apps), maps.Clone(c.Merchants)
	for _, name := range slices.Sorted(maps.Keys(c.Apps)) {
		a := c.Apps[name]
		if a.Pay == nil || a.Pay.Own == nil {
			continue
		}
		at := "apps." + name + ".pay.merchant"
		if a.Pay.Merchant != "" {
			return c, fmt.Errorf("gateway: config: %s: want a name or keys, not both", at)
		}
		if _, taken := c.Merchants[name]; taken {
			return c, fmt.Errorf("gateway: config: %s: merchants has one named %s, too: want its name here, or another name there", at, name)
		}
		if merchants == nil {
			merchants = make(map[string]Merchant)
		}
		own, p := *a.Pay.Own, *a.Pay
		own.at = at
		p.Merchant, p.Own = name, nil
		merchants[name], a.Pay = own, &p
		apps[name] = a
	}
	c.Apps, c.Merchants = apps, merchants
	return c, nil
}

// path returns the path in the configuration of the merchant with a name.
func (m Merchant) path(name string) string { return cmp.Or(m.at, "merchants."+name) }
