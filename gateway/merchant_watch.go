package gateway

import (
	"context"
	"crypto/x509"
	"slices"
	"time"
)

const (
	readKeysInterval = time.Minute
	warnDays         = 30 // a certificate that expires in fewer days is logged as a warning
)

// watchMerchants reads changed key files, and logs daily the days until each certificate expires, until ctx ends.
func (g *Gateway) watchMerchants(ctx context.Context) {
	tick := time.NewTicker(readKeysInterval)
	defer tick.Stop()
	logged := time.Time{}
	failed := make(map[string]string) // the logged error of each merchant
	for {
		if now := time.Now(); now.Sub(logged) >= 24*time.Hour {
			logged = now
			g.logCertificates(ctx, now)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for name, m := range g.merchants {
			if err := g.reread(ctx, m); err == nil {
				delete(failed, name)
			} else if failed[name] != err.Error() {
				failed[name] = err.Error()
				g.log.ErrorContext(ctx, "keys of a merchant cannot be read: the old keys stay in use", "merchant", name, "error", err)
			}
		}
	}
}

// reread reads the keys of a merchant again, and uses them if they are valid.
func (g *Gateway) reread(ctx context.Context, m *merchant) error {
	keys, err := m.read(g.decodeP12)
	if err != nil || keys.digest == m.keys.Load().digest {
		return err
	}
	if err := m.checkCertificates(keys); err != nil {
		return err
	}
	if err := m.check(keys, g); err != nil {
		return err
	}
	m.keys.Store(keys)
	g.log.InfoContext(ctx, "the keys of a merchant have changed", "merchant", m.name)
	return nil
}

// maxCertificateLines is the number of certificates of registered merchants that are logged in a day.
const maxCertificateLines = 100

// namedCertificate is a certificate of a merchant.
type namedCertificate struct {
	merchant string
	*x509.Certificate
}

// certificates returns the certificates of a merchant.
func (m *merchant) certificates() (list []namedCertificate) {
	keys := m.keys.Load()
	if c := keys.v3.Certificate; c != nil {
		list = append(list, namedCertificate{m.name, c})
	}
	if c := keys.v2.Certificate.Leaf; c != nil && !c.Equal(keys.v3.Certificate) {
		list = append(list, namedCertificate{m.name, c})
	}
	return list
}

// logCertificates logs the days until each certificate of the configuration expires, and until the first of the registered
// merchants do that this process holds.
func (g *Gateway) logCertificates(ctx context.Context, now time.Time) {
	for _, m := range g.merchants {
		for _, c := range m.certificates() {
			g.logCertificate(ctx, c.merchant, c.Certificate, now)
		}
	}
	if g.registered == nil {
		return
	}
	var all []namedCertificate
	for _, m := range g.registered.merchants.values() {
		all = append(all, m.certificates()...)
	}
	slices.SortFunc(all, func(a, b namedCertificate) int { return a.NotAfter.Compare(b.NotAfter) })
	for i, c := range all {
		if i == maxCertificateLines {
			g.log.InfoContext(ctx, "API certificates of more registered merchants expire later", "count", len(all)-i, "until", c.NotAfter.Format(time.DateOnly))
			return
		}
		g.logCertificate(ctx, c.merchant, c.Certificate, now)
	}
}

func (g *Gateway) logCertificate(ctx context.Context, name string, c *x509.Certificate, now time.Time) {
	days := int(c.NotAfter.Sub(now).Hours() / 24)
	log := g.log.InfoContext
	if days < warnDays {
		log = g.log.WarnContext
	}
	log(ctx, "days until the API certificate of a merchant expires", "merchant", name, "days", days, "until", c.NotAfter.Format(time.DateOnly))
}
