package compat

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/pay"
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
	parties := readParties(body)
	if err != nil || parties.MchID == "" {
		writeNoticeError(w, http.StatusBadRequest)
		return
	}
	a, err := s.gateway.PaidApp(r.Context(), parties)
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

// readParties returns the AppID, MchID, SubAppID and SubMchID of a notification. Nothing of it is verified yet.
func readParties(body []byte) (t pay.Transaction) {
	d := xml.NewDecoder(bytes.NewReader(body))
	parts := map[string]*string{"appid": &t.AppID, "mch_id": &t.MchID, "sub_appid": &t.SubAppID, "sub_mch_id": &t.SubMchID}
	depth, name, text := 0, "", ""
	for {
		token, err := d.Token()
		if err != nil {
			return t
		}
		switch token := token.(type) {
		case xml.StartElement:
			depth, name, text = depth+1, token.Name.Local, ""
		case xml.EndElement:
			if part := parts[name]; depth == 2 && part != nil && *part == "" {
				*part = text
			}
			depth, name = depth-1, ""
		case xml.CharData:
			if parts[name] != nil { // a value may have several sections
				text += string(token)
			}
		case xml.Directive: // a DOCTYPE
			return pay.Transaction{}
		}
	}
}

func writeNoticeError(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[FAIL]]></return_msg></xml>")
}
