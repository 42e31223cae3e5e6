package push

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Kind is the kind of an app.
type Kind string

const (
	Official Kind = "official" // official account (公众号); the default
	Mini     Kind = "mini"     // mini program (小程序)
	Work     Kind = "work"     // WeCom application (企业微信)
)

// Callback is the address that an app's messages and events are sent to, with the settings of its page in WeChat's console.
// AppID, Token, and either URL or Handler are required.
//
//	c := &push.Callback{AppID: id, URL: "http://127.0.0.1:8080/wx/message", Token: token, EncodingAESKey: key}
//	err := c.Verify(ctx)
//	result, err := c.Push(ctx, push.Message{Content: "hello"})
type Callback struct {
	AppID          string `json:"app"` // the corp id for Work
	URL            string `json:"url"`
	Token          string `json:"token"`
	EncodingAESKey string `json:"aes_key"` // 43 characters; may be empty in plain mode

	Kind Kind `json:"kind"` // default Official

	// Mode is plain, compatible or secure. The default is secure with an EncodingAESKey, else plain. Work has only secure.
	Mode string `json:"mode"`

	JSON    bool   `json:"json"`     // 数据格式 JSON, which official accounts do not have
	Account string `json:"account"`  // ToUserName; default gh_wechattest, for Work the AppID
	AgentID int    `json:"agent_id"` // Work
	Sealed  string `json:"sealed"`   // the id at the end of encrypted texts; default AppID

	// Addresses are host:port to connect to in place of the URL's host, one after the other for each try. The default is to
	// resolve the host.
	Addresses []string `json:"addresses"`

	Tries   int           `json:"tries"` // default 3
	Timeout time.Duration `json:"-"`     // of each try, after which the next begins; default 5 s

	// Handler is called in place of URL, in memory, so that pushes work inside testing/synctest bubbles. Each try's
	// context ends when WeChat hangs up.
	Handler http.Handler `json:"-"`
}

// Message is a message of a user, an event, or with an InfoType a notice to a third-party platform (第三方平台), whose appid is
// that of the Callback. The document and the envelope of a notice have AppId in place of the names of messages, and it has no From.
// The platform has to reply success.
type Message struct {
	From     string         `json:"from"`     // default oUser
	MsgType  string         `json:"msgtype"`  // default text, or event where Event is set
	Content  string         `json:"content"`  // of a text
	Event    string         `json:"event"`    // such as CLICK
	EventKey string         `json:"eventkey"` // of an event
	MsgID    int64          `json:"msgid"`    // default a new one beyond 2^53; events have none
	InfoType string         `json:"infotype"` // of a notice, such as component_verify_ticket
	Time     time.Time      `json:"time"`     // default now
	Fields   map[string]any `json:"fields"`   // further fields by WeChat's names: strings, numbers, maps, and lists of these

	Duplicates int `json:"duplicates"` // additional requests of each try at the same time
}

// Result is the result of a push.
type Result struct {
	Document string `json:"document"` // the document before encryption
	Tries    []Try  `json:"tries"`    // each request, in the order of their ends
	Type     string `json:"type"`     // MsgType of the reply; empty without one
	Reply    string `json:"reply"`    // the decrypted reply
	Shown    string `json:"shown"`    // the text that the user sees: Content of a text reply, nothing, Unavailable or Faulty
	Fault    string `json:"fault"`    // the reason for Unavailable or Faulty
}

// Unavailable is the text that a user sees if an app did not reply, or not as WeChat requires.
const Unavailable = "该公众号暂时无法提供服务，请稍后再试"

// Faulty is the text that a user sees if an app replied with a text longer than 2048 bytes.
const Faulty = "该公众号提供的服务出现故障，请稍后再试"

// Try is one request.
type Try struct {
	Number int       `json:"number"` // from 1; duplicates share it
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	Status int       `json:"status"` // 0 without a reply
	Body   string    `json:"body"`
	Err    string    `json:"error"`
}

// Push sends p as WeChat does, and repeats it until the app replies with status 200. It returns when the user has seen
// something, or after the last try. The error is one of the Callback or of ctx; faults of the app are in Result.
func (c *Callback) Push(ctx context.Context, p Message) (Result, error) {
	if err := c.Check(); err != nil {
		return Result{}, err
	}
	if p.InfoType != "" && (c.JSON || c.mode() != "secure") {
		return Result{}, errors.New("push: invalid Callback.Mode: want secure and XML for a notice")
	}
	doc := c.document(&p)
	out := Result{Document: doc}
	for n := 1; n <= c.tries(); n++ {
		begun := time.Now()
		tries, err := c.sendTry(ctx, n, p, doc)
		out.Tries = append(out.Tries, tries...)
		if err != nil {
			return out, err
		}
		for _, t := range tries {
			if t.Status == 200 {
				c.show(&out, p, t.Body)
				return out, nil
			}
		}
		last := tries[len(tries)-1]
		out.Fault = fmt.Sprintf("no reply with status 200 in %d tries; the last: %d %s", n, last.Status, last.Err)
		if n < c.tries() && !wait(ctx, c.timeout()-time.Since(begun)) {
			return out, ctx.Err()
		}
	}
	out.Shown = Unavailable
	return out, nil
}

// sendTry makes the requests of one try.
func (c *Callback) sendTry(ctx context.Context, n int, p Message, doc string) ([]Try, error) {
	var mu sync.Mutex
	var list []Try
	var all sync.WaitGroup
	for range 1 + max(p.Duplicates, 0) {
		query, body, err := c.buildRequest(p, doc) // with its own timestamp and nonce
		if err != nil {
			return nil, err
		}
		all.Go(func() {
			t := Try{Number: n, Start: time.Now()}
			answer, err := c.send(ctx, "POST", n, query, body)
			t.End, t.Status, t.Body = time.Now(), answer.status, string(answer.body)
			if err != nil {
				t.Err = err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			list = append(list, t)
		})
	}
	all.Wait()
	return list, ctx.Err()
}

// Verify makes the check that WeChat makes when the URL is saved (接入验证): the app must reply with the echostr.
func (c *Callback) Verify(ctx context.Context) error {
	if err := c.Check(); err != nil {
		return err
	}
	echo := fmt.Sprint(rand.Uint64N(1e18))
	query := c.newQuery()
	if c.Kind == Work {
		sealed, err := c.seal(echo)
		if err != nil {
			return err
		}
		query.Set("echostr", sealed)
		query.Set("msg_signature", c.sign(query, sealed))
	} else {
		query.Set("echostr", echo)
		query.Set("signature", c.sign(query))
	}
	answer, err := c.send(ctx, "GET", 1, query, nil)
	switch {
	case err != nil:
		return err
	case answer.status != 200:
		return fmt.Errorf("push: verify URL: HTTP status %d", answer.status)
	case string(answer.body) != echo:
		return errors.New("push: verify URL: the reply is not the echostr")
	}
	return nil
}

// Check returns an error for a Callback that cannot be used: a required field is missing, or WeChat has no such setting.
// [Callback.Push] and [Callback.Verify] return it too.
func (c *Callback) Check() error {
	u, err := url.Parse(c.URL)
	switch {
	case c.AppID == "" || c.Token == "":
		return errors.New("push: Callback: AppID and Token must be set")
	case c.Handler == nil && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https"):
		return errors.New("push: invalid Callback.URL: want an http or https URL")
	case c.Kind != "" && c.Kind != Official && c.Kind != Mini && c.Kind != Work:
		return errors.New("push: invalid Callback.Kind: want official, mini or work")
	case c.JSON && c.kind() == Official:
		return errors.New("push: invalid Callback.JSON: official accounts get XML")
	}
	switch c.mode() {
	case "plain":
		if c.Kind == Work {
			return errors.New("push: invalid Callback.Mode: want secure for WeCom")
		}
		return nil
	case "compatible", "secure":
		_, err := c.key()
		return err
	}
	return errors.New("push: invalid Callback.Mode: want plain, compatible or secure")
}

func (c *Callback) kind() Kind {
	if c.Kind == "" {
		return Official
	}
	return c.Kind
}

func (c *Callback) mode() string {
	switch {
	case c.Mode != "":
		return c.Mode
	case c.EncodingAESKey != "" || c.Kind == Work:
		return "secure"
	}
	return "plain"
}

func (c *Callback) account() string {
	switch {
	case c.Account != "":
		return c.Account
	case c.Kind == Work:
		return c.AppID
	}
	return "gh_wechattest"
}

func (c *Callback) tries() int {
	if c.Tries <= 0 {
		return 3
	}
	return c.Tries
}

func (c *Callback) timeout() time.Duration {
	if c.Timeout <= 0 {
		return 5 * time.Second
	}
	return c.Timeout
}

// wait waits for d, and reports false if ctx ended before.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
