package gateway

import (
	"bytes"
	"context"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/internal/answer"
)

const (
	registryPage    = 100 // registrations of a page, unless limit is given
	maxRegistryPage = 1000
)

// registration is an app or a merchant as the routes show it.
type registration struct {
	name, revision string
	settings       map[string]any // without secrets
}

// registryOverHTTP is a registry as its routes use it.
type registryOverHTTP struct {
	plural    string // apps
	fileNames func() []string
	get       func(ctx context.Context, name string) (registration, error)
	page      func(ctx context.Context, after string, limit int) (list []registration, next string, err error)
	put       func(r *http.Request, name string, body []byte, revision string) (stored registration, created bool, extra map[string]any, err error)
	remove    func(ctx context.Context, name, revision string) error
}

// registryRoutes are the routes of a registry, here of apps:
//
//	GET    /apps          {"apps":{"shop":{…}},"next":"…"}
//	GET    /apps/{name}   {…}, with ETag
//	PUT    /apps/{name}   200, or 201 for a new one
//	DELETE /apps/{name}   204
func (g *Gateway) registryRoutes(of registryOverHTTP) routeMap {
	path := "/" + of.plural
	return routeMap{
		"GET " + path: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.listRegistrations(w, r, of) }),
		"GET " + path + "/{name}": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			found, err := of.get(r.Context(), r.PathValue("name"))
			g.replyRegistration(w, r, http.StatusOK, found, nil, err)
		}),
		"PUT " + path + "/{name}": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.putRegistration(w, r, of) }),
		"DELETE " + path + "/{name}": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			revision, ok := readCondition(w, r)
			if !ok {
				return
			}
			if err := of.remove(r.Context(), r.PathValue("name"), revision); err != nil {
				g.refuseAdminCall(w, r, err)
				return
			}
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusNoContent)
		}),
	}
}

// Positions of a page: after a name of the configuration, or after the id of a registration.
const (
	afterFile       = "file/"
	afterRegistered = "registered/"
)

// listRegistrations lists those of the configuration by name, and then those that are registered.
func (g *Gateway) listRegistrations(w http.ResponseWriter, r *http.Request, of registryOverHTTP) {
	limit, ok := readLimit(w, r, registryPage, maxRegistryPage)
	if !ok {
		return
	}
	position := r.URL.Query().Get("next")
	after, inRegistry := strings.CutPrefix(position, afterRegistered)
	if !inRegistry && position != "" && !strings.HasPrefix(position, afterFile) {
		answer.Refuse(w, http.StatusBadRequest, "next: want the next of an earlier page")
		return
	}
	list, next, err := make(map[string]any), "", error(nil)
	inFile := of.fileNames()
	if !inRegistry {
		after = ""
		for _, name := range inFile {
			if position != "" && afterFile+name <= position {
				continue
			}
			if len(list) == limit {
				break
			}
			found, err := of.get(r.Context(), name)
			if err != nil {
				g.refuseAdminCall(w, r, err)
				return
			}
			list[name], next = found.settings, afterFile+name
		}
		if len(list) < limit {
			next = ""
		}
	}
	if next == "" {
		var registered []registration
		registered, next, err = of.page(r.Context(), after, limit-len(list))
		if err != nil {
			g.refuseAdminCall(w, r, err)
			return
		}
		for _, found := range registered {
			if _, taken := slices.BinarySearch(inFile, found.name); !taken { // one of the configuration is served in its place
				list[found.name] = found.settings
			}
		}
		if next != "" {
			next = afterRegistered + next
		}
	}
	reply := map[string]any{of.plural: list}
	if next != "" {
		reply["next"] = next
	}
	replyJSON(w, http.StatusOK, reply)
}

func (g *Gateway) putRegistration(w http.ResponseWriter, r *http.Request, of registryOverHTTP) {
	revision, ok := readCondition(w, r)
	if !ok {
		return
	}
	body, ok := readAdminBody(w, r)
	if !ok {
		return
	}
	if isForm(r, body) {
		answer.Refuse(w, http.StatusUnsupportedMediaType, "the body is a form: want a JSON object")
		return
	}
	stored, created, extra, err := of.put(r, r.PathValue("name"), body, revision)
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	g.replyRegistration(w, r, status, stored, extra, err)
}

// isForm reports whether a body is that of a form. curl -d sends JSON with the type of a form, too.
func isForm(r *http.Request, body []byte) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return (kind == "application/x-www-form-urlencoded" || kind == "multipart/form-data") && !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{"))
}

// replyRegistration replies with a registration, without its secrets, and with further fields.
func (g *Gateway) replyRegistration(w http.ResponseWriter, r *http.Request, status int, found registration, extra map[string]any, err error) {
	if err != nil {
		g.refuseAdminCall(w, r, err)
		return
	}
	if found.revision != "" {
		w.Header().Set("ETag", `"`+found.revision+`"`)
	}
	maps.Copy(found.settings, extra)
	replyJSON(w, status, found.settings)
}

// readCondition returns the revision that If-Match or If-None-Match demands, or "".
func readCondition(w http.ResponseWriter, r *http.Request) (revision string, ok bool) {
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	switch {
	case match == "" && none == "":
		return "", true
	case match == "" && none == "*":
		return NoRevision, true
	case none != "":
		answer.Refuse(w, http.StatusBadRequest, "If-None-Match: want * alone, for a new registration")
		return "", false
	case match == "*":
		return AnyRevision, true
	}
	revision, ok = strings.CutPrefix(match, `"`)
	revision, closed := strings.CutSuffix(revision, `"`)
	if !ok || !closed || revision == "" || strings.ContainsAny(revision, `",*-`) {
		answer.Refuse(w, http.StatusBadRequest, `If-Match: want one ETag such as "ABC", or *`)
		return "", false
	}
	return revision, true
}
