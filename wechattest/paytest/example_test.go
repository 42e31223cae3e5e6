package paytest_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

func Example() {
	pay := new(paytest.Server)
	defer pay.Close()
	shop := pay.AddMerchant(paytest.Merchant{MchID: "1900000001"})

	// The code under test gets the keys of shop, and pay.Client() in place of its own client. It signs its calls.
	const uri = "/v3/pay/transactions/out-trade-no/order-1?mchid=1900000001"
	stamp := fmt.Sprint(time.Now().Unix())
	sum := sha256.Sum256([]byte("GET\n" + uri + "\n" + stamp + "\nnonce\n\n"))
	signature, err := rsa.SignPKCS1v15(nil, shop.Key, crypto.SHA256, sum[:])
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := http.NewRequest(http.MethodGet, "https://api.mch.weixin.qq.com"+uri, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Authorization", fmt.Sprintf(`WECHATPAY2-SHA256-RSA2048 mchid="%s",nonce_str="nonce",timestamp="%s",serial_no="%s",signature="%s"`,
		shop.MchID, stamp, shop.SerialNo, base64.StdEncoding.EncodeToString(signature)))

	for _, code := range []string{"", "SYSTEM_ERROR"} {
		if code != "" {
			pay.AddFault(paytest.Fault{Code: code, Times: 1})
		}
		res, err := pay.Client().Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer res.Body.Close()
		fmt.Println(res.Status)
	}
	// Output:
	// 404 Not Found
	// 500 Internal Server Error
}
