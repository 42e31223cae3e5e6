package message

import (
	"cmp"
	"fmt"
	"net/url"
	"time"

	"github.com/wetoken/wetoken/internal/relay"
)

// Backend is a program that messages are forwarded to, as a POST. Only URL is required.
//
// A backend's answer with a status of 2xx is read with ParseReply, so it may be WeChat's XML or JSON of the same names,
// and nothing, or success, is no reply; the sender, the receiver and the encryption are filled in here. The log says
// which key an incomplete reply lacks, and whose reply was too long. A message goes to all its backends at once, and the
// user gets the reply of the first of them, in the order of Forwarding.Backends, that has one. A backend that is slow, dead
// or answers nonsense counts as having none, and delays nobody once its Timeout is over. When none of those that should
// answer takes the message, it is not received, and WeChat sends it again.
//
// Each request has a header
//
//	Wetoken-Signature: t=1700000000,v1=5f3…
//
// with the Unix time and hex(HMAC-SHA256(key, t "." body)) for each of Forwarding.SignKeys, and in its query the appid,
// and openid, timestamp and nonce as WeChat sent them. Without SignKeys there is no such header, and a backend that
// others can reach cannot tell a message from a forged one. A backend that was written for WeChat's plain mode, and
// verifies its signature, goes on working with Forwarding.Signature. The query is not signed: believe the body.
//
// A request may come more than once. The header Wetoken-Delivery is the same for all requests about one message or
// event, also where WeChat sent it again, and another one for each other: deduplicate by it. MsgId does not do, as events
// have none.
type Backend struct {
	URL string

	Form    Form          // default FormXML
	When    Match         // default Any
	Answer  bool          // its reply is for the user. Default a copy: stored first, then delivered until it is taken
	Timeout time.Duration // repeats included; default 4 s. Up to 14 s with Answer: WeChat asks three times. A copy's is for one try, default 30 s
	Late    bool          // with Answer: a reply that WeChat no longer takes, or never does, is sent as a customer service message (客服消息). Timeout may then be up to 5 minutes; a process that ends meanwhile loses the reply
}

// Form is what a message looks like on its way to a backend.
type Form string

const (
	FormXML  Form = "xml"  // decrypted, as WeChat's plain mode has it; of a JSON message too
	FormJSON Form = "json" // one flat object of WeChat's names: see Message.MarshalJSON
	FormRaw  Form = "raw"  // as it came, with the query it came with: a backend with the app's Token and EncodingAESKey may verify and decrypt it, and encrypt its reply
)

const (
	askTime     = 4 * time.Second
	maxAskTime  = 14 * time.Second
	maxLateTime = 5 * time.Minute
	copyTime    = 30 * time.Second
	askAgain    = 500 * time.Millisecond
)

// backend is a Backend that is ready for use.
type backend struct {
	Backend
	sender *relay.Sender
	all    bool // its query has whatever WeChat's had
}

// ready checks a Backend and fills in its defaults.
func (t Backend) ready(sender *relay.Sender) (backend, *ConfigError) {
	if u, err := url.Parse(t.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Fragment != "" {
		return backend{}, &ConfigError{"URL", "is not a whole http or https address"}
	}
	most := maxAskTime
	switch {
	case !t.Answer:
		most = maxLateTime
		t.Timeout = cmp.Or(t.Timeout, copyTime)
	case t.Late:
		most = maxLateTime
	}
	t.Timeout = cmp.Or(t.Timeout, askTime)
	if t.When == nil {
		t.When = Any
	}
	switch t.Form {
	case "":
		t.Form = FormXML
	case FormXML, FormJSON, FormRaw:
	default:
		return backend{}, &ConfigError{"Form", fmt.Sprintf("is %q: want xml, json or raw", string(t.Form))}
	}
	switch {
	case t.Timeout < 0 || t.Timeout > most:
		return backend{}, &ConfigError{"Timeout", fmt.Sprintf("is %s: want at most %s", t.Timeout, most)}
	case t.Late && !t.Answer:
		return backend{}, &ConfigError{"Late", "is for a backend that answers: the reply to a copy is not used"}
	}
	return backend{Backend: t, sender: sender, all: t.Form == FormRaw}, nil
}
