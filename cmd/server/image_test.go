package main_test

import (
	"debug/elf"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/wetoken/wetoken/internal/needed"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// deployed returns a file of the folder deploy.
func deployed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", name))
	if errors.Is(err, fs.ErrNotExist) {
		skip(t, "this is no checkout of the repository")
	}
	require.NoError(t, err)
	return string(text)
}

// image is what a container of the image has: its files, its environment, and its user.
type image struct {
	root, data string
	user       string
	copied     []string
}

// newImage makes the files of the image as the Dockerfile does. In place of the certificates of public authorities it has authority.
func newImage(t *testing.T, authority []byte) *image {
	t.Helper()
	file := deployed(t, "Dockerfile")
	dir := t.TempDir()
	i := &image{root: filepath.Join(dir, "root"), data: filepath.Join(dir, "data")}
	m := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*) -o /out/server \./cmd/server$`).FindStringSubmatch(file)
	require.NotNil(t, m)
	binary := filepath.Join(dir, "server")
	build := exec.CommandContext(t.Context(), "sh", "-c", m[1]+` -o "$0" ./cmd/server`, binary)
	build.Dir = filepath.Join("..", "..")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	_, last, _ := strings.Cut(file, "\nFROM scratch\n")
	require.NotContains(t, last, "\nRUN ")
	sources := map[string]func(to string){
		"/etc/ssl/certs/ca-certificates.crt": func(to string) { require.NoError(t, os.WriteFile(to, authority, 0o644)) },
		"/out/server":                        func(to string) { require.NoError(t, os.Rename(binary, to)) },
		"/out/data":                          func(to string) { require.NoError(t, os.Mkdir(to, 0o755)) },
	}
	for _, m := range regexp.MustCompile(`(?m)^COPY --from=build (?:--chown=\S+ )?(\S+) (\S+)$`).FindAllStringSubmatch(last, -1) {
		require.Contains(t, sources, m[1])
		to := filepath.Join(i.root, m[2])
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
		sources[m[1]](to)
		i.copied = append(i.copied, m[2])
	}
	require.Equal(t, strings.Count(last, "COPY "), len(i.copied))
	m = regexp.MustCompile(`(?m)^USER (\d+:\d+)$`).FindStringSubmatch(last)
	require.NotNil(t, m)
	i.user = m[1]
	require.NoError(t, os.Mkdir(i.data, 0o755))
	var uid, gid int
	_, err = fmt.Sscanf(i.user, "%d:%d", &uid, &gid)
	require.NoError(t, err)
	require.NotZero(t, uid)
	require.NoError(t, os.Chown(i.data, uid, gid))
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	return i
}

// mount puts a file into the container, at /etc/wetoken.
func (i *image) mount(t *testing.T, name string, content []byte) {
	t.Helper()
	to := filepath.Join(i.root, "etc", "wetoken", name)
	require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
	require.NoError(t, os.WriteFile(to, content, 0o644))
}

// runner returns the command that runs another one in the container: with a root that is read-only, a volume for data, no
// environment but names, and the user of the image.
func (i *image) runner(names ...string) []string {
	script := `set -e
root=$0; data=$1; user=$2; shift 3 # and the name of the program
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind "$data" "$root/var/lib/wetoken"
mount -o remount,ro,bind "$root"
exec env -i `
	for _, name := range names {
		script += name + `="$` + name + `" `
	}
	script += `"$(command -v chroot)" --userspec="$user" "$root" /server "$@"`
	return []string{"unshare", "-m", "sh", "-c", script, i.root, i.data, i.user}
}

func TestTheImageServesWithOnlyWhatItCopies(t *testing.T) {
	testform.NeedFull(t)
	needed.Address(t, "WETOKEN_TEST_UNSHARE", "unshare", func(name string) error {
		return exec.Command(name, "-m", "sh", "-c", "mount --make-rprivate / && command -v chroot").Run()
	})
	wx, payments := new(wechattest.Server), new(paytest.Server)
	t.Cleanup(payments.Close)
	wx.AddApp("wx0123456789abcdef", "a-secret-of-this-test")
	account := payments.AddMerchant(paytest.Merchant{MchID: payMchID})
	srv := httptest.NewTLSServer(wx)
	t.Cleanup(srv.Close)
	i := newImage(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	binary, err := elf.Open(filepath.Join(i.root, "server"))
	require.NoError(t, err)
	libraries, err := binary.ImportedLibraries()
	require.NoError(t, err)
	require.Empty(t, libraries, "it is static")
	require.Nil(t, binary.Section(".interp"))
	require.NoError(t, binary.Close())

	signer, err := payv3.ParseKey([]byte(account.PrivateKey))
	require.NoError(t, err)
	certificate, err := payv3.ParseCertificate([]byte(account.Certificate))
	require.NoError(t, err)
	p12, err := pkcs12.LegacyRC2.Encode(signer, certificate, nil, payMchID)
	require.NoError(t, err)
	i.mount(t, "certificates/apiclient_cert.p12", p12)
	redis, rpc := newRedis(t), freeAddress(t)
	config := regexp.MustCompile(`(?m)^# ((?:apps|merchants|public_url):| {2,})`).ReplaceAllString(deployed(t, "wetoken.yaml"), "$1")
	for old, text := range map[string]string{"redis:6379": redis.address, "jsonrpc: :8000": "jsonrpc: " + rpc} {
		require.Contains(t, config, old)
		config = strings.ReplaceAll(config, old, text)
	}
	i.mount(t, "wetoken.yaml", []byte(config+"endpoints: {api: '"+srv.URL+"'}\n"))
	env := []string{"WETOKEN_MASTER_KEYS=" + newKey(), "ADMIN_KEY=" + shopKey, "SHOP_SECRET=a-secret-of-this-test", "API_KEY=" + account.APIKey}
	by := i.runner("WETOKEN_MASTER_KEYS", "ADMIN_KEY", "SHOP_SECRET", "API_KEY")

	migrated := exec.CommandContext(t.Context(), by[0], append(by[1:len(by):len(by)], "server", "migrate", "-config", "/etc/wetoken/wetoken.yaml")...)
	migrated.Env = append(os.Environ(), env...)
	out, err := migrated.CombinedOutput()
	require.NoError(t, err, "%s", out)
	p := startWith(t, by, env, "-config", "/etc/wetoken/wetoken.yaml")
	status, body := p.ask(t, "/app/shop/token")
	require.Equal(t, http.StatusOK, status, "over TLS, by the copied certificates: %s", body)
	status, body = p.ask(t, "/apis/v1/wx/mp/access_token/wx0123456789abcdef")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `"accessToken":"`+wx.Tokens("wx0123456789abcdef")[0].Value)
	resp, err := http.Post("http://"+rpc+"/?wetoken_key="+shopKey, "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"getMpAccessTokenByAppid","params":[{"appid":"wx0123456789abcdef"}]}`))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.FileExists(t, filepath.Join(i.data, "records.db"))
	p.kill()

	i.mount(t, "wetoken.yaml", []byte(strings.ReplaceAll(config, "sqlite:/var/lib/wetoken/records.db", "sqlite:/records.db")))
	failed := launchWith(t, by, env, "-config", "/etc/wetoken/wetoken.yaml")
	waitUntil(t, 20*time.Second, "the server has tried to write", func() bool { return failed.status("/readyz") == http.StatusServiceUnavailable })
	require.Contains(t, failed.get(t, "/readyz"), "records")
	require.NoFileExists(t, filepath.Join(i.root, "records.db"), "the root is read-only")
}
