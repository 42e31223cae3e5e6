package wechattest

import (
	"context"
	"errors"
)

type departmentBody struct {
	Corp string `json:"corp"`
	Department
}

func controlDepartment(_ context.Context, s *Server, in departmentBody) (any, error) {
	if in.Corp == "" || in.ID < 1 {
		return nil, errors.New("wechattest: corp, id: want a corp id, and an id of 1 or more")
	}
	s.AddDepartment(in.Corp, in.Department)
	return fields{}, nil
}

type followBody struct {
	App     string `json:"app"`
	Person  string `json:"person"`
	Follows bool   `json:"follows"`
}

func controlFollow(_ context.Context, s *Server, in followBody) (any, error) {
	s.mu.Lock()
	_, known := s.person(in.Person)
	s.mu.Unlock()
	if in.Person == "" || !known {
		return nil, errors.New("wechattest: unknown person")
	}
	s.Follow(in.App, in.Person, in.Follows)
	return fields{}, nil
}
