package wechattest

import (
	"errors"
	"net/http"
)

func (s *Server) controlDepartment(r *http.Request) error {
	var in struct {
		Corp string `json:"corp"`
		Department
	}
	if err := controlBody(r, &in); err != nil {
		return err
	}
	if in.Corp == "" || in.ID < 1 {
		return errors.New("wechattest: corp is missing, or id is not 1 or more")
	}
	s.AddDepartment(in.Corp, in.Department)
	return nil
}

func (s *Server) controlFollow(r *http.Request) error {
	var in struct {
		App     string `json:"app"`
		Person  string `json:"person"`
		Follows bool   `json:"follows"`
	}
	if err := controlBody(r, &in); err != nil {
		return err
	}
	s.mu.Lock()
	_, known := s.person(in.Person)
	s.mu.Unlock()
	if in.Person == "" || !known {
		return errors.New("wechattest: no such person")
	}
	s.Follow(in.App, in.Person, in.Follows)
	return nil
}
