package shoptest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// MchID and AppID are those of a Bank.
const (
	MchID = "1900000001"
	AppID = "wx0123456789abcdef"
)

// Bank is a simulated WeChat Pay with one merchant.
type Bank struct {
	*paytest.Server
	Added *paytest.Merchant

	mu       sync.Mutex
	receiver http.Handler
}

// keys are the keys of all banks, in turn. Making more takes long.
var keys struct {
	sync.Mutex
	list []*rsa.PrivateKey
	next int
}

func takeKey() (*rsa.PrivateKey, error) {
	keys.Lock()
	defer keys.Unlock()
	keys.next++
	if i := keys.next % 4; len(keys.list) == 4 {
		return keys.list[i], nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err == nil {
		keys.list = append(keys.list, key)
	}
	return key, err
}

// NewBank returns a WeChat Pay in memory. It works in a bubble of synctest.
func NewBank(t *testing.T) *Bank {
	b := &Bank{receiver: http.NotFoundHandler()}
	b.Server = &paytest.Server{GenerateKey: takeKey, Transport: paytest.InMemory(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		receiver := b.receiver
		b.mu.Unlock()
		receiver.ServeHTTP(w, r)
	}))}
	b.Added = b.AddMerchant(paytest.Merchant{MchID: MchID, Name: "老店", AppIDs: []string{AppID}, Balance: 1_000_000})
	t.Cleanup(b.Close)
	return b
}

// Merchant returns the merchant by one version of the API, v2 or v3.
func (b *Bank) Merchant(t *testing.T, version string) pay.Merchant {
	if version == "v2" {
		certificate, err := tls.X509KeyPair([]byte(b.Added.Certificate), []byte(b.Added.PrivateKey))
		require.NoError(t, err)
		m, err := payv2.New(payv2.Config{
			AppID: AppID, MchID: MchID, APIKey: b.Added.APIKey, Certificate: certificate, HTTP: b.TLSClient(certificate),
		})
		require.NoError(t, err)
		return m
	}
	public, err := payv3.ParsePublicKey([]byte(b.Added.PublicKey))
	require.NoError(t, err)
	m, err := payv3.New(payv3.Config{
		AppID: AppID, MchID: MchID, SerialNo: b.Added.SerialNo, Key: b.Added.Key, APIv3Key: b.Added.APIv3Key,
		PublicKeyID: b.Added.PublicKeyID, PublicKey: public, HTTP: b.Client(),
	})
	require.NoError(t, err)
	return m
}

// Connect gives a shop a Cashier that uses the bank, and lets it receive the notifications.
func (b *Bank) Connect(t *testing.T, s *shop.Shop, versions ...string) {
	var merchants []pay.Merchant
	for _, version := range versions {
		merchants = append(merchants, b.Merchant(t, version))
	}
	s.AppID = AppID
	s.Cashier = &pay.Cashier{Merchants: merchants, URL: "https://shop.example.com", Store: s.Shared}
	s.Connect()
	mux := http.NewServeMux()
	wetoken.Bind(mux, "/", s.Cashier)
	b.Notify(mux)
}

// Notify makes a handler receive the notifications.
func (b *Bank) Notify(h http.Handler) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.receiver = h
}

// OpenInBubble opens an SQLite file in a bubble of synctest, whose clock the tokens and orders of the shop follow.
func OpenInBubble(t *testing.T) *shop.Shop {
	s, _ := Open(t, t.TempDir()+"/shop.db")
	s.Shared = new(store.Memory)
	return s
}

// AddUser adds a user.
func AddUser(t *testing.T, s *shop.Shop, name string) shop.User {
	id, err := s.Store.AddUser(t.Context(), shop.User{Username: name, PasswordHash: "-", Mobile: "13800000000"})
	require.NoError(t, err)
	u, err := s.Store.User(t.Context(), id)
	require.NoError(t, err)
	return u
}
