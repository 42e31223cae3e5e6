package wechattest

import "net/http"

// controlPush makes a push, and answers what became of it when it is over.
func controlPush(r *http.Request) (Pushed, error) {
	var in struct {
		Callback
		Seconds float64 `json:"timeout"`
		Push    Push    `json:"push"`
	}
	if err := controlBody(r, &in); err != nil {
		return Pushed{}, err
	}
	in.Timeout = inSeconds(in.Seconds)
	return in.Callback.Push(r.Context(), in.Push)
}

func controlVerify(r *http.Request) error {
	var in struct {
		Callback
		Seconds float64 `json:"timeout"`
	}
	if err := controlBody(r, &in); err != nil {
		return err
	}
	in.Timeout = inSeconds(in.Seconds)
	return in.Verify(r.Context())
}

// controlScan makes a person scan a QR code, and answers what became of the push.
func (s *Server) controlScan(r *http.Request) (Pushed, error) {
	var in struct {
		Callback
		Seconds float64 `json:"timeout"`
		Ticket  string  `json:"ticket"`
		Person  string  `json:"person"`
	}
	if err := controlBody(r, &in); err != nil {
		return Pushed{}, err
	}
	in.Timeout = inSeconds(in.Seconds)
	return s.Scan(r.Context(), &in.Callback, in.Ticket, in.Person)
}
