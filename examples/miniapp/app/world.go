package app

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/wetoken/wetoken/examples/miniapp/config"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// World is a simulated WeChat with WeChat Pay, for pay.produce: false.
type World struct {
	URL    string
	People []string // users of the simulated phone

	WeChat *wechattest.Server // nil if it is another program
	Pay    *paytest.Server    // likewise

	merchant *payv3.Config
	server   *http.Server
}

const owner = "open-platform" // of the mini program and the official account, whose users have unionids

// Simulate starts a simulated WeChat that knows the apps and the merchant of a configuration. own is the URL of the program. With
// miniapp.simulator it is another program, which must know them.
func Simulate(c *config.Config, own string) (*World, error) {
	if c.Miniapp.Simulator != "" {
		return &World{URL: c.Miniapp.Simulator}, nil
	}
	w := &World{WeChat: new(wechattest.Server), Pay: new(paytest.Server)}
	w.addApps(c, own)
	if err := w.addMerchant(c); err != nil {
		return nil, fmt.Errorf("app: simulate WeChat Pay: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w.URL = "http://" + l.Addr().String()
	w.server = &http.Server{Handler: w, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = w.server.Serve(l) }() // until Close
	return w, nil
}

// ServeHTTP chooses between WeChat and WeChat Pay by the path.
func (w *World) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if paytest.Serves(r.URL.Path) {
		w.Pay.ServeHTTP(rw, r)
		return
	}
	w.WeChat.ServeHTTP(rw, r)
}

// Close ends the simulation.
func (w *World) Close() error {
	if w.server == nil {
		return nil
	}
	w.Pay.Close()
	return w.server.Close()
}

func (w *World) addApps(c *config.Config, own string) {
	wc := &c.OpenPlatform.WeChat
	if wc.MiniApp.On() {
		app := wechattest.App{ID: wc.MiniApp.AppKey, Secret: wc.MiniApp.AppSecret, Kind: wechattest.Mini, Owner: owner, Players: []string{own}}
		if id := c.Miniapp.PaidTemplate.ID; id != "" {
			app.Templates = []string{id}
		}
		w.WeChat.Add(app)
	}
	if wc.OfficialAccount.On() {
		host, _ := url.Parse(own) // a checked URL, or that of a listener
		w.WeChat.Add(wechattest.App{ID: wc.OfficialAccount.AppID, Secret: wc.OfficialAccount.AppSecret, Owner: owner, RedirectDomain: host.Host})
	}
	for _, p := range []wechattest.Person{
		{Name: "小明", Nickname: "小明 👋", Phone: "13800138000"},
		{Name: "小红", Nickname: "小红", Phone: "13900139000"},
		{Name: "老明", Nickname: "小明的另一个微信", Phone: "13800138000"},
	} {
		w.WeChat.AddPerson(p)
		w.People = append(w.People, p.Name)
	}
	w.WeChat.FindPayment = wechattest.PaidBy(w.Pay)
}

// addMerchant adds the merchant of the configuration, with the keys of its files where they exist.
func (w *World) addMerchant(c *config.Config) error {
	p := &c.OpenPlatform.WeChat.Pay
	if !p.On() {
		return nil
	}
	m := paytest.Merchant{MchID: p.MchID, Name: "示例商店", APIv3Key: p.APIv3SecretKey}
	for _, f := range []struct {
		file string
		to   *string
	}{{p.KeyFilePath, &m.PrivateKey}, {filepath.Join(p.CertificatePath, p.CertificateName), &m.Certificate}} {
		if p.KeyFilePath == "" || p.CertificateName == "" {
			break
		}
		text, err := os.ReadFile(f.file)
		if err != nil {
			return err
		}
		*f.to = string(text)
	}
	if len(m.APIv3Key) != 0 && len(m.APIv3Key) != 32 {
		return errors.New("api-v3-secretkey: want 32 bytes, or none")
	}
	for _, id := range []string{c.OpenPlatform.WeChat.MiniApp.AppKey, c.OpenPlatform.WeChat.OfficialAccount.AppID} {
		if id != "" {
			m.AppIDs = append(m.AppIDs, id)
		}
	}
	added := w.Pay.AddMerchant(m)
	key, err := payv3.ParseKey([]byte(added.PrivateKey))
	if err != nil {
		return err
	}
	public, err := payv3.ParsePublicKey([]byte(added.PublicKey))
	if err != nil {
		return err
	}
	w.merchant = &payv3.Config{
		MchID: added.MchID, SerialNo: added.SerialNo, Key: key, APIv3Key: added.APIv3Key, PublicKeyID: added.PublicKeyID, PublicKey: public,
	}
	return nil
}
