package paytest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

const certificates = "/v3/certificates"

// signer returns the serial that signs the answer to a call under this Wechatpay-Serial.
func (c *client) signer(serial string) string {
	c.t.Helper()
	c.serial = serial
	r := c.do("POST", native, nativeOrder("signer-1", 1))
	return r.header.Get("Wechatpay-Serial")
}

func TestANewMerchantHasAPublicKeyAlone(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	require.Regexp(t, `^PUB_KEY_ID_01\d{26}$`, c.m.PublicKeyID)
	r := c.refused(404, "RESOURCE_NOT_EXISTS", "GET", certificates, nil)
	require.Contains(t, r.text("message"), "无可用的平台证书")
	require.Equal(t, c.m.PublicKeyID, c.signer(""))
	require.Empty(t, c.m.Platform)

	said := map[string]bool{}
	for _, f := range paytest.NoCertificates() {
		s.Heal()
		s.AddFault(f)
		r := c.try("GET", certificates, nil)
		require.Contains(t, []int{403, 404, 500}, r.status)
		said[r.text("code")+r.text("message")] = true
	}
	require.Len(t, said, 4)
}

func TestTheSwitchToThePublicKeyHasPhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := new(inbox)
		s := newServer(t)
		s.Transport = paytest.InMemory(in)
		c := newClient(t, s, paytest.Merchant{MchID: mchID, Mode: paytest.Certificates})
		cert, key := c.m.PlatformSerialNo, c.m.PublicKeyID
		// notified counts the notifications of so many that the public key signs.
		notified := func(of int) (n int) {
			before := len(s.Deliveries())
			for range of {
				require.NoError(t, s.Notify(paytest.Notification{MchID: mchID, URL: hook, Event: "A", Plain: []byte("{}")}))
			}
			synctest.Wait()
			for _, d := range s.Deliveries()[before:] {
				if d.Header.Get("Wechatpay-Serial") == key {
					n++
				} else {
					require.Equal(t, cert, d.Header.Get("Wechatpay-Serial"))
				}
			}
			return n
		}
		require.Len(t, c.certificates(), 1)
		require.Equal(t, cert, c.signer(""))
		require.Equal(t, cert, c.signer(key), "not started: the header is ignored")
		require.Zero(t, notified(10))
		secret := object{"type": "PERSONAL_OPENID", "account": payer, "relation_type": "USER", "name": c.secret("张三")}
		r := c.refused(400, "PARAM_ERROR", "POST", "/v3/profitsharing/receivers/add", secret)
		require.Equal(t, "平台证书序列号Wechatpay-Serial错误", r.text("message"))

		for percent, of := range map[float64]int{0: 10, 0.1: 1000, 5: 100, 50: 10, 100: 10} {
			require.NoError(t, s.SetMode(mchID, paytest.Switching, percent))
			require.EqualValues(t, float64(of)*percent/100, notified(of), percent)
			require.Equal(t, cert, c.signer(""))
			require.Equal(t, key, c.signer(key))
		}
		require.NoError(t, s.SetMode(mchID, paytest.Switched, 0))
		require.Equal(t, key, c.signer(""))
		require.Equal(t, 10, notified(10))
		require.NoError(t, s.SetMode(mchID, paytest.Certificates, 0), "rolled back")
		require.Equal(t, cert, c.signer(key))
		require.Error(t, s.SetMode(mchID, "other", 0))
		require.Error(t, s.SetMode(mchID, paytest.Switching, 101))
		require.Error(t, s.SetMode("1", paytest.Switching, 1))
	})
}

func TestCertificatesRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := newClient(t, s, paytest.Merchant{MchID: mchID, Mode: paytest.Certificates})
		first := c.m.PlatformSerialNo
		second, err := s.RotateCertificate(mchID, 5*24*time.Hour)
		require.NoError(t, err)
		require.Len(t, c.certificates(), 2)
		require.Equal(t, first, c.signer(""))
		time.Sleep(5 * 24 * time.Hour)
		require.Equal(t, second, c.signer(""))
		require.Len(t, c.certificates(), 2)
		time.Sleep(5 * 24 * time.Hour)
		require.Len(t, c.certificates(), 1)
		m, err := s.Merchant(mchID)
		require.NoError(t, err)
		require.Equal(t, second, m.PlatformSerialNo)
		_, err = s.RotateCertificate("1", 0)
		require.Error(t, err)
	})
}

func TestTheAPIv3KeyChangesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &inbox{answer: func(n int) int { return []int{500, 204, 204}[n] }}
		s := newServer(t)
		s.Transport = paytest.InMemory(in)
		c := newClient(t, s, paytest.Merchant{MchID: mchID, Mode: paytest.Certificates})
		old := c.m.APIv3Key
		c.paid(s, "order-1", 1)
		synctest.Wait()
		c.m.APIv3Key = "12345678901234567890123456789012"
		require.NoError(t, s.SetAPIv3Key(mchID, c.m.APIv3Key))
		require.Len(t, c.certificates(), 1, "sealed with the new key")
		c.paid(s, "order-2", 1)
		time.Sleep(time.Minute)
		require.Len(t, in.all(), 3)
		for i, key := range []string{old, c.m.APIv3Key, old} { // order-1, order-2, order-1 again
			n := &in.all()[i]
			require.NoError(t, unmarshal(n))
			_, err := n.Seal.open(key)
			require.NoError(t, err, i)
		}
		require.Error(t, s.SetAPIv3Key(mchID, "short"))
		require.Error(t, s.SetAPIv3Key("1", c.m.APIv3Key))
	})
}

func TestSensitiveFieldsNeedTheirSerial(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, paytest.Merchant{MchID: mchID, Mode: paytest.Switching})
	receiver := func(name string) object {
		return object{"type": "PERSONAL_OPENID", "account": payer, "relation_type": "USER", "name": name}
	}
	const path = "/v3/profitsharing/receivers/add"
	for _, serial := range []string{c.m.PublicKeyID, c.m.PlatformSerialNo} {
		c.serial = serial
		c.do("POST", path, receiver(c.secret("张三")))
		require.Equal(t, "请确认待处理的消息是否为加密后的密文", c.refused(400, "PARAM_ERROR", "POST", path, receiver("张三")).text("message"))
	}
	text := c.secret("张三")
	c.serial = ""
	require.Contains(t, c.refused(400, "PARAM_ERROR", "POST", path, receiver(text)).text("message"), "HTTP header缺少微信支付平台证书序列号")
	c.serial = c.m.SerialNo // our own
	require.Equal(t, "平台证书序列号Wechatpay-Serial错误", c.refused(400, "PARAM_ERROR", "POST", path, receiver(text)).text("message"))
	c.serial = c.m.PublicKeyID // of another key
	require.Contains(t, c.refused(400, "PARAM_ERROR", "POST", path, receiver(text)).text("message"), "密文")
}

func TestAMerchantMayBringItsKeys(t *testing.T) {
	s := newServer(t)
	made := s.AddMerchant(paytest.Merchant{MchID: mchID, AppIDs: []string{appID}, Balance: 7})
	again := newClient(t, newServer(t), paytest.Merchant{MchID: mchID, AppIDs: []string{appID}, PrivateKey: made.PrivateKey, Certificate: made.Certificate, APIv3Key: made.APIv3Key})
	require.Equal(t, made.SerialNo, again.m.SerialNo)
	again.do("POST", jsapi, order("order-1", 1))
	shown, err := s.Merchant(mchID)
	require.NoError(t, err)
	require.Equal(t, made, shown)

	other := s.AddMerchant(paytest.Merchant{MchID: "2"})
	for name, m := range map[string]paytest.Merchant{
		"no mchid":                {},
		"a short APIv3 key":       {MchID: "3", APIv3Key: "a"},
		"another mode":            {MchID: "3", Mode: "other"},
		"no key":                  {MchID: "3", PrivateKey: "a"},
		"a certificate as key":    {MchID: "3", PrivateKey: made.Certificate},
		"no certificate":          {MchID: "3", Certificate: "a"},
		"another's certificate":   {MchID: "3", PrivateKey: made.PrivateKey, Certificate: other.Certificate},
		"a merchant as its shops": {MchID: "3", Subs: []paytest.Sub{{MchID: mchID}}},
	} {
		require.Panics(t, func() { s.AddMerchant(m) }, name)
	}
}
