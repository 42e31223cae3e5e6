package gateway

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
)

// Compat configures the routes of the older systems that a gateway replaces. Package compat serves them; New checks Compat, and
// mounts nothing.
type Compat struct {
	Systems []string `json:"systems"` // wetoken, accesstoken, payment, proxy; default none

	// JSONRPC is the address to serve accesstoken's JSON-RPC on, such as 127.0.0.1:8000; default it is not served. cmd/server listens
	// there.
	JSONRPC string `json:"jsonrpc"`

	// Open lists the systems whose routes need no key and no secret, for a private network where old clients send none. Routes that
	// register an app or refund need a key nevertheless.
	Open []string `json:"open"`

	Create   bool `json:"create"`   // serve wetoken's /wechat/app/create, for keys with the scope admin
	Examples bool `json:"examples"` // serve proxy's /echo and example pages, to everybody
}

// The older systems.
const (
	CompatWetoken     = "wetoken"     // micro-plat/wetoken
	CompatAccessToken = "accesstoken" // windsome/wechat-accesstoken
	CompatPayment     = "payment"     // windsome/wechat-payment
	CompatProxy       = "proxy"       // aiportal/wechat-proxy
)

var compatSystems = []string{CompatWetoken, CompatAccessToken, CompatPayment, CompatProxy}

// Has reports whether the routes of a system are served.
func (c Compat) Has(system string) bool { return slices.Contains(c.Systems, system) }

// IsOpen reports whether the routes of a system need no key.
func (c Compat) IsOpen(system string) bool { return slices.Contains(c.Open, system) }

// check returns an error that begins with the key of the first setting that cannot be served.
func (c Compat) check() error {
	for i, system := range c.Systems {
		switch {
		case !slices.Contains(compatSystems, system):
			return fmt.Errorf("systems[%d]: unknown system: want %s", i, strings.Join(compatSystems, ", "))
		case slices.Contains(c.Systems[:i], system):
			return fmt.Errorf("systems[%d]: %s is listed twice", i, system)
		}
	}
	for i, system := range c.Open {
		if !c.Has(system) {
			return fmt.Errorf("open[%d]: want one of systems", i)
		}
	}
	if c.Create && !c.Has(CompatWetoken) {
		return errors.New("create: needs wetoken in systems")
	}
	if c.Examples && !c.Has(CompatProxy) {
		return errors.New("examples: needs proxy in systems")
	}
	if c.JSONRPC == "" {
		return nil
	}
	if !c.Has(CompatAccessToken) {
		return errors.New("jsonrpc: needs accesstoken in systems")
	}
	if _, port, err := net.SplitHostPort(c.JSONRPC); err != nil || port == "" {
		return errors.New("jsonrpc: want an address to listen on such as 127.0.0.1:8000 or :8000")
	}
	return nil
}
