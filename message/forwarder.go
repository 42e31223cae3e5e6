package message

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/wetoken/wetoken/internal/relay"
	"github.com/wetoken/wetoken/wechat"
)

// Backend is a program that messages are forwarded to, as a POST. Only URL is required.
//
// A backend's answer with a status of 2xx is read with ParseReply, so it may be WeChat's XML or JSON of the same names,
// and nothing, or success, is no reply; the sender, the receiver and the encryption are filled in here. The log says
// which key an incomplete reply lacks, and whose reply was too long. A message goes to all its backends at once, and the
// reply that the user gets is that of the first of them, in the order of Config.Forward, which has one. A backend that is
// slow, dead or answers nonsense counts as having none, and delays nobody once its Timeout is over. When none of those
// that should answer takes the message, it is not received, and WeChat sends it again.
//
// Each request has a header
//
//	Wetoken-Signature: t=1700000000,v1=5f3…
//
// with the Unix time and hex(HMAC-SHA256(Config.SignKey, t "." body)), once more for a PreviousSignKey, and in its query
// the appid, and openid, timestamp and nonce as WeChat sent them. Without a SignKey there is no such header, and a
// backend that others can reach cannot tell a message from a forged one. A backend that was written for WeChat's plain
// mode, and verifies its signature, goes on working with Config.ForwardSignature. The query is not signed: believe the
// body.
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

// All matches what all of matches match, which is everything if there are none.
func All(matches ...Match) Match {
	return func(m *Message) bool {
		return !slices.ContainsFunc(matches, func(match Match) bool { return !match(m) })
	}
}

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
func (t Backend) ready(sender *relay.Sender, api *wechat.Client) (backend, error) {
	if u, err := url.Parse(t.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Fragment != "" {
		return backend{}, errors.New("its URL is not a whole http or https address")
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
		return backend{}, fmt.Errorf("its Form is %q: want xml, json or raw", t.Form)
	}
	switch {
	case t.Timeout < 0 || t.Timeout > most:
		return backend{}, fmt.Errorf("its Timeout is %s: want at most %s", t.Timeout, most)
	case t.Late && !t.Answer:
		return backend{}, errors.New("it is Late without Answer: a copy's reply is not used")
	case t.Late && api == nil:
		return backend{}, errors.New("it is Late, and Config.API is not set: there is no way to send what is late")
	}
	return backend{Backend: t, sender: sender, all: t.Form == FormRaw}, nil
}

// answer is a reply and how it may travel.
type answer struct {
	reply Reply
	late  bool // as a customer service message, if need be
}

// handle gives m to the handler and the backends it is for, and returns the first reply in their order. Copies are
// stored before anything else is done, as the rest may be done again; then stored is closed.
func (in *Receiver) handle(ctx context.Context, m *Message, named []backend, stored chan<- struct{}) (answer, error) {
	var asked []backend
	for _, t := range slices.Concat(in.backends, named) {
		switch {
		case !t.When(m):
		case t.Answer:
			asked = append(asked, t)
		default:
			if err := in.copy(ctx, m, &t); err != nil {
				return answer{}, err
			}
		}
	}
	close(stored)
	call := time.NewTimer(lastCall)
	defer call.Stop()
	news := make(chan step, 2*len(asked))
	for i := range asked {
		q, err := in.question(&asked[i], m)
		if err != nil {
			return answer{}, err
		}
		go in.ask(context.WithoutCancel(ctx), m, &asked[i], i, q, news)
	}
	own, err := in.dispatch(ctx, m)
	if err != nil || own != nil || len(asked) == 0 {
		return answer{reply: in.fit(ctx, m, own, "handler")}, err
	}
	return collect(call.C, asked, news)
}

// step is how far the asking of one backend has come.
type step struct {
	i     int
	state state
	reply Reply
	err   error
}

type state int

const (
	asking state = iota
	again        // it failed and is asked once more
	over
)

// collect waits for the first reply in the order of asked. After the last call the order no longer matters, and only
// those whose reply may be late are waited for.
func collect(call <-chan time.Time, asked []backend, news <-chan step) (answer, error) {
	steps := make([]step, len(asked))
	late := false
	for {
		left, failed := 0, 0
		for i, s := range steps {
			switch {
			case s.state == over && s.reply != nil:
				return answer{s.reply, asked[i].Late}, nil
			case s.state == over && s.err != nil:
				failed++
			case s.state != over && (!late || asked[i].Late):
				left++
			}
			if s.state == asking && !late {
				break // its reply, if it has one, comes before those of the others
			}
		}
		switch {
		case left > 0:
		case failed == len(steps):
			return answer{}, fmt.Errorf("message: none of the backends took it: %w", steps[0].err)
		default:
			return answer{}, nil
		}
		select {
		case s := <-news:
			steps[s.i] = s
		case <-call:
			late = true
		}
	}
}
