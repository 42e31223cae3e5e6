package payv3_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
)

type vector struct {
	Name   string
	Inputs struct {
		Method, URL, Timestamp, Body, Plaintext, Nonce, Ciphertext string
		AppID, PrepayID, Package, PartnerID                        string
		TimeStamp                                                  string `json:"timeStamp"`
		NonceStr                                                   string `json:"nonce_str"`
		TheirTimestamp                                             string `json:"wechatpay_timestamp"`
		TheirNonce                                                 string `json:"wechatpay_nonce"`
		TheirSignature                                             string `json:"wechatpay_signature"`
		PublicKey                                                  string `json:"public_key_pem"`
		Key                                                        string `json:"apiv3_key"`
		Associated                                                 string `json:"associated_data"`
		Bill                                                       string `json:"bill_utf8"`
		Gzip                                                       string `json:"bill_gzip_b64"`
	}
	Expected struct {
		Message, Signature, Authorization, PaySign, Sign, Ciphertext, Plaintext string
		HashValue                                                               string `json:"hash_value"`
		Serial                                                                  string `json:"serial_no"`
		RSA                                                                     struct {
			N string `json:"n_hex"`
			D string `json:"d_hex"`
			P string `json:"p_hex"`
			Q string `json:"q_hex"`
			E int
		}
	}
}

func readVector(t *testing.T, name string) vector {
	text, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var file struct{ Vectors []vector }
	require.NoError(t, json.Unmarshal(text, &file))
	for _, v := range file.Vectors {
		if v.Name == name {
			return v
		}
	}
	require.Fail(t, "no such vector", name)
	return vector{}
}

// sampleKey returns the key in WeChat's documentation.
func sampleKey(t *testing.T) *rsa.PrivateKey {
	numbers := readVector(t, "v3-test-key").Expected.RSA
	number := func(text string) *big.Int {
		n, ok := new(big.Int).SetString(text, 16)
		require.True(t, ok)
		return n
	}
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: number(numbers.N), E: numbers.E}, D: number(numbers.D), Primes: []*big.Int{number(numbers.P), number(numbers.Q)}}
	require.NoError(t, key.Validate())
	key.Precompute()
	return key
}

// sampleMerchant returns the merchant in WeChat's documentation, with the nonce of its examples.
func sampleMerchant(t *testing.T, transport http.RoundTripper) *payv3.Merchant {
	nonce, err := hex.DecodeString("593BEC0C930BF1AFEB40B4A08C8FB242")
	require.NoError(t, err)
	c := config()
	c.AppID, c.SerialNo, c.Key = "wx2421b1c4370ec43b", readVector(t, "v3-test-key").Expected.Serial, sampleKey(t)
	c.Rand, c.HTTP = bytes.NewReader(nonce), &http.Client{Transport: transport}
	return newMerchant(t, c)
}

// at runs f in a bubble whose clock shows a moment of a vector.
func at(t *testing.T, timestamp string, f func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		n, err := strconv.ParseInt(timestamp, 10, 64)
		require.NoError(t, err)
		<-time.After(time.Until(time.Unix(n, 0))) // of the bubble: takes no time
		f(t)
	})
}

type roundTrip func(r *http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// fields returns the parts of an Authorization, which may be in any order.
func fields(authorization string) map[string]string {
	parts := make(map[string]string)
	_, list, _ := strings.Cut(authorization, " ")
	for part := range strings.SplitSeq(list, ",") {
		name, value, _ := strings.Cut(part, "=")
		parts[name] = value
	}
	return parts
}

func TestCallsAreSignedAsTheDocumentationDoes(t *testing.T) {
	for _, name := range []string{"v3-request-sign-post", "v3-request-sign-get", "v3-request-sign-certificates"} {
		v := readVector(t, name)
		at(t, v.Inputs.Timestamp, func(t *testing.T) {
			var got string
			m := sampleMerchant(t, roundTrip(func(r *http.Request) (*http.Response, error) {
				got = r.Header.Get("Authorization")
				require.Equal(t, v.Inputs.URL, r.URL.RequestURI())
				body := []byte{}
				if r.Body != nil {
					body, _ = io.ReadAll(r.Body)
				}
				require.Equal(t, v.Inputs.Body, string(body))
				return nil, io.EOF
			}))
			var in any
			if v.Inputs.Body != "" {
				in = []byte(v.Inputs.Body)
			}
			require.ErrorIs(t, m.Do(t.Context(), v.Inputs.Method, v.Inputs.URL, in, nil), pay.ErrUnknown)
			require.True(t, strings.HasPrefix(got, "WECHATPAY2-SHA256-RSA2048 "))
			want := v.Expected.Authorization
			if want == "" {
				want = `X mchid="1900007291",nonce_str="593BEC0C930BF1AFEB40B4A08C8FB242",timestamp="1554208460",serial_no="408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB",signature="` + v.Expected.Signature + `"`
			}
			require.Equal(t, fields(want), fields(got), name)
		})
	}
}

func TestParametersOfThePayerAreSignedAsTheDocumentationDoes(t *testing.T) {
	v := readVector(t, "v3-jsapi-paysign")
	at(t, "1554208460", func(t *testing.T) {
		p, err := sampleMerchant(t, nil).Params(pay.JSAPI, "", strings.TrimPrefix(v.Inputs.Package, "prepay_id="))
		require.NoError(t, err)
		require.Equal(t, map[string]string{"appId": "wx2421b1c4370ec43b", "timeStamp": "1554208460", "nonceStr": "593BEC0C930BF1AFEB40B4A08C8FB242",
			"package": v.Inputs.Package, "signType": "RSA", "paySign": v.Expected.PaySign}, p)
	})
	v = readVector(t, "v3-app-sign")
	at(t, "1554208460", func(t *testing.T) {
		p, err := sampleMerchant(t, nil).Params(pay.APP, "", v.Inputs.PrepayID)
		require.NoError(t, err)
		require.Equal(t, map[string]string{"appid": "wx2421b1c4370ec43b", "partnerid": v.Inputs.PartnerID, "prepayid": v.Inputs.PrepayID,
			"package": "Sign=WXPay", "noncestr": "593BEC0C930BF1AFEB40B4A08C8FB242", "timestamp": "1554208460", "sign": v.Expected.Sign}, p)
	})
}

func TestAnswersOfTheDocumentationAreVerified(t *testing.T) {
	for name, status := range map[string]int{"v3-response-verify-official": 200, "v3-response-204": 204} {
		v := readVector(t, name)
		signature := v.Inputs.TheirSignature + v.Expected.Signature
		at(t, v.Inputs.TheirTimestamp, func(t *testing.T) {
			c := config()
			c.PublicKey = &sampleKey(t).PublicKey
			if v.Inputs.PublicKey != "" {
				key, err := payv3.ParsePublicKey([]byte(v.Inputs.PublicKey))
				require.NoError(t, err)
				c.PublicKey = key
			}
			c.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				h := make(http.Header)
				for key, value := range map[string]string{"Timestamp": v.Inputs.TheirTimestamp, "Nonce": v.Inputs.TheirNonce, "Signature": signature, "Serial": publicKeyID} {
					h.Set("Wechatpay-"+key, value)
				}
				return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(v.Inputs.Body))}, nil
			})}
			m := newMerchant(t, c)
			var got []byte
			require.NoError(t, m.Do(t.Context(), "GET", "/v3/anything", nil, &got), name)
			require.Equal(t, v.Inputs.Body, string(got))

			signature = strings.Replace(signature, signature[:4], "AAAA", 1)
			err := m.Do(t.Context(), "GET", "/v3/anything", nil, &got)
			require.ErrorIs(t, err, pay.ErrUnknown)
			require.ErrorIs(t, err, pay.ErrSignature)
		})
	}
}

func TestNotificationsOfTheVectorsAreOpened(t *testing.T) {
	for _, name := range []string{"v3-gcm-notify", "v3-gcm-empty-aad"} {
		v := readVector(t, name)
		event := map[string]string{"v3-gcm-notify": "TRANSACTION.SUCCESS", "v3-gcm-empty-aad": "ANYTHING"}[name]
		body := []byte(fmt.Sprintf(`{"id":"x","create_time":"20180225112233","event_type":"%s","resource":{"algorithm":"AEAD_AES_256_GCM","ciphertext":"%s","associated_data":"%s","nonce":"%s"}}`,
			event, v.Expected.Ciphertext, v.Inputs.Associated, v.Inputs.Nonce))
		n, err := newMerchant(t, config()).Parse(t.Context(), newFake().signs.sign(body), body)
		require.NoError(t, err)
		require.Equal(t, v.Inputs.Plaintext, string(n.Raw))
		require.Equal(t, time.Date(2018, 2, 25, 3, 22, 33, 0, time.UTC), n.CreatedAt.UTC())
		if event == "ANYTHING" {
			require.Nil(t, n.Transaction)
			continue
		}
		tr := *n.Transaction
		tr.Raw = nil
		require.Equal(t, time.Date(2024, 1, 1, 4, 0, 0, 0, time.UTC), tr.PaidAt.UTC())
		tr.PaidAt = time.Time{}
		require.Equal(t, pay.Transaction{OutTradeNo: "1217752501201407033233368018", TransactionID: "4200000000202401010000000001", AppID: appID, MchID: mchID,
			Trade: pay.JSAPI, State: pay.Success, Fen: 100, PayerFen: 100, OpenID: openID}, tr)
	}
}

// The key of this vector is of 16 bytes, which no merchant has: it checks the code of these tests alone.
func TestTheFakeSealsAsTencentDoes(t *testing.T) {
	v := readVector(t, "v3-gcm-sdk")
	require.Equal(t, v.Expected.Ciphertext, sealWith(v.Inputs.Key, v.Inputs.Plaintext, v.Inputs.Associated, v.Inputs.Nonce)["ciphertext"])
}

func TestTheSensitiveFieldOfTheVectorIsRead(t *testing.T) {
	v := readVector(t, "v3-oaep-decrypt")
	f := newFake()
	answer := `{"name":"` + v.Inputs.Ciphertext + `"}`
	m := sampleMerchant(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: f.signs.sign([]byte(answer)), Body: io.NopCloser(strings.NewReader(answer))}, nil
	}))
	var out struct{ Name payv3.Secret }
	require.NoError(t, m.Do(context.Background(), "GET", "/v3/x", nil, &out))
	require.Equal(t, v.Expected.Plaintext, string(out.Name))
}

func TestTheBillOfTheVectorIsAccepted(t *testing.T) {
	v := readVector(t, "v3-bill-sha1")
	zipped, err := base64.StdEncoding.DecodeString(v.Inputs.Gzip)
	require.NoError(t, err)
	for _, file := range [][]byte{zipped, []byte(v.Inputs.Bill)} {
		f := newFake()
		f.answer = func(r *http.Request, _ []byte) (int, string) {
			if r.URL.Path == "/v3/bill/tradebill" {
				return 200, `{"hash_type":"SHA1","hash_value":"` + strings.ToUpper(v.Expected.HashValue) + `","download_url":"https://evil.example.com/v3/billdownload/file?token=a%2Bb"}`
			}
			require.Equal(t, "/v3/billdownload/file?token=a%2Bb", r.URL.RequestURI())
			return 200, string(file)
		}
		f.fault = func(r *http.Request, _ int) string {
			if r.URL.Path == "/v3/billdownload/file" {
				return "unsigned"
			}
			return ""
		}
		var b bytes.Buffer
		day := time.Date(2022, 3, 20, 17, 0, 0, 0, time.UTC) // already the 21st in Beijing
		require.NoError(t, f.merchant(t).Bill(t.Context(), "", day, &b))
		require.Equal(t, v.Inputs.Bill, b.String())
		require.Equal(t, "GET /v3/bill/tradebill?bill_date=2022-03-21&bill_type=ALL&tar_type=GZIP", f.requests[0])
	}
}
