package gateway

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/answer"
)

const (
	auditPage     = 100         // entries of GET /audit, unless limit is given
	exportTimeout = time.Minute // of a page of an export
	linesType     = "application/x-ndjson"
)

// auditRoutes serve the record of who did what:
//
//	GET /audit?app=&caller=&since=&next=&limit=    {"entries":[…],"next":"…"}, the newest first
//	GET /audit?format=jsonl                        all entries, one on each line
func (g *Gateway) auditRoutes() routeMap {
	return routeMap{"GET /audit": http.HandlerFunc(g.serveAudit)}
}

func (g *Gateway) serveAudit(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := AuditFilter{App: q.Get("app"), Caller: q.Get("caller")}
	if since := q.Get("since"); since != "" {
		var err error
		if f.Since, err = time.Parse(time.RFC3339, since); err != nil {
			answer.Refuse(w, http.StatusBadRequest, "since: want a time such as 2027-01-01T00:00:00Z (write + as %2B)")
			return
		}
	}
	switch format := q.Get("format"); {
	case format == "jsonl", format == "" && acceptsLines(r):
		g.exportAudit(w, r, f)
		return
	case format != "" && format != "json":
		answer.Refuse(w, http.StatusBadRequest, "format: want json or jsonl")
		return
	}
	limit, ok := readLimit(w, r, auditPage, auditPageLimit)
	if !ok {
		return
	}
	list, next, err := g.Audits().Page(r.Context(), f, q.Get("next"), limit)
	if err != nil {
		g.refuseAdminCall(w, r, err)
		return
	}
	if list == nil {
		list = []AuditEntry{}
	}
	replyJSON(w, http.StatusOK, struct {
		Entries []AuditEntry `json:"entries"`
		Next    string       `json:"next,omitempty"`
	}{list, next})
}

func acceptsLines(r *http.Request) bool {
	for _, accepted := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		if kind, _, err := mime.ParseMediaType(accepted); err == nil && kind == linesType {
			return true
		}
	}
	return false
}

// exportAudit replies with one entry on each line. If the records cannot be read any more, the reply is incomplete, and its client
// sees that.
func (g *Gateway) exportAudit(w http.ResponseWriter, r *http.Request, f AuditFilter) {
	control := http.NewResponseController(w)
	for next, begun := "", false; ; begun = true {
		list, after, err := g.Audits().Page(r.Context(), f, next, auditPageLimit)
		switch {
		case err != nil && !begun:
			g.refuseAdminCall(w, r, err)
			return
		case err != nil:
			if !isReported(err) && r.Context().Err() == nil {
				g.log.WarnContext(r.Context(), "an export of the audit is incomplete", "error", err)
			}
			panic(http.ErrAbortHandler)
		case !begun:
			w.Header().Set("Content-Type", linesType)
			w.Header().Set("Cache-Control", "no-store")
		}
		_ = control.SetWriteDeadline(time.Now().Add(exportTimeout)) // fails without a connection, as in tests
		for _, e := range list {
			line, err := json.Marshal(e)
			if err == nil {
				_, err = w.Write(append(line, '\n'))
			}
			if err != nil {
				return // the client has gone
			}
		}
		_ = control.Flush()
		if next = after; next == "" {
			return
		}
	}
}
