package wechattest

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"time"
)

// Website is a website application of the open platform (网站应用): its users scan a QR code.
const Website Kind = "website"

// Person is somebody with a WeChat account.
type Person struct {
	Name        string `json:"name"`        // tells persons apart; openids and unionids are made of it
	Nickname    string `json:"nickname"`    // default Name; control characters in it are sent as they are
	HeadImgURL  string `json:"headimgurl"`  // default none
	Phone       string `json:"phone"`       // without country code; default 13800138000
	UserID      string `json:"userid"`      // WeCom: the member's id; default Name
	Visitor     bool   `json:"visitor"`     // WeCom: no member of any corp
	Departments []int  `json:"departments"` // WeCom: of the member, the main one first; default 1, the root
	LeaderOf    []int  `json:"leader_of"`   // WeCom: the departments that the member leads
	Blocked     bool   `json:"blocked"`     // mini programs: a high risk, 40226
}

// Consent is how the person who browses answers when WeChat asks.
type Consent string

const (
	Ask      Consent = "ask"      // a page with links to click, the default
	Allow    Consent = "allow"    // yes, at once and without a page
	Deny     Consent = "deny"     // no, at once
	Snapshot Consent = "snapshot" // yes, but the person only looks at the page's snapshot (快照页)
)

// people is who has an account, and what they have let apps have.
type people struct {
	list    []Person
	current string // who browses; "" is the first
	consent Consent

	pending  map[string]*visit // consent pages that wait, by ticket
	codes    map[string]*code
	access   map[string]*grant // by access_token
	refresh  map[string]*grant // by refresh_token
	details  map[string]*code  // WeCom's user_ticket
	sessions map[string]*session
	minute   map[string]*tally // jscode2session, by session
	away     map[string]bool   // who does not follow, by openid
	signed   map[string]bool   // card signatures that were used
}

// nobodyElse is who browses a Server to which nobody was added.
var nobodyElse = Person{Name: "ming", Nickname: "小明"}

// AddPerson adds somebody, or changes the one of that name. The first one browses. A Server to which nobody was added
// has one person, ming.
func (s *Server) AddPerson(p Person) {
	p.Departments, p.LeaderOf = slices.Clone(p.Departments), slices.Clone(p.LeaderOf)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.people.list, func(q Person) bool { return q.Name == p.Name }); i >= 0 {
		s.people.list[i] = p
		return
	}
	s.people.list = append(s.people.list, p)
}

// Browse says who sits at the browser from now on, and how that person answers WeChat's question. An empty name is the
// first person.
func (s *Server) Browse(name string, consent Consent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.people.current, s.people.consent = name, consent
}

// OpenID is the openid of a person to an app.
func (s *Server) OpenID(appID, name string) string { return "o" + derive("openid", appID, name) }

// UnionID is the unionid of a person to all apps of one owner; see [App.Owner].
func (s *Server) UnionID(owner, name string) string { return "o" + derive("unionid", owner, name) }

// derive makes the rest of an id, 27 characters.
func derive(what, of, name string) string {
	sum := sha256.Sum256([]byte(what + "\x00" + of + "\x00" + name))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:27]
}

// person finds somebody by name, with defaults filled in.
func (s *Server) person(name string) (Person, bool) {
	for _, p := range s.persons() {
		if p.Name == name || name == "" {
			return p.filled(), true
		}
	}
	return Person{}, false
}

// persons lists those who were added, without defaults.
func (s *Server) persons() []Person {
	if len(s.people.list) == 0 {
		return []Person{nobodyElse}
	}
	return s.people.list
}

func (p Person) filled() Person {
	p.Nickname = cmp.Or(p.Nickname, p.Name)
	p.Phone = cmp.Or(p.Phone, "13800138000")
	p.UserID = cmp.Or(p.UserID, p.Name)
	return p
}

// code is a right to learn something once.
type code struct {
	what    string // web, work, ticket, mini or phone
	app     *app
	person  Person
	scope   string
	virtual string // made-up name of a snapshot's visitor
	expires time.Time
	used    bool
}

const (
	codeLife    = 5 * time.Minute
	websiteLife = 10 * time.Minute
)

func (s *Server) issueCode(c *code, life time.Duration) string {
	if s.people.codes == nil {
		s.people.codes = make(map[string]*code)
	}
	for value, old := range s.people.codes {
		if time.Since(old.expires) > time.Hour {
			delete(s.people.codes, value)
		}
	}
	c.expires = time.Now().Add(life)
	random := make([]byte, 12)
	rand.Read(random)
	value := "wechattest0" + base64.RawURLEncoding.EncodeToString(random)
	s.people.codes[value] = c
	return value
}

// takeCode uses a code up; errcode is 0 for one that is good.
func (s *Server) takeCode(value, what string, owner func(*app) bool, now time.Time) (c *code, errcode int) {
	c = s.people.codes[value]
	switch {
	case value == "":
		return nil, 41008
	case c == nil || c.what != what || !owner(c.app):
		return nil, 40029
	case c.used:
		return nil, 40163
	case !now.Before(c.expires):
		return nil, 42003
	}
	c.used = true
	return c, 0
}

// openID is who a code's person is to its app.
func (s *Server) openID(c *code) string {
	if c.virtual != "" {
		return s.OpenID(c.app.ID, "snapshot "+c.virtual)
	}
	return s.OpenID(c.app.ID, c.person.Name)
}

func (s *Server) unionID(c *code) string {
	switch {
	case c.app.Owner == "":
		return ""
	case c.virtual != "":
		return s.UnionID(c.app.Owner, "snapshot "+c.virtual)
	}
	return s.UnionID(c.app.Owner, c.person.Name)
}
