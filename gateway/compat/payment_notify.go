package compat

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/wetoken/wetoken/gateway"
)

// A notification has a few kilobytes. All of them arrive at one URL, so that the app has to be read from the body before its signature can
// be verified.
const (
	maxNotice     = 64 << 10 // bytes
	noticeTimeout = 4500 * time.Millisecond
)

// serveNotify serves WeChat's notifications of payments and refunds, of all apps: those of orders that the old system placed arrive at
// its URL. The app verifies them.
func (s *payment) serveNotify(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(noticeTimeout)) // fails without a connection, as in tests
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNotice))
	if errors.As(err, new(*http.MaxBytesError)) {
		writeNoticeError(w, http.StatusRequestEntityTooLarge)
		return
	}
	appID, mchID := readParties(body)
	if err != nil || mchID == "" {
		writeNoticeError(w, http.StatusBadRequest)
		return
	}
	a, err := s.gateway.PaidApp(r.Context(), appID, mchID)
	switch {
	case errors.Is(err, gateway.ErrNoApp):
		writeNoticeError(w, http.StatusUnauthorized) // as for a wrong signature
	case err != nil:
		writeNoticeError(w, http.StatusServiceUnavailable)
	default:
		again := r.Clone(r.Context())
		again.Method, again.Body, again.ContentLength = http.MethodPost, io.NopCloser(bytes.NewReader(body)), int64(len(body))
		a.ServePayNotify(w, again)
	}
}

// readParties returns the appid and the mch_id of a notification. Nothing of it is verified yet.
func readParties(body []byte) (appID, mchID string) {
	d := xml.NewDecoder(bytes.NewReader(body))
	depth, name := 0, ""
	for {
		token, err := d.Token()
		if err != nil {
			return appID, mchID
		}
		switch t := token.(type) {
		case xml.StartElement:
			depth, name = depth+1, t.Name.Local
		case xml.EndElement:
			depth, name = depth-1, ""
		case xml.CharData:
			switch {
			case depth == 2 && name == "appid" && appID == "":
				appID = string(t)
			case depth == 2 && name == "mch_id" && mchID == "":
				mchID = string(t)
			}
		case xml.Directive: // a DOCTYPE
			return "", ""
		}
	}
}

func writeNoticeError(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[FAIL]]></return_msg></xml>")
}
