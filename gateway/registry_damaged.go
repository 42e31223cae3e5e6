package gateway

import (
	"context"
	"errors"

	"github.com/wetoken/wetoken/internal/registry"
)

// idOfName returns the id that an entry with a name has by default.
func idOfName(kind registry.Kind, name string) string {
	if kind == keyKind {
		return idOfKey(name)
	}
	return name
}

// discardUnreadable removes the registration that a name or, without an index, an id leads to, if its record cannot be read. Otherwise
// it returns failed, the error of removing it as usual. check is for one of a later release, which that release still serves; nil
// checks nothing. A damaged one is served by no release, and removed in any case: what relies on it waits for another one. It returns
// the id of what it has removed.
func (g *Gateway) discardUnreadable(ctx context.Context, kind registry.Kind, name, revision string, failed error, check func(id string) error) (removed string, err error) {
	if g.registered == nil || !isUnreadable(failed) && !errors.Is(failed, ErrNotRegistered) {
		return "", failed
	}
	id, reason, err := g.registered.FindUnreadable(ctx, kind, name, idOfName(kind, name))
	switch {
	case err != nil:
		return "", err
	case reason == nil:
		return "", failed
	case revision != "" && revision != AnyRevision:
		return "", ErrStale
	}
	if errors.Is(reason, registry.ErrNewer) && check != nil {
		if err := check(id); err != nil {
			return "", err
		}
	}
	err = g.registered.Discard(ctx, kind, name, id)
	g.registered.applyChanges(registry.Ref{Kind: kind, ID: id})
	if err != nil {
		return "", err
	}
	g.log.WarnContext(ctx, "a registration that could not be read was removed", "kind", string(kind), "name", name, "id", id, "error", reason)
	return id, nil
}

// reportUnfinished logs the payments of an app that was removed although they are not finished.
func (g *Gateway) reportUnfinished(ctx context.Context, id, name string) {
	_ = waitClosing(ctx)
	if err := g.checkUnfinished(context.WithoutCancel(ctx), id, name, nil); err != nil {
		g.log.ErrorContext(ctx, "the payments of an app that could not be read wait until it is registered again with its id and merchant", "app", name, "id", id, "error", err)
	}
}
