package payv2_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
)

func TestVectors(t *testing.T) {
	var file struct {
		Vectors []struct {
			Name   string
			Inputs struct {
				Params  fields
				Key     string
				APIKey  string `json:"api_key"`
				ReqInfo string `json:"req_info"`
			}
			Expected struct {
				Sign, PaySign, Plaintext string
			}
		}
	}
	text, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &file))
	require.Len(t, file.Vectors, 6)
	for _, v := range file.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			in := v.Inputs.Params
			c := config()
			c.APIKey, c.SignType = v.Inputs.Key, payv2.MD5
			switch v.Name {
			case "v2-sign-md5":
				require.Equal(t, v.Expected.Sign, payv2.Sign(in, payv2.MD5, v.Inputs.Key))
			case "v2-sign-hmac", "v2-sign-rules":
				require.Equal(t, v.Expected.Sign, payv2.Sign(in, payv2.HMACSHA256, v.Inputs.Key))
			case "v2-jsapi-paysign":
				c.AppID = in["appId"]
				got, err := payv2.ParamsAt(newMerchant(t, c), pay.JSAPI, in["package"][len("prepay_id="):], in["timeStamp"], in["nonceStr"])
				require.NoError(t, err)
				in["paySign"] = v.Expected.PaySign
				require.Equal(t, in, got)
			case "v2-app-sign":
				c.AppID, c.MchID = in["appid"], in["partnerid"]
				got, err := payv2.ParamsAt(newMerchant(t, c), pay.APP, in["prepayid"], in["timestamp"], in["noncestr"])
				require.NoError(t, err)
				in["sign"] = v.Expected.Sign
				require.Equal(t, in, got)
			case "v2-reqinfo":
				got, err := payv2.Unseal(v.Inputs.ReqInfo, v.Inputs.APIKey)
				require.NoError(t, err)
				want, err := payv2.Read(v.Expected.Plaintext, "root")
				require.NoError(t, err)
				require.Equal(t, want, got)
			default:
				t.Fatal("a vector that is not checked")
			}
		})
	}
}
