package payv3_test

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/bench"
	"github.com/wetoken/wetoken/pay/payv3"
)

const benchBody = `{"appid":"wxd678efh567hg6787","mchid":"1900007291","description":"Image形象店-深圳腾大-QQ公仔","out_trade_no":"1217752501201407033233368018","notify_url":"https://www.weixin.qq.com/wxpay/pay.php","amount":{"total":100,"currency":"CNY"},"payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}`

// times does something n times, which must succeed.
func times(b *testing.B, do func() bool) func(n int) {
	return func(n int) {
		for range n {
			if !do() {
				b.Error("it failed")
				return
			}
		}
	}
}

// BenchmarkAuthorization compares the header of a call with one bare signature.
func BenchmarkAuthorization(b *testing.B) {
	key, m, body := merchantKey(), newMerchant(b, config()), []byte(benchBody)
	digest := sha256.Sum256(body)
	floor := times(b, func() bool {
		_, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
		return err == nil
	})
	bench.Ratio(b, 1, floor, times(b, func() bool {
		_, err := payv3.Authorize(m, "POST", "/v3/pay/transactions/jsapi", body)
		return err == nil
	}))
}

// BenchmarkNotification compares Parse with the bare primitives and encoding/json.
func BenchmarkNotification(b *testing.B) {
	s, m := newFake().signs, newMerchant(b, config())
	body := notification(apiV3Key, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
	h := s.sign(body)
	block, err := aes.NewCipher([]byte(apiV3Key))
	require.NoError(b, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(b, err)
	floor := times(b, func() bool {
		message := h.Get("Wechatpay-Timestamp") + "\n" + h.Get("Wechatpay-Nonce") + "\n" + string(body) + "\n"
		sum := sha256.Sum256([]byte(message))
		signature, err := base64.StdEncoding.DecodeString(h.Get("Wechatpay-Signature"))
		if err != nil || rsa.VerifyPKCS1v15(&s.key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
			return false
		}
		var outer struct {
			ID        string `json:"id"`
			EventType string `json:"event_type"`
			Resource  struct {
				Nonce      string `json:"nonce"`
				Associated string `json:"associated_data"`
				Ciphertext string `json:"ciphertext"`
			} `json:"resource"`
		}
		if json.Unmarshal(body, &outer) != nil {
			return false
		}
		sealed, err := base64.StdEncoding.DecodeString(outer.Resource.Ciphertext)
		if err != nil {
			return false
		}
		plain, err := aead.Open(nil, []byte(outer.Resource.Nonce), sealed, []byte(outer.Resource.Associated))
		if err != nil {
			return false
		}
		var t struct {
			AppID         string `json:"appid"`
			MchID         string `json:"mchid"`
			OutTradeNo    string `json:"out_trade_no"`
			TransactionID string `json:"transaction_id"`
			TradeType     string `json:"trade_type"`
			TradeState    string `json:"trade_state"`
			Attach        string `json:"attach"`
			SuccessTime   string `json:"success_time"`
			Payer         struct {
				OpenID string `json:"openid"`
			} `json:"payer"`
			Amount struct {
				Total      int64 `json:"total"`
				PayerTotal int64 `json:"payer_total"`
			} `json:"amount"`
		}
		return json.Unmarshal(plain, &t) == nil && t.MchID == mchID
	})
	bench.Ratio(b, 1, floor, times(b, func() bool {
		n, err := m.Parse(context.Background(), h, body)
		return err == nil && n.Transaction.MchID == mchID
	}))
}

// The numbers of allocations are fixed; the benchmarks above report times.
func TestCallsAndNotificationsTakeFewAllocations(t *testing.T) {
	m, body := newMerchant(t, config()), []byte(benchBody)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = payv3.Authorize(m, "POST", "/v3/pay/transactions/jsapi", body) }), 6.0)
	body = notification(apiV3Key, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
	h := newFake().signs.sign(body)
	allocations := testing.AllocsPerRun(100, func() { _, _ = m.Parse(context.Background(), h, body) })
	t.Log("a notification:", allocations)
	require.LessOrEqual(t, allocations, 40.0)
}
