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
