// Package jssdk signs what pages pass to WeChat's scripts: wx.config, WeCom's wx.agentConfig, and cards.
//
//	tickets := &ticket.Manager{AppID: id, Tokens: tokens, Store: s} // or a *ticket.Remote
//	signer := &jssdk.Signer{AppID: id, Tickets: tickets, Hosts: []string{"shop.example.com"}}
//	wetoken.Bind(public, "/wx", &jssdk.Handler{Signer: signer})
//
// and in a page, after WeChat's own script:
//
//	<script src="https://wx.example.com/wx/js/config.js?jsApiList=scanQRCode,chooseImage"></script>
//
// A page may be signed when its host is among Hosts, and runs when that host is also among the JS safe domains
// (JS接口安全域名) in WeChat's console.
package jssdk

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wetoken/wetoken/internal/field"
	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/wechat"
)

// ErrPage is the refusal to sign for a page: its address is not a whole one, or its host is not among Signer.Hosts.
var ErrPage = errors.New("this page may not be signed")

// Source hands out tickets by WeChat's name of their kind: jsapi, wx_card or agent_config. A *ticket.Manager and a
// *ticket.Remote are Sources.
type Source interface {
	Ticket(ctx context.Context, typ string) (wechat.Credential, error)
}

// Signer signs for one app. Its methods are safe for concurrent use, and its fields are not to be changed after the
// first. Errors wrap ErrPage, or what kept the ticket from being had.
//
// See https://developers.weixin.qq.com/doc/service/guide/h5/jssdk.html (JS-SDK 使用权限签名算法).
type Signer struct {
	AppID   string // the corp id of WeCom
	Tickets Source
	Hosts   []string // hosts of the pages that may be signed, such as shop.example.com or 127.0.0.1:8080

	Kind    wechat.Kind // an official account (公众号) or WeCom (企业微信): no other kind has tickets. Default wechat.Official
	AgentID int         // the WeCom application, where AgentConfig is wanted
}

// Config is the argument of wx.config.
type Config struct {
	Beta        bool     `json:"beta,omitempty"` // WeCom: makes the calls of wx.invoke's form work
	Debug       bool     `json:"debug"`          // WeChat's script shows each call and its result
	AppID       string   `json:"appId"`
	Timestamp   int64    `json:"timestamp"` // seconds
	NonceStr    string   `json:"nonceStr"`
	Signature   string   `json:"signature"`
	JSAPIList   []string `json:"jsApiList"`             // calls the page wants to make; not signed
	OpenTagList []string `json:"openTagList,omitempty"` // open tags (开放标签) the page holds; not signed
}

// Config signs the page for wx.config. Its list of calls is that of sharing, in WeChat's new and old names; a caller may
// set another one, Debug and OpenTagList afterwards. What follows # in the address is not signed.
//
// A page that changes its address without being loaded anew signs the new address, but on iOS the one it was loaded by.
func (s *Signer) Config(ctx context.Context, page string) (Config, error) {
	sig, err := s.sign(ctx, "jsapi", page)
	if err != nil {
		return Config{}, err
	}
	return Config{
		Beta: s.Kind == wechat.Work, AppID: s.AppID,
		Timestamp: sig.timestamp, NonceStr: sig.nonce, Signature: sig.signature,
		JSAPIList: slices.Clone(sharing[:]),
	}, nil
}

// sharing is what nearly every page wants: the calls of today, and those of older WeChat.
var sharing = [...]string{
	"updateAppMessageShareData", "updateTimelineShareData",
	"onMenuShareAppMessage", "onMenuShareTimeline", "onMenuShareQQ", "onMenuShareWeibo", "onMenuShareQZone",
}

// AgentConfig is the argument of WeCom's wx.agentConfig; the page adds success and fail.
type AgentConfig struct {
	CorpID    string   `json:"corpid"`
	AgentID   int      `json:"agentid"`
	Timestamp int64    `json:"timestamp"` // seconds
	NonceStr  string   `json:"nonceStr"`
	Signature string   `json:"signature"`
	JSAPIList []string `json:"jsApiList"` // calls the page wants to make, none by default; not signed
}

// AgentConfig signs the page for wx.agentConfig, in the name of the WeCom application AgentID, whose own ticket it needs.
//
// See https://developer.work.weixin.qq.com/document/path/94313 (企业微信).
func (s *Signer) AgentConfig(ctx context.Context, page string) (AgentConfig, error) {
	if s.Kind != wechat.Work || s.AgentID == 0 {
		return AgentConfig{}, fmt.Errorf("jssdk: agentConfig is of WeCom's applications: Kind must be work and AgentID must be set: %w", ErrPage)
	}
	sig, err := s.sign(ctx, "agent_config", page)
	if err != nil {
		return AgentConfig{}, err
	}
	return AgentConfig{
		CorpID: s.AppID, AgentID: s.AgentID,
		Timestamp: sig.timestamp, NonceStr: sig.nonce, Signature: sig.signature,
		JSAPIList: []string{},
	}, nil
}

type signed struct {
	timestamp        int64
	nonce, signature string
}

func (s *Signer) sign(ctx context.Context, typ, page string) (signed, error) {
	if err := s.allows(page); err != nil {
		return signed{}, err
	}
	ticket, err := s.ticket(ctx, typ)
	if err != nil {
		return signed{}, err
	}
	sig := signed{timestamp: time.Now().Unix(), nonce: rand.Text()}
	sig.signature = Sign(ticket, sig.nonce, sig.timestamp, page)
	return sig, nil
}

func (s *Signer) allows(page string) error {
	if err := hosts.Check(page, s.Hosts); err != nil {
		return fmt.Errorf("jssdk: %w: %w", ErrPage, err)
	}
	return nil
}

func (s *Signer) ticket(ctx context.Context, typ string) (string, error) {
	if err := field.CheckOneOf(cmp.Or(s.Kind, wechat.Official), wechat.Official, wechat.Work); err != nil {
		return "", fmt.Errorf("jssdk: Signer.Kind %w", err)
	}
	if s.Tickets == nil {
		return "", errors.New("jssdk: Tickets must be set")
	}
	t, err := s.Tickets.Ticket(ctx, typ)
	if err != nil {
		return "", fmt.Errorf("jssdk: %w", err)
	}
	return t.Value, nil
}
