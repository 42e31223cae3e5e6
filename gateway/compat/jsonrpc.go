package compat

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/answer"
)

// jsonRPC serves JSON-RPC 2.0. An error of a method is its result, {"errcode":…,"msg":"…"}, as old clients read it; the member error
// is for a request that is none.
type jsonRPC struct{ *accessToken }

const maxCalls = 100 // in one request

// call is a call of a method, and response the reply to it.
type (
	call struct {
		Version string          `json:"jsonrpc"`
		Method  string          `json:"method"`
		Params  json.RawMessage `json:"params"`
		ID      json.RawMessage `json:"id"`
	}
	response struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Result  any             `json:"result,omitempty"`
		Error   *rpcError       `json:"error,omitempty"`

		status int // 200, or that of a refusal
	}
	rpcError struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	result struct {
		Code int    `json:"errcode"`
		Msg  string `json:"msg"`
	}
)

// Errors of JSON-RPC.
var (
	errParse   = &rpcError{-32700, "Parse error"}
	errRequest = &rpcError{-32600, "Invalid request"}
	errMethod  = &rpcError{-32601, "Method not found"}
	errParams  = &rpcError{-32602, "Invalid method parameter(s): want an array with one object"}
)

func (e *rpcError) Error() string { return e.Message }

func (s jsonRPC) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		writeStatus(w, http.StatusMethodNotAllowed)
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		writeStatus(w, http.StatusUnsupportedMediaType)
		return
	}
	body, err := readBody(w, r)
	body = bytes.TrimSpace(body)
	if err != nil || !json.Valid(body) {
		write(w, http.StatusBadRequest, newResponse(nil, errParse))
		return
	}
	if body[0] != '[' {
		one := s.serve(r, body)
		if one == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		write(w, one.status, one)
		return
	}
	var list []json.RawMessage
	if json.Unmarshal(body, &list) != nil || len(list) == 0 || len(list) > maxCalls {
		write(w, http.StatusOK, newResponse(nil, errRequest))
		return
	}
	var all []*response
	for _, raw := range list {
		if one := s.serve(r, raw); one != nil {
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	status := all[0].status
	for _, one := range all {
		if one.status != status { // clients read no body of another status than 200
			status = http.StatusOK
		}
	}
	write(w, status, all)
}

func write(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		writeStatus(w, http.StatusInternalServerError)
		return
	}
	answer.JSON(w, status, body)
}

// newResponse returns the response with a result, or with an error.
func newResponse(id json.RawMessage, v any) *response {
	if len(id) == 0 {
		id = json.RawMessage("null")
	}
	one := &response{Version: "2.0", ID: id, status: http.StatusOK}
	err, failed := v.(error)
	if !failed {
		one.Result = v
		return one
	}
	if errors.As(err, &one.Error) {
		return one
	}
	old := asOldError(err)
	one.Result = result{old.Code, old.Error()}
	if old.status != 0 {
		one.status = old.status
	}
	return one
}

// serve answers a call, or returns nil for one that wants no response.
func (s jsonRPC) serve(r *http.Request, raw []byte) *response {
	var c call
	if json.Unmarshal(raw, &c) != nil || c.Version != "2.0" || c.Method == "" || !begins(c.ID, `"-0123456789n`) || !begins(c.Params, "[{") {
		return newResponse(nil, errRequest)
	}
	got, err := s.run(r, c)
	switch {
	case len(c.ID) == 0 || string(c.ID) == "null":
		return nil
	case err != nil:
		return newResponse(c.ID, err)
	}
	return newResponse(c.ID, got)
}

// begins reports whether a value, which may be absent, begins with one of some characters.
func begins(raw json.RawMessage, with string) bool {
	return len(raw) == 0 || strings.IndexByte(with, raw[0]) >= 0
}

// run runs a method.
func (s jsonRPC) run(r *http.Request, c call) (any, error) {
	var in struct {
		AppID  string `json:"appid"`
		Secret string `json:"secret"`
		Force  any    `json:"force"`

		Type        string `json:"type"`        // of getAuthUrl
		RedirectURI string `json:"redirectUri"` // of getAuthUrl
	}
	var list []json.RawMessage
	if len(c.Params) > 0 && json.Unmarshal(c.Params, &list) != nil || len(list) > 1 {
		return nil, errParams
	}
	if len(list) == 1 && (list[0][0] != '{' || json.Unmarshal(list[0], &in) != nil) {
		return nil, errParams
	}
	text, _ := in.Force.(string)
	request := tokenRequest{appID: in.AppID, secret: in.Secret, force: in.Force == true || isTrue(text)}
	switch c.Method {
	case "accessToken":
	case "getAuthUrl":
		got, err := s.authURL(r, readQuery(r), in.Type, in.RedirectURI)
		if errors.Is(err, errNoAPI) {
			return nil, errMethod // there is no platform
		}
		return got, err
	case "getMpAccessTokenByAppid", "getAccessTokenOpen":
		if in.AppID == "" {
			return nil, errParameter("appid is missing")
		}
	case "registerAppid":
		caller, err := s.findAdmin(r, readQuery(r))
		if err != nil {
			return nil, err
		}
		return true, s.register(r, caller, in.AppID, in.Secret)
	default:
		return nil, errMethod
	}
	var caller *gateway.Caller
	caller, err := s.findCaller(r, readQuery(r))
	if err != nil {
		return nil, err
	}
	return s.token(r, caller, request)
}
