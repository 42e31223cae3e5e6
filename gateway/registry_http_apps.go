package gateway

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/wetoken/wetoken/internal/answer"
)

// appsOverHTTP returns the registry of apps for registryRoutes.
func (g *Gateway) appsOverHTTP() registryOverHTTP {
	apps := g.Apps()
	return registryOverHTTP{
		plural:    "apps",
		fileNames: func() []string { return slices.Sorted(maps.Keys(g.fileApps)) },
		get: func(ctx context.Context, name string) (registration, error) {
			a, err := apps.Get(ctx, name)
			return showApp(a), err
		},
		page: func(ctx context.Context, after string, limit int) (list []registration, next string, err error) {
			found, next, err := apps.Page(ctx, after, limit)
			for _, a := range found {
				list = append(list, showApp(a))
			}
			return list, next, err
		},
		put: func(r *http.Request, name string, body []byte, revision string) (registration, bool, map[string]any, error) {
			verify, extra := noVerify, map[string]any(nil)
			v := &verifier{apps: apps}
			switch wanted := r.URL.Query().Get("verify"); cmp.Or(wanted, "0") {
			case "0", "false":
			case "1", "true":
				verify = func(c App) error { return v.verify(r.Context(), c) }
			default:
				return registration{}, false, nil, &SettingError{"verify", "want 1 or 0"}
			}
			stored, created, err := apps.putJSON(r.Context(), name, body, revision, verify)
			if v.asked != [4]string{} {
				extra = map[string]any{"verify": int(v.code)}
			}
			return showApp(stored), created, extra, err
		},
		remove: apps.Delete,
	}
}

func showApp(a RegisteredApp) registration {
	return registration{a.Name, a.Revision, maskedTree(a.App)}
}

// appRoutes are the routes of apps alone:
//
//	POST /apps/{name}/rename {"to":"…"}   200, as GET /apps/{to}
func (g *Gateway) appRoutes() routeMap {
	return routeMap{"POST /apps/{name}/rename": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		revision, ok := readCondition(w, r)
		if !ok {
			return
		}
		var in struct {
			To string `json:"to"`
		}
		body, ok := readAdminBody(w, r)
		if !ok {
			return
		}
		if err := decodeExactly(body, &in); err != nil || in.To == "" {
			reason := `want {"to":"NAME"}`
			if err != nil {
				reason += ": " + err.Error()
			}
			answer.Refuse(w, http.StatusBadRequest, reason)
			return
		}
		a, err := g.Apps().Rename(r.Context(), r.PathValue("name"), in.To, revision)
		g.replyRegistration(w, r, http.StatusOK, showApp(a), nil, err)
	})}
}

// merchantsOverHTTP returns the registry of merchants for registryRoutes.
func (g *Gateway) merchantsOverHTTP() registryOverHTTP {
	merchants := g.Merchants()
	return registryOverHTTP{
		plural:    "merchants",
		fileNames: func() []string { return slices.Sorted(maps.Keys(g.merchants)) },
		get: func(ctx context.Context, name string) (registration, error) {
			m, err := merchants.Get(ctx, name)
			return showMerchant(m), err
		},
		page: func(ctx context.Context, after string, limit int) (list []registration, next string, err error) {
			found, next, err := merchants.Page(ctx, after, limit)
			for _, m := range found {
				list = append(list, showMerchant(m))
			}
			return list, next, err
		},
		put: func(r *http.Request, name string, body []byte, revision string) (registration, bool, map[string]any, error) {
			if r.URL.Query().Has("verify") {
				return registration{}, false, nil, &SettingError{"verify", "must be unset: the keys of a merchant are checked without WeChat"}
			}
			m, created, err := merchants.putJSON(r.Context(), name, body, revision)
			return showMerchant(m), created, nil, err
		},
		remove: merchants.Delete,
	}
}

func showMerchant(m RegisteredMerchant) registration {
	return registration{m.Name, m.Revision, maskedTree(m.Merchant)}
}
