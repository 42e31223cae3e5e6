package pay_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

const notifyAddress = "https://shop.example.com/pay/notify"

// day is the state of TestADay.
type day struct {
	t         *testing.T
	begun     time.Time
	server    *paytest.Server
	store     *flaky // of both processes
	processes [2]process
	accounts  [2]*account // process n places orders with accounts[n]
	books     *books
	theirKeys map[string]*rsa.PublicKey // of WeChat, by serial
	plans     map[string]plan           // by out_trade_no
	version   version
	orders    int
	opens     time.Duration // until the last orders begin
	changing  chan struct{} // holds a value while settings and processes change

	mu     sync.Mutex
	random *rand.Rand
	wrong  []string
	placed map[string]map[version]bool // how each out_trade_no was placed

	refunded map[string]map[version]bool // how each out_refund_no was asked for
	noon     map[string]paytest.Order    // all orders at the time of the move, by out_trade_no
}

// account is a merchant with the settings of its deployment.
type account struct {
	shown     *paytest.Merchant
	publicKey bool // verifies with WeChat's public key
	key, old  string

	keyV2, oldV2 string
	versions     []version // of its Merchants
}

// process serves a Cashier, and is replaced during the day.
type process struct {
	cashier atomic.Pointer[pay.Cashier]
	handler atomic.Pointer[http.Handler]
	stop    func()
}

func newDay(t *testing.T, seed uint64, v version, orders int) *day {
	d := &day{
		t: t, begun: time.Now(), random: rand.New(rand.NewPCG(seed, 1<<63)), books: newBooks(),
		theirKeys: make(map[string]*rsa.PublicKey), plans: make(map[string]plan),
		version: v, orders: orders, opens: 20 * time.Hour, changing: make(chan struct{}, 1), placed: make(map[string]map[version]bool), refunded: make(map[string]map[version]bool),
	}
	if v != onV3 {
		d.opens = 15 * time.Hour // most of the cost is that of the hours
	}
	d.store = &flaky{Store: &slow{Store: new(store.Memory), day: d}}
	d.books.isAway = d.wasAway
	made := 0
	d.server = &paytest.Server{
		Transport: paytest.InMemory(http.HandlerFunc(d.serveNotification)), RefundAfter: 5 * time.Minute,
		GenerateKey: func() (*rsa.PrivateKey, error) { // never at the same time
			made++
			return rsaKeys()[1+made%2], nil
		},
	}
	for i, mode := range []paytest.Mode{paytest.Certificates, paytest.PublicKey} {
		shown := d.server.AddMerchant(paytest.Merchant{
			MchID: fmt.Sprint(1900000001 + i), AppIDs: []string{testAppID}, RefundURL: notifyAddress, Balance: 1 << 40, Key: rsaKeys()[0], Mode: mode,
		})
		d.accounts[i] = &account{shown: shown, publicKey: mode == paytest.PublicKey, key: shown.APIv3Key, keyV2: shown.APIKey, versions: []version{onV2}}
		if v == onV3 {
			d.accounts[i].versions = []version{onV3}
		}
	}
	d.learnKeys()
	for i := range d.processes {
		d.deploy(i)
	}
	return d
}

// learnKeys stores WeChat's current keys.
func (d *day) learnKeys() {
	for _, a := range d.accounts {
		m, err := d.server.Merchant(a.shown.MchID)
		require.NoError(d.t, err)
		d.theirKeys[m.PublicKeyID], err = payv3.ParsePublicKey([]byte(m.PublicKey))
		require.NoError(d.t, err)
		if m.Platform != "" {
			cert, err := payv3.ParseCertificate([]byte(m.Platform))
			require.NoError(d.t, err)
			d.theirKeys[m.PlatformSerialNo] = cert.PublicKey.(*rsa.PublicKey)
		}
	}
}

// merchant returns the Merchant for the current deployment of an account.
func (a *account) merchant(d *day) *payv3.Merchant {
	c := payv3.Config{
		AppID: testAppID, MchID: a.shown.MchID, SerialNo: a.shown.SerialNo, Key: rsaKeys()[0], APIv3Key: a.key, PreviousAPIv3Key: a.old,
		HTTP: &http.Client{Transport: wire{d, d.server.Client().Transport}}, NotifyURL: notifyAddress,
	}
	if a.publicKey {
		c.PublicKeyID, c.PublicKey = a.shown.PublicKeyID, d.theirKeys[a.shown.PublicKeyID]
	}
	m, err := payv3.New(c)
	require.NoError(d.t, err)
	return m
}

// deploy replaces process i.
func (d *day) deploy(i int) {
	c := &pay.Cashier{
		Merchants: append(d.accounts[i].merchants(d), d.accounts[1-i].merchants(d)...), URL: "https://shop.example.com", Store: d.store,
		OnPaid: d.books.onPaid, OnRefund: d.books.onRefund, OnError: d.onError,
	}
	p := &d.processes[i]
	handler := wetoken.Handler(c)
	p.cashier.Store(c)
	p.handler.Store(&handler)
	if p.stop != nil {
		p.stop()
	}
	p.stop = run(c)
}

// onError fails the day if a refund was accepted and then refused: the shop counts on it.
func (d *day) onError(_ context.Context, err error) {
	if strings.Contains(err.Error(), "which was accepted, was refused") {
		d.fail("%v", err)
	}
}

// stop ends Run in both processes. They still receive notifications.
func (d *day) stop() {
	for i := range d.processes {
		d.processes[i].stop()
	}
}

func (d *day) cashier(i int) *pay.Cashier { return d.processes[i].cashier.Load() }

// serveNotification passes a notification to one of the processes.
func (d *day) serveNotification(w http.ResponseWriter, r *http.Request) {
	(*d.processes[d.intN(2)].handler.Load()).ServeHTTP(w, r)
}

func (d *day) intN(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.IntN(n)
}

func (d *day) fail(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wrong = append(d.wrong, fmt.Sprintf(format, args...))
}

// at waits for a time of the day.
func (d *day) at(after time.Duration) { time.Sleep(time.Until(d.begun.Add(after))) }

// wire is a slow transport to WeChat.
type wire struct {
	day  *day
	next http.RoundTripper
}

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.day.noteVersion(r)
	time.Sleep(time.Duration(5+w.day.intN(200)) * time.Millisecond)
	res, err := w.next.RoundTrip(r)
	time.Sleep(time.Duration(5+w.day.intN(50)) * time.Millisecond)
	return res, err
}

// slow is a slow store. It loses the reply of a few writes.
type slow struct {
	store.Store
	day *day
}

const oneIn = 400 // writes loses its answer

func (s *slow) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if s.day.version == onV3 || s.day.intN(16) == 0 { // the other days have many reads for few orders
		time.Sleep(time.Millisecond)
	}
	return s.Store.Get(ctx, key)
}

func (s *slow) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	time.Sleep(time.Millisecond)
	swapped, err := s.Store.Swap(ctx, key, old, new, ttl)
	time.Sleep(time.Duration(1+s.day.intN(4)) * time.Millisecond)
	if s.day.intN(oneIn) == 0 {
		return false, errStore
	}
	return swapped, err
}

// verifies reports whether WeChat's key signed an attempt, within 5 minutes.
func verifies(key *rsa.PublicKey, a paytest.Delivery) bool {
	if key == nil {
		return false
	}
	signature, err := base64.StdEncoding.DecodeString(a.Header.Get("Wechatpay-Signature"))
	if err != nil {
		return false
	}
	stamp := a.Header.Get("Wechatpay-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || a.At.Sub(time.Unix(seconds, 0)).Abs() >= 5*time.Minute {
		return false
	}
	sum := sha256.Sum256([]byte(stamp + "\n" + a.Header.Get("Wechatpay-Nonce") + "\n" + a.Body + "\n"))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
}
