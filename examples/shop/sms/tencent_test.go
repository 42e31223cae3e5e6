package sms_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/sms"
)

const (
	secretID  = "AKIDofthistestonly00"
	secretKey = "s3cret-of-this-test"
)

// tencentCloud is SendSms. It verifies signatures, and answers each valid request with the next of answers.
type tencentCloud struct {
	answers []string // default: accepted
	sent    []string // "number code"
}

func (c *tencentCloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var request struct {
		PhoneNumberSet, TemplateParamSet  []string
		SmsSdkAppId, SignName, TemplateId string
	}
	switch err := json.Unmarshal(body, &request); {
	case !verify(r, body):
		io.WriteString(w, `{"Response":{"Error":{"Code":"AuthFailure.SignatureFailure","Message":"wrong signature"},"RequestId":"r-1"}}`)
	case err != nil, r.Method != "POST", r.URL.Path != "/", r.Header.Get("X-TC-Version") != "2021-01-11", r.Header.Get("X-TC-Region") == "",
		len(request.PhoneNumberSet) != 1, len(request.TemplateParamSet) != 1:
		io.WriteString(w, `{"Response":{"Error":{"Code":"InvalidParameter","Message":"bad request"},"RequestId":"r-2"}}`)
	case request.SmsSdkAppId != "1400006666" || request.SignName != "乐淘" || request.TemplateId != "1110":
		io.WriteString(w, `{"Response":{"Error":{"Code":"UnauthorizedOperation.SmsSdkAppIdVerifyFail","Message":"unknown app"},"RequestId":"r-3"}}`)
	case len(c.answers) > 0:
		io.WriteString(w, c.answers[0])
		c.answers = c.answers[1:]
	default:
		c.sent = append(c.sent, request.PhoneNumberSet[0]+" "+request.TemplateParamSet[0])
		fmt.Fprintf(w, `{"Response":{"SendStatusSet":[{"SerialNo":"5000:1","PhoneNumber":%q,"Fee":1,"SessionContext":"","Code":"Ok","Message":"send success","IsoCode":"CN"}],"RequestId":"r-4"}}`,
			request.PhoneNumberSet[0])
	}
}

// verify reports whether a request is signed with the test's key, within five minutes. It reads the signed headers from the request.
func verify(r *http.Request, body []byte) bool {
	at, err := strconv.ParseInt(r.Header.Get("X-TC-Timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > 5*time.Minute {
		return false
	}
	day := time.Unix(at, 0).UTC().Format("2006-01-02")
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "TC3-HMAC-SHA256 Credential="+secretID+"/"+day+"/sms/tc3_request, SignedHeaders=")
	signed, signature, ok2 := strings.Cut(rest, ", Signature=")
	if !ok || !ok2 || !strings.Contains(";"+signed+";", ";content-type;host;") {
		return false
	}
	canonical := "POST\n/\n\n"
	for name := range strings.SplitSeq(signed, ";") {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		canonical += name + ":" + strings.ToLower(value) + "\n"
	}
	canonical += fmt.Sprintf("\n%s\n%x", signed, sha256.Sum256(body))
	sum := func(key []byte, s string) []byte {
		h := hmac.New(sha256.New, key)
		io.WriteString(h, s)
		return h.Sum(nil)
	}
	key := sum(sum(sum([]byte("TC3"+secretKey), day), "sms"), "tc3_request")
	want := sum(key, fmt.Sprintf("TC3-HMAC-SHA256\n%d\n%s/sms/tc3_request\n%x", at, day, sha256.Sum256([]byte(canonical))))
	return hmac.Equal([]byte(fmt.Sprintf("%x", want)), []byte(signature))
}

func newSender(t *testing.T, h http.Handler) *sms.Tencent {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &sms.Tencent{SecretID: secretID, SecretKey: secretKey, SDKAppID: "1400006666", SignName: "乐淘", TemplateID: "1110", BaseURL: s.URL}
}

func TestACodeIsSentByASignedRequest(t *testing.T) {
	cloud := new(tencentCloud)
	sender := newSender(t, cloud)
	require.NoError(t, sender.Send(t.Context(), "13800138000", "0427"))
	require.Equal(t, []string{"+8613800138000 0427"}, cloud.sent)
}

func TestAWrongKeyIsRefused(t *testing.T) {
	cloud := new(tencentCloud)
	sender := newSender(t, cloud)
	sender.SecretKey += "x"
	err := sender.Send(t.Context(), "13800138000", "0427")
	var refused *sms.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, sms.Error{Code: "AuthFailure.SignatureFailure", Message: "wrong signature", RequestID: "r-1"}, *refused)
	require.NotContains(t, err.Error(), secretKey)
	require.Empty(t, cloud.sent)
}

func TestRefusalsAreErrorsWithTheirCause(t *testing.T) {
	for code, cause := range map[string]error{
		"LimitExceeded.PhoneNumberThirtySecondLimit":       sms.ErrLimited,
		"LimitExceeded.PhoneNumberDailyLimit":              sms.ErrLimited,
		"InvalidParameterValue.IncorrectPhoneNumber":       sms.ErrMobile,
		"FailedOperation.PhoneNumberInBlacklist":           sms.ErrMobile,
		"FailedOperation.InsufficientBalanceInSmsPackage":  nil,
		"FailedOperation.TemplateIncorrectOrUnapproved":    nil,
		"UnauthorizedOperation.SerivceSuspendDueToArrears": nil,
		"ok": nil,
		"InvalidParameterValue.TemplateParameterFormatError":    nil,
		"FailedOperation.SignatureIncorrectOrUnapproved":        nil,
		"InternalError.RequestTimeException":                    nil,
		"UnsupportedOperation.UnsupportedRegion":                nil,
		"RequestLimitExceeded.UinLimitExceeded":                 sms.ErrLimited,
		"LimitExceeded.PhoneNumberSameContentDailyLimit":        sms.ErrLimited,
		"UnauthorizedOperation.RequestIpNotInWhitelist":         nil,
		"InvalidParameterValue.ProhibitedUseUrlInTemplateParam": nil,
	} {
		for _, form := range []string{
			`{"Response":{"SendStatusSet":[{"PhoneNumber":"+8613800138000","Code":%q,"Message":"no"}],"RequestId":"r"}}`,
			`{"Response":{"Error":{"Code":%q,"Message":"no"},"RequestId":"r"}}`,
		} {
			sender := newSender(t, &tencentCloud{answers: []string{fmt.Sprintf(form, code)}})
			err := sender.Send(t.Context(), "13800138000", "0427")
			var refused *sms.Error
			require.ErrorAs(t, err, &refused, code)
			require.Equal(t, code, refused.Code)
			require.Equal(t, cause, errors.Unwrap(err), code)
			require.NotContains(t, err.Error(), "0427")
		}
	}
}

func TestOnlyAnAcceptedMessageIsASuccess(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":          ``,
		"no JSON":          `ok`,
		"an empty object":  `{}`,
		"null":             `null`,
		"no states":        `{"Response":{"RequestId":"r"}}`,
		"empty states":     `{"Response":{"SendStatusSet":[],"RequestId":"r"}}`,
		"two states":       `{"Response":{"SendStatusSet":[{"PhoneNumber":"+8613800138000","Code":"Ok"},{"PhoneNumber":"+8613800138000","Code":"Ok"}]}}`,
		"another number":   `{"Response":{"SendStatusSet":[{"PhoneNumber":"+8613900139000","Code":"Ok"}]}}`,
		"no code":          `{"Response":{"SendStatusSet":[{"PhoneNumber":"+8613800138000"}]}}`,
		"an error and one": `{"Response":{"Error":{"Code":"InternalError"},"SendStatusSet":[{"PhoneNumber":"+8613800138000","Code":"Ok"}]}}`,
		"a long answer":    `{"Response":{"SendStatusSet":[{"PhoneNumber":"+8613800138000","Code":"Ok"}]}}` + strings.Repeat(" ", 64<<10),
	} {
		sender := newSender(t, &tencentCloud{answers: []string{answer}})
		require.Error(t, sender.Send(t.Context(), "13800138000", "0427"), name)
	}
	sender := newSender(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		io.WriteString(w, `{"Response":{"SendStatusSet":[{"PhoneNumber":"+8613800138000","Code":"Ok"}]}}`)
	}))
	require.ErrorContains(t, sender.Send(t.Context(), "13800138000", "0427"), "status 502")
}

func TestASignedRequestIsNotRedirected(t *testing.T) {
	cloud := new(tencentCloud)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("redirected") }))
	defer elsewhere.Close()
	sender := newSender(t, http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	require.ErrorContains(t, sender.Send(t.Context(), "13800138000", "0427"), "status 307")
	require.Empty(t, cloud.sent)
}

func TestAnUnreachableServerIsAnErrorWithoutItsURL(t *testing.T) {
	sender := newSender(t, new(tencentCloud))
	sender.BaseURL = "http://127.0.0.1:1/private"
	err := sender.Send(t.Context(), "13800138000", "0427")
	require.ErrorContains(t, err, "sms: call SendSms: ")
	require.NotContains(t, err.Error(), "private")
	sender.BaseURL = "http://h:\x00"
	require.ErrorContains(t, sender.Send(t.Context(), "13800138000", "0427"), "invalid BaseURL")
}

func TestASenderIsPrintedWithoutItsKeys(t *testing.T) {
	sender := &sms.Tencent{SecretID: secretID, SecretKey: secretKey, SDKAppID: "1400006666"}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s %q %x %d", sender, *sender, sender, *sender, sender, sender, sender)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "sender", sender)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "sender", *sender)
	require.NoError(t, json.NewEncoder(&out).Encode(sender))
	require.Contains(t, out.String(), "1400006666")
	for _, secret := range []string{secretID, secretKey, fmt.Sprintf("%x", secretKey)} {
		require.NotContains(t, out.String(), secret)
	}
}

func TestTheLogWritesOneLine(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, sms.Log{W: &out}.Send(t.Context(), "13800138000", "0427"))
	require.Equal(t, "sms: the code for 13800138000 is 0427\n", out.String())
}
