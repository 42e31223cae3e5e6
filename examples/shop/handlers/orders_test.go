package handlers_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	_ "image/png"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/handlers"
	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// newPaidServer returns a shop that a WeChat Pay notifies at its routes.
func newPaidServer(t *testing.T, name, version string) (*server, *shoptest.Bank) {
	s, db := shoptest.Open(t, name)
	b := shoptest.NewBank(t)
	b.Connect(t, s, version)
	tokens := &handlers.Tokens{Key: s.Key, Users: db}
	handler := (&handlers.Handlers{Shop: s, Sessions: tokens}).Handler()
	b.Notify(handler)
	return &server{handler, s, db, tokens, s.Sender.(*shoptest.Phones)}, b
}

// customer is a user with a session.
type customer struct {
	*server
	shop.User
	token string
}

func (s *server) customer(t *testing.T, name string) *customer {
	t.Helper()
	u := shoptest.AddUser(t, s.shop, name)
	token, err := s.tokens.Issue(u)
	require.NoError(t, err)
	return &customer{s, u, token}
}

func (c *customer) send(t *testing.T, method, path, body string) answer {
	t.Helper()
	return c.server.send(t, method, path, body, bearer(c.token))
}

// data returns the field data of an answer with status 200.
func (a answer) data(t *testing.T) map[string]any {
	t.Helper()
	requireState(t, 200, a)
	return a.fields["data"].(map[string]any)
}

// requireRefused fails unless an answer is the old program's of a failed order.
func requireRefused(t *testing.T, text string, a answer) {
	t.Helper()
	requireState(t, 1050, a)
	require.Equal(t, text, a.fields["data"])
}

// readQR returns the text of a QR code in a data URL.
func readQR(t *testing.T, url string) string {
	t.Helper()
	encoded, ok := strings.CutPrefix(url, "data:image/png;base64,")
	require.True(t, ok)
	picture, err := base64.StdEncoding.DecodeString(encoded)
	require.NoError(t, err)
	img, _, err := image.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	bits, err := gozxing.NewBinaryBitmapFromImage(img)
	require.NoError(t, err)
	code, err := qrcode.NewQRCodeReader().Decode(bits, nil)
	require.NoError(t, err)
	return code.GetText()
}

// scanAndPay pays a QR code with the phone.
func scanAndPay(t *testing.T, b *shoptest.Bank, codeURL string) {
	t.Helper()
	sheet, err := b.OpenSheet(paytest.Entry{CodeURL: codeURL})
	require.NoError(t, err)
	_, err = b.AnswerSheet(sheet.ID, "pay", "")
	require.NoError(t, err)
}

// waitPaid polls as the old front end does.
func (c *customer) waitPaid(t *testing.T, no string) map[string]any {
	t.Helper()
	var data map[string]any
	require.Eventually(t, func() bool {
		data = c.send(t, "POST", "/pay/queryOrder", form("out_trade_no", no)).data(t)
		return data["trade_state"].([]any)[0] == "SUCCESS"
	}, 30*time.Second, 10*time.Millisecond)
	return data
}

func TestAnOldClientOrdersPollsAndConfirms(t *testing.T) {
	for _, version := range []string{"v3", "v2"} {
		t.Run(version, func(t *testing.T) {
			s, b := newPaidServer(t, t.TempDir()+"/shop.db", version)
			c := s.customer(t, "li")
			for _, request := range []struct{ path, body, fee string }{
				{"/order", `{"goods":[5,1,5]}`, "22300"},
				{"/order", form("goods", "5,1", "total_fee", "21100"), "21100"},
				{"/Wx/Order", form("body", "运动袜", "total_fee", "1200", "ip", "1.2.3.4", "trade_type", "NATIVE"), "1200"},
				{"/ORDER", `{"body":"运动袜","total_fee":1200,"spbill_create_ip":"1.2.3.4"}`, "1200"},
			} {
				data := c.send(t, "POST", request.path, request.body).data(t)
				no, code := data["out_trade_no"].(string), data["code_url"].([]any)[0].(string)
				require.Equal(t, code, readQR(t, data["payUrl"].(string)))
				require.NotEmpty(t, data["nonce_str"].(string))
				for name, want := range map[string]string{
					"return_code": "SUCCESS", "result_code": "SUCCESS", "trade_type": "NATIVE", "appid": shoptest.AppID, "mch_id": shoptest.MchID,
				} {
					require.Equal(t, []any{want}, data[name], name)
				}
				again := c.send(t, "POST", "/order", form("out_trade_no", no)).data(t)
				require.Equal(t, code, again["code_url"].([]any)[0])

				queried := c.send(t, "POST", "/queryOrder", "").data(t)
				require.Equal(t, []any{no}, queried["out_trade_no"], "the user's latest order")
				require.Equal(t, []any{"NOTPAY"}, queried["trade_state"])
				require.Equal(t, []any{request.fee}, queried["total_fee"])
				for range 3 {
					requireRefused(t, "订单未支付", c.send(t, "POST", "/pay/native", ""))
				}

				scanAndPay(t, b, code)
				queried = c.waitPaid(t, no)
				require.Equal(t, []any{request.fee}, queried["cash_fee"])
				require.Regexp(t, `^[0-9]{14}$`, queried["time_end"].([]any)[0])
				require.NotEmpty(t, queried["transaction_id"].([]any)[0])
				require.Equal(t, "支付成功", c.send(t, "POST", "/Pay/Native", form("out_trade_no", no)).data(t)["message"])
				requireRefused(t, "订单的状态不允许此操作", c.send(t, "POST", "/order", form("out_trade_no", no)))

				_, err := s.shop.Ship(t.Context(), no, "", "")
				require.NoError(t, err)
				queried = c.send(t, "POST", "/pay/queryOrder", "").data(t)
				require.Equal(t, []any{"SUCCESS"}, queried["trade_state"], "as WeChat says, and old clients expect")
				require.Equal(t, []any{"SHIPPED"}, queried["state"])
			}
			list := c.send(t, "GET", "/order", "")
			requireState(t, 200, list)
			require.Len(t, list.fields["orders"], 4)
			require.Equal(t, 0.0, list.fields["next"])
		})
	}
}

func TestOrdersThatTheShopRefuses(t *testing.T) {
	s, b := newPaidServer(t, t.TempDir()+"/shop.db", "v3")
	c, other := s.customer(t, "li"), s.customer(t, "han")
	for _, path := range []string{"/order", "/wx/order", "/queryOrder", "/pay/queryOrder", "/pay/native", "/orders/letao1/refund", "/payments/1/accept"} {
		a := s.send(t, "POST", path, `{"goods":[5]}`)
		require.Equal(t, http.StatusUnauthorized, a.http, path)
		require.Equal(t, "Protected resource, use Authorization header to get access\n", a.text)
	}
	for body, text := range map[string]string{
		form("body", "运动袜", "total_fee", "1"):       "金额与商品价格不符",
		form("body", "运动袜"):                         "金额与商品价格不符",
		`{"goods":[5],"total_fee":1}`:               "金额与商品价格不符",
		`{"goods":[5,99]}`:                          "商品不存在",
		form("body", "<xml>"):                       "商品不存在",
		"":                                          "商品不存在",
		`{"goods":["5; DROP TABLE user"]}`:          "参数不正确",
		`{"goods":[5],"total_fee":"1.00"}`:          "参数不正确",
		`{"goods":[5],"trade_type":"JSAPI"}`:        "参数不正确",
		form("out_trade_no", "letao1' OR '1'='1"):   "订单不存在",
		`{"goods":[5],"out_trade_no":"letao-none"}`: "订单不存在",
	} {
		a := c.send(t, "POST", "/order", body)
		requireRefused(t, text, a)
		require.Equal(t, http.StatusOK, a.http, "as in the old program")
	}
	for body, status := range map[string]int{`{"goods":{}}`: 400, `{"goods":[[5]]}`: 400, `{"goods`: 400, "body=" + strings.Repeat("x", 20<<10): 413} {
		require.Equal(t, status, c.send(t, "POST", "/order", body).http, "%.40s", body)
	}
	requireRefused(t, "订单不存在", c.send(t, "POST", "/queryOrder", ""))
	requireRefused(t, "参数不正确", c.send(t, "GET", "/order?cursor=-1", ""))
	require.Equal(t, http.StatusForbidden, c.send(t, "GET", "/order?all=true", "").http)
	require.Zero(t, s.count(t, "payorder"))
	require.Empty(t, b.Orders(shoptest.MchID))

	data := c.send(t, "POST", "/order", `{"goods":[5]}`).data(t)
	no := data["out_trade_no"].(string)
	for _, path := range []string{"/order", "/queryOrder", "/pay/native"} {
		requireRefused(t, "订单不存在", other.send(t, "POST", path, form("out_trade_no", no)))
	}
	b.AddFault(paytest.Fault{Path: "/v3/pay/transactions/native", Code: "NO_AUTH", Message: "商户无权限"})
	requireRefused(t, "商户无权限", c.send(t, "POST", "/order", `{"goods":[5]}`))
	b.Heal()
	b.AddFault(paytest.Fault{Path: "/v3/pay/transactions/native", Code: "SYSTEM_ERROR"})
	requireRefused(t, "微信支付暂时没有结果，请稍后再试", c.send(t, "POST", "/order", `{"goods":[5]}`))
}

func TestOrdersOfTwoUsersDoNotMix(t *testing.T) {
	s, b := newPaidServer(t, t.TempDir()+"/shop.db", "v3")
	li, han := s.customer(t, "li"), s.customer(t, "han")
	first := li.send(t, "POST", "/order", `{"goods":[5]}`).data(t)
	second := han.send(t, "POST", "/order", `{"goods":[1]}`).data(t)
	require.NotEqual(t, first["nonce_str"], second["nonce_str"])
	scanAndPay(t, b, second["code_url"].([]any)[0].(string))
	han.waitPaid(t, second["out_trade_no"].(string))
	queried := li.send(t, "POST", "/pay/queryOrder", "").data(t)
	require.Equal(t, []any{first["out_trade_no"]}, queried["out_trade_no"])
	require.Equal(t, []any{"NOTPAY"}, queried["trade_state"])
	requireRefused(t, "订单未支付", li.send(t, "POST", "/pay/native", ""))
}

func TestAForgedNotificationPaysNothing(t *testing.T) {
	for _, version := range []string{"v3", "v2"} {
		s, b := newPaidServer(t, t.TempDir()+"/shop.db", version)
		c := s.customer(t, "li")
		no := c.send(t, "POST", "/order", `{"goods":[5]}`).data(t)["out_trade_no"].(string)
		for _, body := range []string{
			fmt.Sprintf(`<xml><return_code>SUCCESS</return_code><result_code>SUCCESS</result_code><out_trade_no>%s</out_trade_no><total_fee>1200</total_fee></xml>`, no),
			`{"event_type":"TRANSACTION.SUCCESS","resource":{}}`, "",
		} {
			a := s.send(t, "POST", "/pay/notify", body)
			require.GreaterOrEqual(t, a.http, 400, body)
		}
		requireRefused(t, "订单未支付", c.send(t, "POST", "/pay/native", form("out_trade_no", no)))
		require.Equal(t, 0, s.count(t, "payment"))
		require.Len(t, b.Orders(shoptest.MchID), 1)
	}
}
