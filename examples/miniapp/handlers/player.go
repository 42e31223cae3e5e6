package handlers

import (
	"net/http"
	"strings"
)

// Player serves a web page that plays the mini program. The simulated WeChat gives the page what a phone gives a mini program.
type Player struct {
	Simulator  string   // URL of the simulated WeChat and WeChat Pay
	AppID      string   // of the mini program
	TemplateID string   // of the subscribe message; default none
	People     []string // who may be played
	Official   bool     // there is an official account
}

func (p *Player) mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", p.show)
}

// show shows the mini program in the hands of a person.
func (p *Player) show(w http.ResponseWriter, r *http.Request) {
	person := r.URL.Query().Get("person")
	if person == "" && len(p.People) > 0 {
		person = p.People[0]
	}
	showPage(w, http.StatusOK, "player.html", map[string]any{"Player": p, "Person": person}, p.Simulator)
}

// serveAsset serves the scripts and the style of the pages.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !strings.HasSuffix(name, ".js") && !strings.HasSuffix(name, ".css") {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeFileFS(w, r, pageFiles, "pages/"+name)
}
