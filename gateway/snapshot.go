package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/wetoken/wetoken/oauth"
)

// snapshot is what a gateway serves at a time. It does not change: another one takes its place.
type snapshot struct {
	apps    map[string]*app // by id
	named   map[string]*app // by name, and by appid where one app alone has it
	callers callers
	files   func() *http.ServeMux // verification files of all apps

	replaced chan struct{} // is closed once another snapshot is served
}

// newSnapshot returns a snapshot of apps and callers. Apps that an earlier one has go on with their rooms.
func newSnapshot(apps []*app, callers callers) (*snapshot, error) {
	s := &snapshot{apps: make(map[string]*app, len(apps)), named: make(map[string]*app, 2*len(apps)), callers: callers, replaced: make(chan struct{})}
	files := make(oauth.VerifyFiles)
	for _, a := range apps {
		if other := s.apps[a.id]; other != nil {
			return nil, fmt.Errorf("gateway: the apps %q and %q have one id", other.name, a.name)
		}
		if other := s.named[a.name]; other != nil {
			return nil, fmt.Errorf("gateway: two apps have the name %q", a.name)
		}
		if err := addVerifyFiles(files, a.name, a.verifyFiles); err != nil {
			return nil, err
		}
		s.apps[a.id], s.named[a.name] = a, a
	}
	s.files = mux(files)
	byAppID := make(map[string][]*app, len(apps))
	for _, a := range apps {
		byAppID[a.appID] = append(byAppID[a.appID], a)
	}
	for id, list := range byAppID {
		if _, taken := s.named[id]; !taken && len(list) == 1 {
			s.named[id] = list[0]
		}
	}
	return s, nil
}

// find returns the app that a request's path names, unless its registration has ended or does not allow the route, with
// the name and the rest of the path.
func (s *snapshot) find(r *http.Request) (a *app, name, route string) {
	name, route, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/app/"), "/")
	a = s.named[name]
	if a != nil && (a.expired() || !a.allows(route)) {
		a = nil
	}
	return a, name, "/" + route
}

// missing returns the reason why no app serves the route.
func (s *snapshot) missing(name, route string) string {
	a := s.named[name]
	if a == nil {
		for _, other := range s.apps {
			if other.appID == name {
				return fmt.Sprintf("there are several apps with the appid %.100q: want the name of one", name)
			}
		}
		return fmt.Sprintf("there is no app %.100q", name)
	}
	if a.expired() {
		return fmt.Sprintf("the registration of app %q has ended", a.name)
	}
	return fmt.Sprintf("app %q does not allow %.100q: see its setting allow", a.name, route)
}

// swap serves next, which is new, from now on. Requests under way finish on the snapshot that they began with, and the
// background work of apps that next does not have ends with the renewal or delivery under way.
func (g *Gateway) swap(next *snapshot) { close(g.served.Swap(next).replaced) }

type pinned struct{}

// pin has a request served from one snapshot, whatever is served by its end.
func (g *Gateway) pin(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), pinned{}, g.served.Load())))
	})
}

// pinnedTo returns the snapshot that a request is served from.
func pinnedTo(r *http.Request) *snapshot { return r.Context().Value(pinned{}).(*snapshot) }
