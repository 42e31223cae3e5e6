package main_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A password may be a parameter of a URL. It belongs into the file of the secrets too, which is the only one that others cannot read.
func TestInitKeepsAPasswordInAQueryOutOfTheConfiguration(t *testing.T) {
	t.Parallel()
	base, err := url.Parse(postgres(t))
	require.NoError(t, err)
	q := base.Query()
	q.Set("user", base.User.Username())
	q.Set("password", password)
	base.User, base.RawQuery = nil, q.Encode()
	dir := t.TempDir()
	printed, code := initialize(t, dir, "", nil, "-yes", "-store", base.String())
	require.Zero(t, code, printed)
	config, err := os.ReadFile(filepath.Join(dir, "wetoken.yaml"))
	require.NoError(t, err)
	require.NotContains(t, string(config), password)
}

// Nor is it shown in a question.
func TestInitShowsNoPasswordInAQuestion(t *testing.T) {
	t.Parallel()
	printed, _ := initialize(t, t.TempDir(), "\n\n", nil, "-store", "postgres://127.0.0.1:1/x?user=u&password="+password)
	require.NotContains(t, printed, password)
}

func TestInitWithOddFoldersAndNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ folder, app, secret string }{
		{"a b$c #d", "shop", "s3cret-of this'test"}, {"数据%20?x", "小店", "s$HOME`id`\\n"}, {"at@sign", "null", "true"}, {"q'uote\"d", "~", "-----"}, {"colon: x", "a: b", "# x"},
	} {
		t.Run(c.folder, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), c.folder)
			require.NoError(t, os.Mkdir(dir, 0o700))
			printed, code := initialize(t, dir, "", []string{"APP_SECRET=" + c.secret}, "-yes", "-app", c.app, "-app-id", "wx0123456789abcdef", "-public-url", "https://wx.example.com")
			require.Zero(t, code, printed)
			secrets := readSecrets(t, dir, printed)
			addWeChat(t, dir, c.secret)
			p := startInitialized(t, dir)
			require.Equal(t, 200, p.statusWith(t, secrets["ADMIN_KEY"], "/app/"+url.PathEscape(c.app)+"/token"))
		})
	}
}

// Docker Compose and systemd end a quoted value at the next ', whatever follows.
func TestInitWritesSecretsThatComposeCanRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	printed, code := initialize(t, dir, "", []string{"APP_SECRET=a-secret of this'app"}, "-yes", "-app", "shop", "-app-id", "wx0123456789abcdef")
	if code != 0 {
		return // refused
	}
	text, err := os.ReadFile(filepath.Join(dir, "wetoken.env"))
	require.NoError(t, err, printed)
	for _, line := range strings.Split(string(text), "\n") {
		if _, value, ok := strings.Cut(line, "='"); ok {
			_, rest, closed := strings.Cut(value, "'")
			require.True(t, closed && rest == "", "compose-go: unexpected character; systemd reads another value: %s", line)
		}
	}
}
