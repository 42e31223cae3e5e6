package wechattest

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/wetoken/wetoken/wechattest/push"
)

func qrcodeRoutes() []route {
	return []route{
		{path: "/cgi-bin/qrcode/create", on: apiHost, method: http.MethodPost, body: jsonBody, kinds: []Kind{Official}, serve: (*Server).qrcodeCreate},
	}
}

// qrcode is a QR code with a scene (带参数的二维码).
type qrcode struct {
	app     *app
	scene   string
	expires time.Time // zero: never
}

func (q *qrcode) expired(now time.Time) bool {
	return !q.expires.IsZero() && !now.Before(q.expires)
}

// Limits of QR codes.
const (
	maxSceneLength  = 64
	maxLimitScene   = 100_000 // the greatest scene_id of a permanent one
	maxLimitCodes   = 100_000 // permanent ones of an account
	qrcodeLife      = time.Minute
	maxQRCodeLife   = 30 * 24 * time.Hour
	showqrcodePath  = "/cgi-bin/showqrcode"
	qrcodeAddresses = "http://weixin.qq.com/q/"
)

// qrcodeCreate replies with a ticket. It ends in ==, as many WeChat tickets do, so that it must be escaped in a query.
func (s *Server) qrcodeCreate(c *call) reply {
	name := c.text("action_name")
	var temporary, number bool
	switch name {
	case "QR_SCENE":
		temporary, number = true, true
	case "QR_STR_SCENE":
		temporary = true
	case "QR_LIMIT_SCENE":
		number = true
	case "QR_LIMIT_STR_SCENE":
	default:
		return c.refuse(40052)
	}
	life := int64(qrcodeLife / time.Second)
	if raw, ok := c.fields["expire_seconds"]; ok && temporary {
		if json.Unmarshal(raw, &life) != nil {
			return c.refuse(47001)
		}
		if life <= 0 || life > int64(maxQRCodeLife/time.Second) {
			return c.refuse(40053)
		}
	}
	scene, ok := c.scene(temporary, number)
	if !ok {
		return c.refuse(40053)
	}
	q := &qrcode{app: c.app, scene: scene}
	if temporary {
		q.expires = c.now.Add(time.Duration(life) * time.Second)
	} else if c.app.limitCodes++; c.app.limitCodes > maxLimitCodes {
		return c.refuse(45029)
	}
	s.forgetQRCodes(c.now)
	ticket := newID("qrcode", 94) + "=="
	s.qrcodes[ticket] = q
	body := fields{"ticket": ticket, "url": qrcodeAddresses + newID("q", 34)}
	if temporary {
		body["expire_seconds"] = life
	}
	return c.ok(body)
}

// forgetQRCodes drops the expired codes once their number may have doubled since the last time.
func (s *Server) forgetQRCodes(now time.Time) {
	if s.qrcodes == nil {
		s.qrcodes = make(map[string]*qrcode)
	}
	if len(s.qrcodes) < s.qrcodesDue {
		return
	}
	for ticket, q := range s.qrcodes {
		if q.expired(now) {
			delete(s.qrcodes, ticket)
		}
	}
	s.qrcodesDue = 2*len(s.qrcodes) + 1000
}

// scene returns the scene that a scan of the QR code reports.
func (c *call) scene(temporary, number bool) (scene string, ok bool) {
	var info struct {
		Scene struct {
			ID  json.RawMessage `json:"scene_id"`
			Str json.RawMessage `json:"scene_str"`
		} `json:"scene"`
	}
	if json.Unmarshal(c.fields["action_info"], &info) != nil {
		return "", false
	}
	if number {
		id, err := strconv.ParseInt(string(info.Scene.ID), 10, 64)
		limit := int64(math.MaxUint32)
		if !temporary {
			limit = maxLimitScene
		}
		return strconv.FormatInt(id, 10), err == nil && id > 0 && id <= limit
	}
	if json.Unmarshal(info.Scene.Str, &scene) != nil {
		if _, err := strconv.ParseInt(string(info.Scene.Str), 10, 64); err != nil {
			return "", false
		}
		scene = string(info.Scene.Str) // a number is taken as its digits
	}
	n := utf8.RuneCountInString(scene)
	return scene, n >= 1 && n <= maxSceneLength
}

// Scan makes a person scan the QR code of a ticket from /cgi-bin/qrcode/create, and pushes the event to the app's
// [push.Callback]: SCAN for a follower, otherwise subscribe, after which the person follows. The error is one of the
// Callback or of ctx, or says that the scan failed: an unknown or expired ticket, one of another app than that of the
// Callback, or an unknown person.
func (s *Server) Scan(ctx context.Context, c *push.Callback, ticket, name string) (push.Result, error) {
	if err := c.Check(); err != nil {
		return push.Result{}, err
	}
	p, err := s.scan(c, ticket, name)
	if err != nil {
		return push.Result{}, err
	}
	return c.Push(ctx, p)
}

func (s *Server) scan(c *push.Callback, ticket, name string) (push.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.qrcodes[ticket]
	person, ok := s.person(name)
	switch {
	case q == nil:
		return push.Message{}, errors.New("wechattest: scan: unknown ticket")
	case q.expired(time.Now()):
		return push.Message{}, errors.New("wechattest: scan: the QR code has expired")
	case q.app.ID != c.AppID:
		return push.Message{}, errors.New("wechattest: scan: the QR code is of another app than the callback")
	case !ok:
		return push.Message{}, errors.New("wechattest: scan: unknown person")
	}
	p := push.Message{From: s.OpenID(c.AppID, person.Name), Event: "SCAN", EventKey: q.scene, Fields: map[string]any{"Ticket": ticket}}
	if s.people.unfollowed[p.From] {
		p.Event, p.EventKey = "subscribe", "qrscene_"+q.scene
		s.follow(p.From, true)
	}
	return p, nil
}

// showQRCode replies with the picture of a ticket. Pictures differ by ticket, but no phone can read them.
func (s *Server) showQRCode(r *http.Request) reply {
	ticket := r.URL.Query().Get("ticket")
	q := s.qrcodes[ticket]
	if q == nil || q.expired(time.Now()) {
		return reply{status: http.StatusNotFound}
	}
	picture, err := pattern(ticket)
	if err != nil {
		return reply{status: http.StatusInternalServerError}
	}
	return reply{header: http.Header{"Content-Type": {"image/jpg"}}, body: picture}
}
