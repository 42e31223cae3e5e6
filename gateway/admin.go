package gateway

import (
	"context"
	"errors"
	"maps"
	"net/http"

	"github.com/wetoken/wetoken/internal/answer"
)

// adminRoutes are the routes of the registries, for callers with the scope admin for all apps.
func (g *Gateway) adminRoutes() routeMap {
	all := make(routeMap)
	for _, part := range []routeMap{g.registryRoutes(g.appsOverHTTP()), g.appRoutes(), g.registryRoutes(g.merchantsOverHTTP()), g.keyRoutes(), g.auditRoutes()} {
		maps.Copy(all, part)
	}
	for pattern, h := range all {
		all[pattern] = g.guardAdmin(h)
	}
	return all
}

type (
	adminKey        struct{}
	adminAddressKey struct{}
)

// guardAdmin serves callers that have the scope admin for all apps, and refuses all others. It passes the caller on to next.
func (g *Gateway) guardAdmin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := g.findCaller(r)
		if err != nil {
			refuseCaller(w, err)
			return
		}
		if !c.allApps || !c.hasScope("admin") {
			answer.Refuse(w, http.StatusForbidden, `this key has no scope admin for all apps ("*")`)
			g.auditRefusal(r, c, "", "no scope admin for all apps")
			return
		}
		ctx := context.WithValue(context.WithValue(r.Context(), adminKey{}, c), adminAddressKey{}, r.RemoteAddr)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// refusalStatus returns the status of a change that was refused, or 0 for any other error.
func refusalStatus(err error) int {
	switch {
	case errors.As(err, new(*SettingError)):
		return http.StatusBadRequest
	case errors.As(err, new(*VerifyError)):
		return http.StatusBadGateway
	case errors.Is(err, ErrNotRegistered):
		return http.StatusNotFound
	case errors.Is(err, ErrStale):
		return http.StatusPreconditionFailed
	case errors.Is(err, ErrInFile), errors.Is(err, ErrTaken), errors.Is(err, ErrUnsealed), errors.As(err, new(*UnfinishedError)), errors.As(err, new(*InUseError)), errors.Is(err, errMerchantGone):
		return http.StatusConflict
	}
	return 0
}

// refuseAdminCall replies to a call of an administrator that failed.
func (g *Gateway) refuseAdminCall(w http.ResponseWriter, r *http.Request, err error) {
	status := refusalStatus(err)
	switch {
	case errors.As(err, new(*VerifyError)):
		answer.Failure(w, err)
		return
	case status != 0:
	case isUnreadable(err):
		status = http.StatusInternalServerError
	default:
		if !isReported(err) {
			g.log.WarnContext(r.Context(), "the records cannot be used for an administrator", "error", err)
		}
		w.Header().Set("Retry-After", "2")
		answer.Refuse(w, http.StatusServiceUnavailable, errRecordsAway.Error())
		return
	}
	answer.Refuse(w, status, err.Error())
}

// registrationEvent is the event of changes of apps and merchants.
const registrationEvent = "registration"

// auditChange records a change that was made, or may have been. One that was refused changed nothing.
func (g *Gateway) auditChange(ctx context.Context, event string, err error, args ...any) {
	result := "ok"
	if err != nil {
		if refusalStatus(err) != 0 {
			return
		}
		result = "failed"
	}
	args = append(args, "caller", actorOf(ctx), "result", result)
	if from, ok := ctx.Value(adminAddressKey{}).(string); ok {
		args = append(args, "from", from)
	}
	g.audit(ctx, event, args...)
}

type actorKey struct{}

// WithActor returns a context in which [Audits] name who makes changes, such as "root on host1"; default "the program".
func WithActor(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, actorKey{}, name)
}

// actorOf returns the name of who makes changes: the caller that guardAdmin has admitted, or that of WithActor.
func actorOf(ctx context.Context) string {
	if c, ok := ctx.Value(adminKey{}).(*caller); ok {
		return c.id
	}
	if name, ok := ctx.Value(actorKey{}).(string); ok {
		return name
	}
	return "the program"
}
