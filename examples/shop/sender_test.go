package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheVariablesOfTheOldProgramSendCodesByTencentCloud(t *testing.T) {
	var sent struct {
		PhoneNumberSet, TemplateParamSet  []string
		SmsSdkAppId, SignName, TemplateId string
	}
	var authorization string
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization = r.Header.Get("Authorization")
		_ = json.NewDecoder(r.Body).Decode(&sent)
		fmt.Fprintf(w, `{"Response":{"SendStatusSet":[{"PhoneNumber":%q,"Code":"Ok"}],"RequestId":"r"}}`, strings.Join(sent.PhoneNumberSet, ","))
	}))
	defer cloud.Close()
	env := []string{"secretId=id-of-the-test", "secretKey=s3cret-of-this-test", "SmsSdkAppId=1400006666", "SignName=乐淘", "TemplateId=1110", "SMS_URL=" + cloud.URL}
	send := func() string {
		at, _ := runProcess(t, command(t, "", env), true)
		resp, err := http.PostForm(at+"/sms", url.Values{"mobile": {"13800138000"}})
		require.NoError(t, err)
		defer resp.Body.Close()
		var answer struct{ Status json.Number }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		return answer.Status.String()
	}
	require.Equal(t, "200", send())
	require.Contains(t, authorization, "TC3-HMAC-SHA256 Credential=id-of-the-test/")
	require.Equal(t, []string{"+8613800138000"}, sent.PhoneNumberSet)
	require.Len(t, sent.TemplateParamSet, 1)
	require.Equal(t, "1400006666 乐淘 1110", strings.Join([]string{sent.SmsSdkAppId, sent.SignName, sent.TemplateId}, " "))

	out, err := command(t, "", env[:2]).CombinedOutput()
	require.Error(t, err, "a sender without its template does not start")
	require.Contains(t, string(out), "is not set: Tencent Cloud's SMS needs")
	require.NotContains(t, string(out), "s3cret")
}
