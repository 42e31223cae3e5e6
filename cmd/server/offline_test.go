package main_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// The configuration of docs/http.md that needs no WeChat, and its apps of wechattest, work together.
func TestTheDocumentedOfflineConfigurationIsServed(t *testing.T) {
	for _, page := range []string{"../../docs/http.md", "../../docs/http.zh-CN.md"} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(page)
			require.NoError(t, err)
			_, rest, ok := strings.Cut(string(text), "<!-- offline.yaml")
			require.True(t, ok)
			_, rest, _ = strings.Cut(rest, "```yaml\n")
			config, rest, ok := strings.Cut(rest, "```\n")
			require.True(t, ok)
			commands, rest, ok := strings.Cut(rest, "```\n\n")
			require.True(t, ok)

			wx := new(wechattest.Server)
			apps := regexp.MustCompile(`-app (\w+):([\w-]+):?(\w*):?(\d*)`).FindAllStringSubmatch(commands, -1)
			require.Len(t, apps, 3)
			for _, m := range apps {
				agent, _ := strconv.Atoi(m[4]) // none is 0
				wx.Add(wechattest.App{ID: m[1], Secret: m[2], Kind: wechattest.Kind(m[3]), AgentID: agent})
			}
			payments := new(paytest.Server)
			t.Cleanup(payments.Close)
			mux := http.NewServeMux()
			mux.Handle("/", wx)
			mux.Handle("/_paytest/", payments)
			wechat := httptest.NewServer(mux)
			t.Cleanup(wechat.Close)
			backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"MsgType":"text","Content":"got it"}`)
			}))
			t.Cleanup(backend.Close)
			p := start(t, nil, "-config", write(t, strings.NewReplacer(
				"http://127.0.0.1:8099", wechat.URL, "http://127.0.0.1:9000", backend.URL).Replace(config)))

			for _, app := range []string{"shop", "mini", "corp"} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.base+"/app/"+app+"/token", nil)
				require.NoError(t, err)
				r.Header.Set("Authorization", "Bearer a-key-for-this-machine")
				resp, err := http.DefaultClient.Do(r)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				require.Equal(t, http.StatusOK, resp.StatusCode, app)
			}

			// The calls that drive wechattest are those of the page.
			drive := regexp.MustCompile(`(?s)curl -s 127\.0\.0\.1:8099(\S+) -d '([^']+)'`).FindAllStringSubmatch(rest, -1)
			require.Len(t, drive, 16)
			for _, m := range drive {
				body := strings.ReplaceAll(m[2], "http://127.0.0.1:8080", "http://"+p.public)
				resp, err := http.Post(wechat.URL+m[1], "application/json", strings.NewReader(body))
				require.NoError(t, err)
				answer, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				switch m[1] {
				case "/_wechattest/push":
					require.Contains(t, string(answer), `"shown":"got it"`)
				case "/_wechattest/revoke": // of no known token
				case "/_paytest/pay", "/_paytest/refund", "/_paytest/refund_in_console": // of no known order
					require.Regexp(t, `no (order|refund) \\"(order|refund)-1`, string(answer), m[1])
				case "/_paytest/open_sheet", "/_paytest/answer_sheet": // likewise
					require.Regexp(t, `code_url is unknown|prepay_id is unknown|invalid h5_url|unknown sheet`, string(answer), m[1])
				default:
					require.Equal(t, http.StatusOK, resp.StatusCode, "%s: %s", m[1], answer)
				}
			}
		})
	}
}

// The configuration that the READMEs show is served, with WeChat's address added.
func TestTheConfigurationOfTheREADMEsIsServed(t *testing.T) {
	for _, readme := range []string{"../../README.md", "../../README.zh-CN.md"} {
		t.Run(readme, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(readme)
			require.NoError(t, err)
			_, rest, ok := strings.Cut(string(text), "```yaml\n")
			require.True(t, ok)
			config, _, ok := strings.Cut(rest, "```\n")
			require.True(t, ok)

			wx := new(wechattest.Server)
			wx.AddApp("wx0123456789abcdef", "shop-secret")
			payments := new(paytest.Server)
			t.Cleanup(payments.Close)
			mux := http.NewServeMux()
			mux.Handle("/", wx)
			mux.Handle("/_paytest/", payments)
			wechat := httptest.NewServer(mux)
			t.Cleanup(wechat.Close)
			env := []string{
				"SHOP_KEY=a-key-for-this-machine", "SHOP_SECRET=shop-secret", "SHOP_SIGN_KEY=a-sign-key-for-this-machine",
				"SHOP_TOKEN=shoptoken", "SHOP_AES_KEY=abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
			}
			p := start(t, env, "-store", "memory", "-config", write(t, config+"endpoints: {api: \""+wechat.URL+"\"}\n"))
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.base+"/app/shop/token", nil)
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer a-key-for-this-machine")
			resp, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusOK, resp.StatusCode)
		})
	}
}
