// Package jssdk signs the arguments that pages pass to WeChat's scripts: wx.config, WeCom's wx.agentConfig, and cards.
//
//	tickets := &ticket.Manager{AppID: id, Tokens: tokens, Store: s} // or a *ticket.Remote
//	signer := &jssdk.Signer{AppID: id, Tickets: tickets, Hosts: []string{"shop.example.com"}}
//	wetoken.Bind(public, "/wx", &jssdk.Handler{Signer: signer})
//
// and in a page, after WeChat's own script:
//
//	<script src="https://wx.example.com/wx/js/config.js?jsApiList=scanQRCode,chooseImage"></script>
//
// A page may be signed if its host is among Hosts. WeChat accepts the signature if the host is also one of the JS safe
// domains (JS接口安全域名) in WeChat's console.
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

// ErrPage is the refusal to sign for a page: its address is incomplete, or its host is not among Signer.Hosts.
var ErrPage = errors.New("this page may not be signed")

// Source returns tickets by WeChat's name of their type: jsapi, wx_card or agent_config. A *ticket.Manager and a
// *ticket.Remote are Sources.
type Source interface {
	Ticket(ctx context.Context, typ string) (wechat.Credential, error)
}

// Signer signs for one app. Its methods are safe for concurrent use. Do not change its fields after the first call.
// Errors wrap ErrPage, or the reason why there is no ticket.
//
// See https://developers.weixin.qq.com/doc/service/guide/h5/jssdk.html (JS-SDK 使用权限签名算法).
type Signer struct {
	AppID   string // WeCom: the corp id
	Tickets Source

	// Hosts are the hosts of the pages that may be signed, such as shop.example.com or 127.0.0.1:8080.
	Hosts []string

	// Kind is an official account (公众号) or WeCom (企业微信): other kinds have no tickets. Default: wechat.Official.
	Kind wechat.Kind

	// AgentID is the WeCom application. It is required for AgentConfig.
	AgentID int
}

// Config is the argument of wx.config.
type Config struct {
	Beta        bool     `json:"beta,omitempty"` // WeCom: enables wx.invoke
	Debug       bool     `json:"debug"`          // WeChat's script shows each call and its result
	AppID       string   `json:"appId"`
	Timestamp   int64    `json:"timestamp"` // seconds
	NonceStr    string   `json:"nonceStr"`
	Signature   string   `json:"signature"`
	JSAPIList   []string `json:"jsApiList"`             // calls that the page makes; not signed
	OpenTagList []string `json:"openTagList,omitempty"` // open tags (开放标签) on the page; not signed
}

// Config signs a page for wx.config. JSAPIList is that of sharing, in WeChat's new and old names. A caller may replace
// it, and set Debug and OpenTagList. The part of the address from # on is not signed.
//
// A page that changes its address without loading again signs the new address, but on iOS the address it was loaded
// from.
func (s *Signer) Config(ctx context.Context, page string) (Config, error) {
	sig, err := s.signPage(ctx, "jsapi", page)
	if err != nil {
		return Config{}, err
	}
	return Config{
		Beta: s.Kind == wechat.Work, AppID: s.AppID,
		Timestamp: sig.timestamp, NonceStr: sig.nonce, Signature: sig.signature,
		JSAPIList: slices.Clone(sharingCalls[:]),
	}, nil
}

// sharingCalls are the calls for sharing, which nearly every page makes: the present ones and those of older WeChat.
var sharingCalls = [...]string{
	"updateAppMessageShareData", "updateTimelineShareData",
	"onMenuShareAppMessage", "onMenuShareTimeline", "onMenuShareQQ", "onMenuShareWeibo", "onMenuShareQZone",
}

// AgentConfig is the argument of WeCom's wx.agentConfig. The page adds success and fail.
type AgentConfig struct {
	CorpID    string   `json:"corpid"`
	AgentID   int      `json:"agentid"`
	Timestamp int64    `json:"timestamp"` // seconds
	NonceStr  string   `json:"nonceStr"`
	Signature string   `json:"signature"`
	JSAPIList []string `json:"jsApiList"` // calls that the page makes, none by default; not signed
}

// AgentConfig signs a page for wx.agentConfig and the WeCom application AgentID, with the application's own ticket.
//
// See https://developer.work.weixin.qq.com/document/path/94313 (企业微信).
func (s *Signer) AgentConfig(ctx context.Context, page string) (AgentConfig, error) {
	if s.Kind != wechat.Work || s.AgentID == 0 {
		return AgentConfig{}, fmt.Errorf("jssdk: agentConfig is for applications of WeCom: want Kind work and an AgentID: %w", ErrPage)
	}
	sig, err := s.signPage(ctx, "agent_config", page)
	if err != nil {
		return AgentConfig{}, err
	}
	return AgentConfig{
		CorpID: s.AppID, AgentID: s.AgentID,
		Timestamp: sig.timestamp, NonceStr: sig.nonce, Signature: sig.signature,
		JSAPIList: []string{},
	}, nil
}

type signature struct {
	timestamp        int64
	nonce, signature string
}

func (s *Signer) signPage(ctx context.Context, typ, page string) (signature, error) {
	if err := s.checkPage(page); err != nil {
		return signature{}, err
	}
	ticket, err := s.readTicket(ctx, typ)
	if err != nil {
		return signature{}, err
	}
	sig := signature{timestamp: time.Now().Unix(), nonce: rand.Text()}
	sig.signature = Sign(ticket, sig.nonce, sig.timestamp, page)
	return sig, nil
}

func (s *Signer) checkPage(page string) error {
	if err := hosts.Check(page, s.Hosts); err != nil {
		return fmt.Errorf("jssdk: %w: %w", ErrPage, err)
	}
	return nil
}

func (s *Signer) readTicket(ctx context.Context, typ string) (string, error) {
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
