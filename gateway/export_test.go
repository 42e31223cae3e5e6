package gateway

// Decode reads JSON into a part of the configuration.
var Decode = decode

// May reports whether the caller of a key may do scope with app.
func May(k Key, app, scope string) bool {
	c, _ := newCaller(k, map[string]App{app: {}})
	return c.may(app, scope)
}

// Replace has g serve the apps and callers of c from now on, of which the apps under kept are those it serves now.
func Replace(g *Gateway, c Config, kept ...string) error {
	all, err := newCallers(c.Keys, c.Apps)
	if err != nil {
		return err
	}
	var apps []*app
	for _, name := range kept {
		apps = append(apps, g.served.Load().named[name])
	}
	for name, a := range c.Apps {
		if !has(kept, name) {
			apps = append(apps, g.newApp(name, a))
		}
	}
	next, err := newSnapshot(apps, all)
	if err == nil {
		g.swap(next)
	}
	return err
}
