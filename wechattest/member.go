package wechattest

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func memberRoutes() []route {
	return []route{
		{path: "/cgi-bin/user/get", on: workHost, method: http.MethodGet, serve: (*Server).workUser},
		{path: "/cgi-bin/user/list", on: workHost, method: http.MethodGet, serve: (*Server).workUsers},
		{path: "/cgi-bin/department/list", on: workHost, method: http.MethodGet, serve: (*Server).workDepartments},
	}
}

// Department is a department of a WeCom corporation. Every corporation has the department 1, the root. Its default name is
// the id of the corporation.
type Department struct {
	ID       int    `json:"id"`
	Name     string `json:"name"`     // default the id
	ParentID int    `json:"parentid"` // default 1; of the root 0
	Order    int    `json:"order"`
}

const (
	rootDepartment = 1
	maxUserID      = 64
)

// AddDepartment adds a department to a WeCom corporation, or changes the one with that id. [Person.Departments] has its
// members.
func (s *Server) AddDepartment(corpID string, d Department) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.Name = cmp.Or(d.Name, strconv.Itoa(d.ID))
	d.ParentID = cmp.Or(d.ParentID, rootDepartment)
	if d.ID == rootDepartment {
		d.ParentID = 0
	}
	s.corp(corpID).departments[d.ID] = d
}

// department returns the department with the id in a call.
func (co *corp) department(c *call, id string) (d Department, errcode int) {
	n, err := strconv.Atoi(id)
	if err != nil {
		return Department{}, 40058
	}
	d, ok := co.departments[n]
	switch {
	case ok:
		return d, 0
	case n == rootDepartment:
		return Department{ID: rootDepartment, Name: c.app.ID}, 0
	}
	return Department{}, 60003
}

// under returns a department and all below it, ordered by id.
func (co *corp) under(d Department) []Department {
	found := map[int]Department{d.ID: d}
	for grown := true; grown; {
		grown = false
		for _, one := range co.departments {
			_, above := found[one.ParentID]
			if _, has := found[one.ID]; above && !has {
				found[one.ID], grown = one, true
			}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Department) int { return cmp.Compare(a.ID, b.ID) })
}

// workDepartments replies with a department and all below it; without an id, with all.
func (s *Server) workDepartments(c *call) reply {
	d, errcode := c.app.corp.department(c, cmp.Or(c.query.Get("id"), strconv.Itoa(rootDepartment)))
	if errcode != 0 {
		return c.refuse(errcode)
	}
	list := []fields{}
	for _, d := range c.app.corp.under(d) {
		leaders := []string{}
		for _, p := range s.members() {
			if slices.Contains(p.LeaderOf, d.ID) {
				leaders = append(leaders, p.UserID)
			}
		}
		list = append(list, fields{
			"id": d.ID, "name": d.Name, "name_en": "", "parentid": d.ParentID, "order": d.Order, "department_leader": leaders,
		})
	}
	return c.done(fields{"department": list})
}

// members returns the persons who are members of corporations.
func (s *Server) members() []Person {
	var list []Person
	for _, p := range s.persons() {
		if !p.Visitor {
			list = append(list, p.withDefaults())
		}
	}
	return list
}

// member returns a person as WeCom shows it to an application: without the private details, which need consent.
func (co *corp) member(p Person) fields {
	in := []int{}
	for _, id := range p.Departments {
		if _, ok := co.departments[id]; ok || id == rootDepartment {
			in = append(in, id)
		}
	}
	if len(in) == 0 {
		in = []int{rootDepartment}
	}
	orders, leads, leader := make([]int, len(in)), make([]int, len(in)), 0
	for i, id := range in {
		if slices.Contains(p.LeaderOf, id) {
			leads[i], leader = 1, 1
		}
	}
	return fields{
		"userid": p.UserID, "name": p.Nickname, "department": in, "order": orders, "is_leader_in_dept": leads,
		"main_department": in[0], "isleader": leader, "direct_leader": []string{}, "position": "", "telephone": "",
		"alias": "", "english_name": "", "extattr": fields{"attrs": []string{}}, "status": 1, "enable": 1, "hide_mobile": 0,
	}
}

// workUser knows the members that were added. If none was added, every userid is a member.
func (s *Server) workUser(c *call) reply {
	id := c.query.Get("userid")
	if id == "" || len(id) > maxUserID {
		return c.refuseAs(40003, "invalid userid")
	}
	for _, p := range s.members() {
		if strings.EqualFold(p.UserID, id) {
			return c.done(c.app.corp.member(p))
		}
	}
	if len(s.people.list) > 0 {
		return c.refuse(60111)
	}
	return c.done(c.app.corp.member(Person{UserID: id, Nickname: id}))
}

// workUsers replies with the members of a department, and with fetch_child=1 of those below it.
func (s *Server) workUsers(c *call) reply {
	d, errcode := c.app.corp.department(c, c.query.Get("department_id"))
	if errcode != 0 {
		return c.refuseWith(errcode, wording(errcode), fields{"userlist": []string{}})
	}
	departments := []Department{d}
	if c.query.Get("fetch_child") == "1" {
		departments = c.app.corp.under(d)
	}
	list := []fields{}
	for _, p := range s.members() {
		m := c.app.corp.member(p)
		if slices.ContainsFunc(departments, func(d Department) bool { return slices.Contains(m["department"].([]int), d.ID) }) {
			list = append(list, m)
		}
	}
	return c.done(fields{"userlist": list})
}
