package gateway

// Decode reads JSON into a part of the configuration.
var Decode = decode

// May reports whether the caller of a key may do scope with app.
func May(k Key, app, scope string) bool {
	return (&caller{apps: k.Apps, scopes: k.Scopes}).may(app, scope)
}
