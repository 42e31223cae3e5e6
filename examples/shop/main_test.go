package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/handlers"
	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/examples/shop/store"
)

// addUser adds a user to a database of processes whose SHOP_KEY is shoptest.Key, and returns a token.
func addUser(t *testing.T, db *store.Store, name string) (token string) {
	t.Helper()
	u := shop.User{Username: name, PasswordHash: "-", Mobile: "13800000000"}
	var err error
	u.ID, err = db.AddUser(t.Context(), u)
	require.NoError(t, err)
	token, err = (&handlers.Tokens{Key: shoptest.Key}).Issue(u)
	require.NoError(t, err)
	return token
}

// post sends JSON. It reads the field data of an answer with status 200 into data, unless that is nil.
func post(t *testing.T, url, token, body string, data any) error {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var a struct {
		Status int
		Data   json.RawMessage
	}
	if err := json.Unmarshal(text, &a); err != nil || a.Status != http.StatusOK {
		return fmt.Errorf("%s: HTTP %d: %s", r.URL.Path, resp.StatusCode, text)
	}
	if data == nil {
		return nil
	}
	return json.Unmarshal(a.Data, data)
}

// payOnPhone pays a QR code with the phone of a process.
func payOnPhone(t *testing.T, phone, codeURL string) {
	t.Helper()
	control := func(call, body string) (sheet struct{ ID, State string }) {
		resp, err := http.Post(phone+"/_paytest/"+call, "application/json", strings.NewReader(body))
		require.NoError(t, err)
		defer resp.Body.Close()
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&sheet))
		return sheet
	}
	sheet := control("open_sheet", fmt.Sprintf(`{"code_url":%q}`, codeURL))
	require.Equal(t, "paid", control("answer_sheet", fmt.Sprintf(`{"id":%q,"do":"pay"}`, sheet.ID)).State)
}

func TestTheProgramSellsWithBothVersionsOfTheAPI(t *testing.T) {
	for _, version := range []string{"v3", "v2"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			cmd := command(t, "", []string{"SHOP_KEY=" + string(shoptest.Key)}, "-version", version)
			at, phone := runProcess(t, cmd, true)
			db, err := store.Open(t.Context(), filepath.Join(cmd.Dir, "shop.db")) // the default
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.DB.Close()) })
			token := addUser(t, db, "li")
			require.NoError(t, db.MakeAdmin(t.Context(), "li"))

			var placed struct {
				No   string   `json:"out_trade_no"`
				Code []string `json:"code_url"`
			}
			require.NoError(t, post(t, at+"/order", token, `{"goods":[5]}`, &placed))
			require.ErrorContains(t, post(t, at+"/pay/native", token, "{}", nil), "订单未支付")
			payOnPhone(t, phone, placed.Code[0])
			waitState := func(state shop.State) (o shop.Order) {
				require.Eventually(t, func() bool {
					o, err = db.Order(t.Context(), placed.No)
					return err == nil && o.State == state
				}, time.Minute, 20*time.Millisecond)
				return o
			}
			waitState(shop.Paid)
			require.NoError(t, post(t, at+"/pay/native", token, "{}", nil))
			require.NoError(t, post(t, at+"/orders/"+placed.No+"/ship", token, `{"express_company":"SF","tracking_no":"SF1"}`, nil))
			require.Empty(t, waitState(shop.Shipped).UploadError, "the simulated WeChat has the shipping information")
			require.NoError(t, post(t, at+"/orders/"+placed.No+"/refund", token, `{"reason":"torn"}`, nil))
			waitState(shop.Refunded)
		})
	}
}

func TestASignalEndsTheProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows has no signals")
	}
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} { // the second one is that of service managers
		cmd := command(t, "", nil)
		runProcess(t, cmd, true)
		require.NoError(t, cmd.Process.Signal(signal))
		require.NoError(t, cmd.Wait(), "its status after %s", signal)
	}
}

func TestARequestUnderWayIsAnsweredAfterTheSignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows has no signals")
	}
	cmd := command(t, "", nil)
	at, _ := runProcess(t, cmd, true)
	address := strings.TrimPrefix(at, "http://")
	const body = `{"username":"nobody","password":"Wrong-1234"}`
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /login HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", address, len(body))
	require.NoError(t, err)
	answers := bufio.NewReader(conn)
	resp, err := http.ReadResponse(answers, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusContinue, resp.StatusCode, "the handler reads the body")

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, 10*time.Second, 10*time.Millisecond, "it accepts no more connections")
	_, err = conn.Write([]byte(body))
	require.NoError(t, err)
	resp, err = http.ReadResponse(answers, nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Less(t, resp.StatusCode, 500, "%s", said)
	require.NoError(t, cmd.Wait())
}

func TestTheVariablesOfTheOldProgramNameTheDatabase(t *testing.T) {
	config, err := mysql.ParseDSN(shoptest.NewMariaDB(t))
	require.NoError(t, err)
	file := fmt.Sprintf("# the database\nDB_HOST=%s\nDB_USER=%s\nDB_PWD=%s\nexport DB_DATABASE=\"%s\"\n", config.Addr, config.User, config.Passwd, config.DBName)
	cmd := command(t, file, nil)
	at, _ := runProcess(t, cmd, true)
	resp, err := http.Get(at + "/Sports")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	db, err := store.Open(t.Context(), config.FormatDSN())
	require.NoError(t, err)
	defer db.DB.Close()
	var tables int
	require.NoError(t, db.DB.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ? AND table_name = 'wetoken_store'",
		config.DBName).Scan(&tables))
	require.Equal(t, 1, tables)
	require.NoFileExists(t, filepath.Join(cmd.Dir, "shop.db"))
}

func TestAnInvalidConfigurationIsOneLine(t *testing.T) {
	const secret = "hunter2hunter2hunter2hunter2hunt"
	broken := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(broken, []byte(secret), 0o600))
	for says, c := range map[string]struct {
		file string
		env  []string
		args []string
	}{
		".env:2: want NAME=VALUE":                {file: "A=1\n" + secret},
		`invalid version "v4": want v3 or v2`:    {args: []string{"-version", "v4"}},
		"invalid data source name":               {args: []string{"-db", "root:" + secret + "@tcp(127.0.0.1"}},
		"set WECHAT_API_V3_KEY for APIv3":        {env: []string{"WECHAT_MCH_ID=1"}},
		"WECHAT_KEY: open : no such file":        {env: []string{"WECHAT_MCH_ID=1", "WECHAT_API_V3_KEY=" + secret}},
		"WECHAT_KEY: ":                           {env: []string{"WECHAT_MCH_ID=1", "WECHAT_API_V3_KEY=" + secret, "WECHAT_KEY=" + broken}},
		"WECHAT_CERT: open none: no such file":   {env: []string{"WECHAT_MCH_ID=1", "WECHAT_API_KEY=" + secret, "WECHAT_CERT=none"}},
		"Config.AppID":                           {env: []string{"WECHAT_MCH_ID=1", "WECHAT_API_KEY=" + secret}},
		"SmsSdkAppId, SignName and TemplateId":   {env: []string{"secretKey=" + secret}},
		"shop: key of 7 bytes: want at least 32": {env: []string{"SHOP_KEY=hunter2"}},
	} {
		out, err := command(t, c.file, c.env, c.args...).CombinedOutput()
		require.Error(t, err, says)
		require.Contains(t, string(out), says)
		require.Equal(t, 1, strings.Count(string(out), "\n"), "%s", out)
		require.True(t, strings.HasPrefix(string(out), "shop: "))
		require.NotContains(t, string(out), "hunter2")
	}
}
