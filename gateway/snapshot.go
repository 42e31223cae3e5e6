package gateway

import (
	"context"
	"fmt"
	"net/http"

	"github.com/wetoken/wetoken/oauth"
)

// snapshot is the set of apps and callers that a gateway serves. It does not change: another one replaces it.
type snapshot struct {
	apps    map[string]*app // by id
	named   map[string]*app // by name, and by appid unless several apps have it
	shared  map[string]bool // appids that several apps have
	callers callers
	files   func() *http.ServeMux // verification files of all apps

	replaced chan struct{} // closed once another snapshot is current
}

// newSnapshot returns a snapshot of apps and callers. Apps of an earlier snapshot keep their handlers.
func newSnapshot(apps []*app, callers callers) (*snapshot, error) {
	s := &snapshot{apps: make(map[string]*app, len(apps)), named: make(map[string]*app, 2*len(apps)), shared: make(map[string]bool), callers: callers, replaced: make(chan struct{})}
	files := make(oauth.VerifyFiles)
	for _, a := range apps {
		if other := s.apps[a.id]; other != nil {
			return nil, fmt.Errorf("gateway: the apps %q and %q have the same id", other.name, a.name)
		}
		if other := s.named[a.name]; other != nil {
			return nil, fmt.Errorf("gateway: two apps have the name %q", a.name)
		}
		if err := addVerifyFiles(files, a.name, a.verifyFiles); err != nil {
			return nil, err
		}
		s.apps[a.id], s.named[a.name] = a, a
	}
	s.files = newMux(files)
	byAppID := make(map[string][]*app, len(apps))
	for _, a := range apps {
		byAppID[a.appID] = append(byAppID[a.appID], a)
	}
	for id, list := range byAppID {
		if _, taken := s.named[id]; !taken && len(list) == 1 {
			s.named[id] = list[0]
		}
		if len(list) > 1 {
			s.shared[id] = true
		}
	}
	return s, nil
}

// isSharedAppID reports whether several apps have an appid, so that it names none of them.
func (s *snapshot) isSharedAppID(name string) bool { return s.named[name] == nil && s.shared[name] }

// explainMissing returns the reason why a name leads to no app.
func (s *snapshot) explainMissing(name string) string {
	if s.isSharedAppID(name) {
		return fmt.Sprintf("several apps have the appid %.100q: want the name of one", name)
	}
	return fmt.Sprintf("no app %.100q", name)
}

// replaceSnapshot serves next, which is new, from now on. Requests in progress finish on the snapshot that they began with.
// The background work of apps that next lacks ends with the renewal or delivery in progress.
func (g *Gateway) replaceSnapshot(next *snapshot) { close(g.served.Swap(next).replaced) }

type snapshotKey struct{}

// withSnapshot has each request served from the snapshot that is current when it comes.
func (g *Gateway) withSnapshot(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), snapshotKey{}, g.served.Load())))
	})
}

// snapshotOf returns the snapshot that a request is served from.
func snapshotOf(r *http.Request) *snapshot { return r.Context().Value(snapshotKey{}).(*snapshot) }

// snapshotIn returns the snapshot of the request that ctx belongs to, or else the current one.
func snapshotIn(ctx context.Context, g *Gateway) *snapshot {
	if s, ok := ctx.Value(snapshotKey{}).(*snapshot); ok {
		return s
	}
	return g.served.Load()
}
