package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/wetoken/wetoken/internal/answer"
)

const (
	keysPage    = 100 // keys of GET /keys, unless limit is given
	maxKeysPage = 1000
)

// keyRoutes register caller keys:
//
//	GET    /keys                  {"keys":[…],"next":"…"}, without the keys themselves
//	POST   /keys                  201 {"name":"…","key":"…"}
//	POST   /keys/{name}/rotate    {"name":"…","key":"…"}
//	DELETE /keys/{name}           204
func (g *Gateway) keyRoutes() routeMap {
	return routeMap{
		"GET /keys":                http.HandlerFunc(g.listKeys),
		"POST /keys":               http.HandlerFunc(g.createKey),
		"POST /keys/{name}/rotate": http.HandlerFunc(g.rotateKey),
		"DELETE /keys/{name}":      http.HandlerFunc(g.deleteKey),
	}
}

// keyView is a key as GET /keys lists it.
type keyView struct {
	Name          string    `json:"name"`
	ID            string    `json:"id,omitempty"`
	InFile        bool      `json:"in_file"`
	Apps          []string  `json:"apps"`
	Scopes        []string  `json:"scopes"`
	Paths         []string  `json:"paths,omitempty"`
	MaxFen        int64     `json:"max_fen,omitempty"`
	DayFen        int64     `json:"day_fen,omitempty"`
	ExpiresAt     time.Time `json:"expires_at,omitzero"`
	Addresses     []string  `json:"addresses,omitempty"`
	Rate          int       `json:"rate,omitempty"`
	CreatedAt     time.Time `json:"created_at,omitzero"`
	RotatedAt     time.Time `json:"rotated_at,omitzero"`
	PreviousUntil time.Time `json:"previous_until,omitzero"`
	UsedAt        time.Time `json:"used_at,omitzero"`
}

func viewOf(k RegisteredKey) keyView {
	s := k.Settings
	return keyView{
		Name: s.Name, ID: k.ID, InFile: k.InFile, Apps: s.Apps, Scopes: s.Scopes, Paths: s.Paths, MaxFen: s.MaxFen, DayFen: s.DayFen,
		ExpiresAt: s.ExpiresAt, Addresses: s.Addresses, Rate: s.Rate, CreatedAt: k.CreatedAt, RotatedAt: k.RotatedAt, PreviousUntil: k.PreviousUntil, UsedAt: k.UsedAt,
	}
}

// listKeys lists the keys of the configuration, on the first page, and those that are registered.
func (g *Gateway) listKeys(w http.ResponseWriter, r *http.Request) {
	limit, ok := readLimit(w, r, keysPage, maxKeysPage)
	if !ok {
		return
	}
	after := r.URL.Query().Get("next")
	list, next, err := g.Keys().Page(r.Context(), after, limit)
	if err != nil {
		g.refuseAdminCall(w, r, err)
		return
	}
	views := make([]keyView, 0, len(list)+len(g.fileKeys))
	if after == "" {
		for _, s := range g.fileKeys {
			views = append(views, viewOf(RegisteredKey{Settings: s, InFile: true}))
		}
	}
	for _, k := range list {
		views = append(views, viewOf(k))
	}
	replyJSON(w, http.StatusOK, struct {
		Keys []keyView `json:"keys"`
		Next string    `json:"next,omitempty"`
	}{views, next})
}

func (g *Gateway) createKey(w http.ResponseWriter, r *http.Request) {
	body, ok := readAdminBody(w, r)
	if !ok {
		return
	}
	var settings Key
	if err := decodeExactly(body, &settings); err != nil {
		answer.Refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	key, err := g.Keys().Create(r.Context(), settings)
	g.replyKey(w, r, http.StatusCreated, settings.Name, key, err)
}

func (g *Gateway) rotateKey(w http.ResponseWriter, r *http.Request) {
	body, ok := readAdminBody(w, r)
	if !ok {
		return
	}
	var in struct {
		Overlap *Duration `json:"overlap"`
	}
	if len(body) > 0 {
		if err := decodeExactly(body, &in); err != nil {
			answer.Refuse(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	overlap := DefaultOverlap
	if in.Overlap != nil {
		overlap = time.Duration(*in.Overlap)
	}
	name := r.PathValue("name")
	key, err := g.Keys().Rotate(r.Context(), name, overlap)
	g.replyKey(w, r, http.StatusOK, name, key, err)
}

func (g *Gateway) deleteKey(w http.ResponseWriter, r *http.Request) {
	if err := g.Keys().Delete(r.Context(), r.PathValue("name")); err != nil {
		g.refuseAdminCall(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

// replyKey replies with a new key, which no later reply has.
func (g *Gateway) replyKey(w http.ResponseWriter, r *http.Request, status int, name, key string, err error) {
	if err != nil {
		g.refuseAdminCall(w, r, err)
		return
	}
	replyJSON(w, status, map[string]string{"name": name, "key": key})
}

// readAdminBody returns a body of up to 1 MiB.
func readAdminBody(w http.ResponseWriter, r *http.Request) (body []byte, ok bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRegisterBody))
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		answer.Refuse(w, http.StatusRequestEntityTooLarge, "the body has more than 1 MiB")
	case err != nil:
		answer.Refuse(w, http.StatusBadRequest, "the body was cut off")
	}
	return body, err == nil
}

// readLimit returns the number of entries of a page in the query.
func readLimit(w http.ResponseWriter, r *http.Request, usual, most int) (limit int, ok bool) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return usual, true
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > most {
		answer.Refuse(w, http.StatusBadRequest, "limit: want 1 to "+strconv.Itoa(most))
		return 0, false
	}
	return limit, true
}

// replyJSON replies with the JSON of v, which encodes without an error.
func replyJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		answer.Refuse(w, http.StatusInternalServerError, "internal error")
		return
	}
	answer.JSON(w, status, body)
}
