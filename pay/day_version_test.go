package pay_test

import (
	"bytes"
	"crypto/aes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
)

// version is that of WeChat Pay's API on a day.
type version string

const (
	onV3   version = "v3"
	onV2   version = "v2"
	moving version = "from v2 to v3"
)

const moveAt = 12 * time.Hour

// merchants returns the Merchants for the current deployment of an account.
func (a *account) merchants(d *day) (list []pay.Merchant) {
	for _, v := range a.versions {
		if v == onV3 {
			list = append(list, a.merchant(d))
		} else {
			list = append(list, a.merchantV2(d))
		}
	}
	return list
}

func (a *account) merchantV2(d *day) pay.Merchant {
	cert, err := tls.X509KeyPair([]byte(a.shown.Certificate), []byte(a.shown.PrivateKey))
	require.NoError(d.t, err)
	c := payv2.Config{
		AppID: testAppID, MchID: a.shown.MchID, APIKey: a.keyV2, PreviousAPIKey: a.oldV2, Certificate: cert, NotifyURL: notifyAddress,
		HTTP: &http.Client{Transport: wire{d, d.server.TLSClient(cert).Transport}},
	}
	if slices.Contains(a.versions, onV3) {
		c.QueryRefund = a.merchant(d).QueryRefund
	}
	m, err := payv2.New(c)
	require.NoError(d.t, err)
	return m
}

// move changes the APIv2 key of a merchant, and moves both merchants to APIv3: first all processes learn its keys, then they place
// their orders with it.
func (d *day) move() {
	if d.version == onV3 {
		return
	}
	d.at(8 * time.Hour)
	second, next := d.accounts[1], strings.Repeat("n", 32)
	d.change(func() {
		second.keyV2, second.oldV2 = next, second.keyV2
		d.deploy(0)
		d.deploy(1)
	})
	require.NoError(d.t, d.server.SetAPIKey(second.shown.MchID, next))
	if d.version != moving {
		return
	}
	for _, step := range []struct {
		at       time.Duration
		versions []version
	}{{8*time.Hour + 30*time.Minute, []version{onV2, onV3}}, {moveAt, []version{onV3, onV2}}} {
		d.at(step.at)
		for i := range d.processes {
			d.change(func() {
				for _, a := range d.accounts {
					a.versions = step.versions
				}
				d.deploy(i)
			})
			time.Sleep(5 * time.Minute)
		}
	}
}

// noteVersion stores the version that a call places or refunds an order with.
func (d *day) noteVersion(r *http.Request) {
	v, number, noted := onV2, "out_trade_no", d.placed
	switch r.URL.Path {
	case "/v3/pay/transactions/native":
		v = onV3
	case "/v3/refund/domestic/refunds":
		v, number, noted = onV3, "out_refund_no", d.refunded
	case "/secapi/pay/refund":
		number, noted = "out_refund_no", d.refunded
	case "/pay/unifiedorder":
	default:
		return
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	var no string
	if v == onV3 {
		var in map[string]any
		_ = json.Unmarshal(body, &in)
		no, _ = in[number].(string)
	} else {
		no = readV2(string(body))[number]
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if noted[no] == nil {
		noted[no] = make(map[version]bool)
	}
	noted[no][v] = true
}

// verifyVersions checks that each order was placed with one version, and notified in its form.
func (d *day) verifyVersions() {
	t, form, late, counts := d.t, make(map[string]version), 0, make(map[version]int)
	for no, versions := range d.placed {
		require.Len(t, versions, 1, "order %s was placed with both versions", no)
		for v := range versions {
			form[no] = v
			counts[v]++
		}
	}
	for no, versions := range d.refunded {
		order, _, _ := strings.Cut(no, "-r")
		if d.plans[order] != stranger { // nobody knows how that was placed
			require.Equal(t, map[version]bool{form[order]: true}, versions, "refund %s of an order placed with %s", no, form[order])
		}
	}
	for _, a := range d.server.Deliveries() {
		if !isXML(a.Body) {
			if a.Event == "TRANSACTION.SUCCESS" && a.Body != "" { // it is empty if the attempt was lost
				require.NotEqual(t, onV2, d.version)
			}
			continue
		}
		if no := readV2(a.Body)["out_trade_no"]; no != "" {
			require.Equal(t, onV2, form[no], "order %s was notified in the form of APIv2", no)
			if a.At.After(d.begun.Add(moveAt)) {
				late++
			}
		}
	}
	switch d.version {
	case onV3:
		require.Zero(t, counts[onV2])
	case onV2:
		require.Zero(t, counts[onV3])
	case moving:
		require.NotZero(t, counts[onV2])
		require.NotZero(t, counts[onV3])
		require.NotZero(t, late, "no order of the morning was notified in the afternoon")
		d.verifyNoon(form)
		t.Logf("orders by version: %v; %d attempts to notify in the form of APIv2 after the move", counts, late)
	}
}

func isXML(body string) bool { return strings.HasPrefix(body, "<") }

// readV2 returns the fields of a message, or none.
func readV2(body string) map[string]string {
	var in struct {
		Fields []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
		} `xml:",any"`
	}
	if xml.Unmarshal([]byte(body), &in) != nil {
		return nil
	}
	fields := make(map[string]string)
	for _, f := range in.Fields {
		fields[f.XMLName.Local] = f.Text
	}
	return fields
}

// isTrueV2 reports whether a notification is signed, or its req_info encrypted, with a key of one of the merchants.
func (d *day) isTrueV2(body string) bool {
	fields := readV2(body)
	for _, a := range d.accounts {
		for _, key := range []string{a.keyV2, a.oldV2} {
			if key != "" && (fields["sign"] != "" && fields["sign"] == signV2(fields, key) || opensV2(fields["req_info"], key)) {
				return true
			}
		}
	}
	return false
}

// signV2 returns the signature of fields: HMAC-SHA256, which the Merchants of the day require.
func signV2(fields map[string]string, key string) string {
	var list []string
	for name, text := range fields {
		if name != "sign" && text != "" {
			list = append(list, name+"="+text)
		}
	}
	slices.Sort(list)
	mac := hmac.New(sha256.New, []byte(key))
	io.WriteString(mac, strings.Join(append(list, "key="+key), "&"))
	return fmt.Sprintf("%X", mac.Sum(nil))
}

// opensV2 reports whether key decrypts req_info.
func opensV2(text, key string) bool {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) == 0 || len(raw)%aes.BlockSize != 0 {
		return false
	}
	sum := md5.Sum([]byte(key))
	block, err := aes.NewCipher([]byte(hex.EncodeToString(sum[:])))
	if err != nil {
		return false
	}
	for i := 0; i < len(raw); i += aes.BlockSize {
		block.Decrypt(raw[i:], raw[i:])
	}
	return bytes.HasPrefix(raw, []byte("<root>")) && bytes.Contains(raw, []byte("</root>"))
}

// alterV2 returns a notification with another nonce, and whether it may be accepted, as one without a signature.
func alterV2(body []byte) (altered []byte, mayPass bool) {
	altered = bytes.Replace(body, []byte("<nonce_str><![CDATA["), []byte("<nonce_str><![CDATA[x"), 1)
	return altered, bytes.Equal(altered, body) || !bytes.Contains(body, []byte("<sign>"))
}
