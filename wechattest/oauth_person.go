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

// Person is a person with a WeChat account.
type Person struct {
	Name        string `json:"name"`        // unique; openids and unionids derive from it
	Nickname    string `json:"nickname"`    // default Name; control characters in it are sent as they are
	HeadImgURL  string `json:"headimgurl"`  // default none
	Phone       string `json:"phone"`       // without country code; default 13800138000
	UserID      string `json:"userid"`      // WeCom: the member's id; default Name
	Visitor     bool   `json:"visitor"`     // WeCom: not a member of any corp
	Departments []int  `json:"departments"` // WeCom: of the member, the main one first; default 1, the root
	LeaderOf    []int  `json:"leader_of"`   // WeCom: the departments that the member leads
	Blocked     bool   `json:"blocked"`     // mini programs: a high risk, 40226
}

// Consent is the answer of the person who browses when WeChat asks for consent.
type Consent string

const (
	Ask      Consent = "ask"      // a page with links to click, the default
	Allow    Consent = "allow"    // yes, at once and without a page
	Deny     Consent = "deny"     // no, at once
	Snapshot Consent = "snapshot" // yes, but the person only looks at the page's snapshot (快照页)
)

// people are the persons, and the codes and grants that they have given to apps.
type people struct {
	list    []Person
	current string // name of the person who browses; "" is the first
	consent Consent

	pending        map[string]*visit // consent pages that wait, by ticket
	codes          map[string]*code
	access         map[string]*webGrant // by access_token
	refresh        map[string]*webGrant // by refresh_token
	details        map[string]*code     // WeCom's user_ticket
	sessions       map[string]*session
	minute         map[string]*periodCounter // jscode2session, by session
	unfollowed     map[string]bool           // who does not follow, by openid
	accepted       map[string]int            // subscribe messages that may still be sent, by openid and template
	usedSignatures map[string]bool           // card signatures that were used
}

// defaultPerson is the person of a Server to which none was added.
var defaultPerson = Person{Name: "ming", Nickname: "小明"}

// AddPerson adds a person, or changes the one with that name. The first one browses. A Server to which none was added has
// one person, ming.
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

// Browse sets the person who browses from now on, and that person's answer to WeChat's question. An empty name is the first
// person.
func (s *Server) Browse(name string, consent Consent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.people.current, s.people.consent = name, consent
}

// OpenID returns the openid of a person for an app.
func (s *Server) OpenID(appID, name string) string { return "o" + deriveID("openid", appID, name) }

// UnionID returns the unionid of a person for all apps of one owner; see [App.Owner].
func (s *Server) UnionID(owner, name string) string { return "o" + deriveID("unionid", owner, name) }

// deriveID returns the variable part of an id, 27 characters.
func deriveID(what, of, name string) string {
	sum := sha256.Sum256([]byte(what + "\x00" + of + "\x00" + name))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:27]
}

// person returns the person with a name, with defaults.
func (s *Server) person(name string) (Person, bool) {
	for _, p := range s.persons() {
		if p.Name == name || name == "" {
			return p.withDefaults(), true
		}
	}
	return Person{}, false
}

// persons returns the persons that were added, without defaults.
func (s *Server) persons() []Person {
	if len(s.people.list) == 0 {
		return []Person{defaultPerson}
	}
	return s.people.list
}

func (p Person) withDefaults() Person {
	p.Nickname = cmp.Or(p.Nickname, p.Name)
	p.Phone = cmp.Or(p.Phone, "13800138000")
	p.UserID = cmp.Or(p.UserID, p.Name)
	return p
}

// code is a right to get something once.
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

// takeCode uses up a code. errcode is 0 for a valid one.
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

// openID returns the openid of a code's person for its app.
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
