package answer

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

// Credential answers with a token or a ticket: {"access_token":"…","expires_in":…,"expires_at":"…"}. Its zero value is
// ready to use. One answer serves all requests within a second. The answer has a life of at least a second, even if the
// clock here says that the credential has expired: programs refuse a token without a life.
type Credential struct {
	last atomic.Pointer[rendered]
}

// rendered is the last answer.
type rendered struct {
	value  string
	left   int64 // seconds left, by the clock here
	body   []byte
	length []string
}

// Write answers with c, whose value is under field.
func (a *Credential) Write(w http.ResponseWriter, field string, c wechat.Credential) {
	left := int64(time.Until(c.Expires) / time.Second)
	r := a.last.Load()
	if r == nil || r.left != left || r.value != c.Value {
		r = render(field, c, left)
		a.last.Store(r)
	}
	h := w.Header()
	h["Content-Type"], h["Cache-Control"], h["Content-Length"] = jsonType, noStore, r.length
	w.Write(r.body)
}

func render(field string, c wechat.Credential, left int64) *rendered {
	value, err := json.Marshal(c.Value)
	if err != nil {
		value = []byte(`""`)
	}
	expires, seconds := c.Expires, left
	if left < 1 {
		expires, seconds = time.Now().Add(time.Second), 1
	}
	b := append([]byte(`{"`+field+`":`), value...)
	b = append(b, `,"expires_in":`...)
	b = strconv.AppendInt(b, seconds, 10)
	b = append(b, `,"expires_at":"`...)
	b = expires.UTC().AppendFormat(b, time.RFC3339)
	b = append(b, `"}`...)
	return &rendered{c.Value, left, b, []string{strconv.Itoa(len(b))}}
}
