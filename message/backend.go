package message

import (
	"cmp"
	"fmt"
	"net/url"
	"time"

	"github.com/wetoken/wetoken/internal/relay"
)

// Backend is a program to which messages are forwarded with POST requests. Only URL is required.
//
// The body of a 2xx response is read with ParseReply: it may be WeChat's XML or JSON with the same names, and an empty
// body or the word success is no reply. ToUserName, FromUserName and the encryption are set by the Receiver. The log
// names a key that an incomplete reply lacks, and a reply that was too long. All backends get a message at the same
// time. The user receives the first reply in the order of Forwarding.Backends. A backend that fails, times out or
// replies with something invalid counts as no reply. If all backends with Answer fail, the message is not acknowledged,
// and WeChat sends it again.
//
// Each request has a header
//
//	Wetoken-Signature: t=1700000000,v1=5f3…
//
// with the Unix time and hex(HMAC-SHA256(key, t "." body)) for each of Forwarding.SignKeys. Its query has the appid,
// and openid, timestamp and nonce from WeChat. Without SignKeys there is no signature, and a backend that others can
// reach cannot distinguish a message from a forged one. A backend that verifies WeChat's signature in plain mode needs
// Forwarding.Signature. The query is not signed: use the values in the body.
//
// A request may be repeated. The header Wetoken-Delivery is equal in all requests about one message or event, also when
// WeChat sends it again, and different for all others: deduplicate by it. Events have no MsgId.
type Backend struct {
	URL string

	Form Form  // default FormXML
	When Match // default Any

	// Answer means that the backend may reply to the user. Default false: the backend gets a copy, which is stored first
	// and then delivered until the backend accepts it.
	Answer bool

	// Timeout is the time for all tries of a message with Answer, default 4 s, at most 14 s. Without Answer it is the time
	// for one try of a copy, default 30 s, at most 5 minutes.
	Timeout time.Duration

	// Late requires Answer. A reply that is too late for WeChat, or that WeChat does not accept as a response, is sent as a
	// customer service message (客服消息). Timeout may be up to 5 minutes. The reply is lost if the process ends before.
	Late bool
}

// Form is the form of a message in a request to a backend.
type Form string

const (
	FormXML  Form = "xml"  // decrypted, as in WeChat's plain mode; a JSON message is converted
	FormJSON Form = "json" // a flat object with WeChat's names: see Message.MarshalJSON
	FormRaw  Form = "raw"  // the body and query from WeChat; a backend with the app's keys can decrypt it and encrypt its reply
)

const (
	defaultTimeout     = 4 * time.Second
	maxTimeout         = 14 * time.Second
	maxLateTimeout     = 5 * time.Minute
	defaultCopyTimeout = 30 * time.Second
	retryInterval      = 500 * time.Millisecond
)

// backend is a Backend with its defaults and its Sender.
type backend struct {
	Backend
	sender    *relay.Sender
	named     bool // by a request
	fullQuery bool // requests have WeChat's whole query
}

// prepare checks a Backend and sets its defaults.
func (b Backend) prepare(sender *relay.Sender) (backend, *ConfigError) {
	if u, err := url.Parse(b.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Fragment != "" {
		return backend{}, &ConfigError{"URL", "is not an absolute http or https URL without a fragment"}
	}
	limit := maxTimeout
	switch {
	case !b.Answer:
		limit = maxLateTimeout
		b.Timeout = cmp.Or(b.Timeout, defaultCopyTimeout)
	case b.Late:
		limit = maxLateTimeout
	}
	b.Timeout = cmp.Or(b.Timeout, defaultTimeout)
	if b.When == nil {
		b.When = Any
	}
	switch b.Form {
	case "":
		b.Form = FormXML
	case FormXML, FormJSON, FormRaw:
	default:
		return backend{}, &ConfigError{"Form", fmt.Sprintf("is %q: want xml, json or raw", string(b.Form))}
	}
	switch {
	case b.Timeout < 0 || b.Timeout > limit:
		return backend{}, &ConfigError{"Timeout", fmt.Sprintf("is %s: want at most %s", b.Timeout, limit)}
	case b.Late && !b.Answer:
		return backend{}, &ConfigError{"Late", "is for a backend that answers: the reply to a copy is not used"}
	}
	return backend{Backend: b, sender: sender, fullQuery: b.Form == FormRaw}, nil
}
