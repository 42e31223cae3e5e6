package browser_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/internal/webdriver"
)

// demo is a running server -demo.
type demo struct {
	t                   *testing.T
	private, key, phone string
}

func startDemo(t *testing.T) *demo {
	exe := filepath.Join(t.TempDir(), "server.exe")
	out, err := exec.Command("go", "build", "-o", exe, "github.com/wetoken/wetoken/cmd/server").CombinedOutput()
	require.NoError(t, err, "%s", out)
	cmd := exec.Command(exe, "-demo", "-public", "127.0.0.1:0", "-private", "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line := regexp.MustCompile(`examples/remote -public \S+ -private (\S+) -key (\S+)`)
	d := &demo{t: t}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if text := strings.TrimSpace(lines.Text()); strings.HasSuffix(text, "/phone") {
			d.phone = strings.TrimSuffix(text, "/phone")
		}
		if m := line.FindStringSubmatch(lines.Text()); m != nil {
			d.private, d.key = m[1], m[2]
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			return d
		}
	}
	t.Fatal("the demo has ended")
	return nil
}

// call returns the reply of the private listener.
func (d *demo) call(method, path, body string) map[string]any {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.private+path, strings.NewReader(body))
	require.NoError(d.t, err)
	r.Header.Set("Authorization", "Bearer "+d.key)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	require.Equal(d.t, http.StatusOK, resp.StatusCode, "%s", raw)
	var fields map[string]any
	require.NoError(d.t, json.Unmarshal(raw, &fields))
	return fields
}

func (d *demo) order(trade, more string) map[string]any {
	d.t.Helper()
	return d.call("POST", "/pay/orders", fmt.Sprintf(`{"trade":%q,"out_trade_no":"demo-%[1]s","fen":1200,"description":"socks"%s}`, trade, more))
}

func (d *demo) requirePaid(trade string) {
	d.t.Helper()
	require.Equal(d.t, "SUCCESS", d.call("GET", "/pay/orders/demo-"+trade, "")["state"])
}

// A browser uses the public URLs of an order without changes.
func TestARealBrowserPaysTheOrdersOfAServer(t *testing.T) {
	testform.NeedFull(t)
	driver := webdriver.Start(t)
	d := startDemo(t)
	screen, hand := driver.Desktop(t), driver.Tab(t)

	order := d.order("native", "")
	screen.Open(order["qr_url"].(string))
	code := scan(t, screen.Screenshot())
	require.Equal(t, order["code_url"], code)
	hand.Open(d.phone + "/phone")
	hand.Type("#what", code)
	hand.Click("#open")
	requireFits(t, hand)
	hand.Click("#pay")
	hand.Find("#state[data-state=paid]")
	d.requirePaid("native")
	computer := driver.Desktop(t, "--accept-lang=en-US")
	computer.Open(d.phone + "/phone")
	computer.FindText("simulated")
	computer.Type("#what", code)
	computer.Click("#open")
	computer.FindText("the order is paid already")

	order = d.order("jsapi", `,"openid":"o1"`)
	page := template.Must(template.New("").Parse(`<!DOCTYPE html><title>shop</title><button id="buy">Buy</button><p id="said"></p>
<script src="{{.Phone}}/phone/pay/bridge.js"></script>
<script>document.getElementById("buy").onclick = function () {
	function say(res) { document.getElementById("said").textContent = res.errMsg; }
	fetch({{.JS}}).then(function (r) { return r.json(); }).then(function (params) {
		params.success = params.fail = params.cancel = say;
		wx.requestPayment(params);
	});
};</script>`))
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = page.Execute(w, map[string]any{"Phone": d.phone, "JS": order["js_url"]})
	}))
	defer shop.Close()
	hand.Open(d.phone + "/phone") // which opens the page
	hand.Type("#what", shop.URL)
	hand.Click("#open")
	hand.EnterFrame("#page")
	answer := func(button string) {
		hand.Click("#buy")
		hand.EnterFrame("#paytest-sheet")
		hand.Click(button)
		hand.LeaveFrame()
		hand.EnterFrame("#page")
	}
	answer("#cancel")
	hand.FindText("requestPayment:fail cancel")
	answer("#pay")
	hand.FindText("requestPayment:ok")
	d.requirePaid("jsapi")
	hand.LeaveFrame()

	hand.Open(d.order("h5", `,"client_ip":"127.0.0.1"`)["page_url"].(string))
	require.Equal(t, "¥12.00", hand.Text("#amount"))
	hand.Click("#wait")
	require.Equal(t, "正在输入密码", hand.Text("#state[data-state=waiting]"))
	hand.Click("#pay")
	hand.Find("#state[data-state=paid]")
	d.requirePaid("h5")
}
