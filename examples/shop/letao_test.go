package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
)

func TestTheRequestsOfLetaosClientsWork(t *testing.T) {
	for _, name := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(name); err != nil {
			require.NotEqual(t, "1", os.Getenv("WETOKEN_TEST_REQUIRE"), err)
			t.Skip("SKIPPED, NOT TESTED: ", err)
		}
	}
	shoptest.OnEach(t, func(t *testing.T, name string) {
		shop, phone, log := runShop(t, name)
		script := exec.CommandContext(t.Context(), "bash", "testdata/letao.sh")
		script.Env = append(os.Environ(), "SHOP="+shop, "PHONE="+phone, "LOG="+log)
		out, err := script.CombinedOutput()
		printed, _ := os.ReadFile(log)
		require.NoError(t, err, "%s\n%s", out, printed)
		require.GreaterOrEqual(t, strings.Count(string(out), "ok: "), 50)
		require.NotContains(t, string(printed), "abc123")
	})
}

// runShop runs the program without a merchant and a sender of SMS. It returns its URL, that of its phone, and the file that it prints to.
func runShop(t *testing.T, name string) (shop, phone, log string) {
	log = filepath.Join(t.TempDir(), "log")
	file, err := os.Create(log)
	require.NoError(t, err)
	defer file.Close()
	cmd := exec.Command(program(t), "-addr", "127.0.0.1:0", "-db", name)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"HOME=" + cmd.Dir}
	cmd.Stdout, cmd.Stderr = file, file
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	started := regexp.MustCompile(`(?m)^(http://\S+)/\n(http://\S+)/phone `)
	require.Eventually(t, func() bool {
		printed, err := os.ReadFile(log)
		match := started.FindSubmatch(printed)
		if err != nil || match == nil {
			return false
		}
		shop, phone = string(match[1]), string(match[2])
		return true
	}, time.Minute, 20*time.Millisecond)
	return shop, phone, log
}
