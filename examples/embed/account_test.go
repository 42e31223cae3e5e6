//go:build unix

package main_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/push"
)

func TestARealAccountComesFromTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	ours, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	theirs, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(ours)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&theirs.PublicKey)
	require.NoError(t, err)
	write := func(name, kind string, der []byte) (file string) {
		file = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return file
	}
	weChat := &push.Callback{AppID: "wx1234567890abcdef", Token: rand.Text(), EncodingAESKey: rand.Text() + rand.Text()[:16] + "A"}

	cmd := command("-db", "sqlite:"+filepath.Join(dir, "bookshop.db"), "-url", "https://shop.example.com/")
	cmd.Env = append(cmd.Env, "WECHAT_APP_ID="+weChat.AppID, "WECHAT_SECRET="+rand.Text(), "WECHAT_TOKEN="+weChat.Token,
		"WECHAT_AES_KEY="+weChat.EncodingAESKey, "WECHAT_MCH_ID=1900000001", "WECHAT_SERIAL_NO=5157F09EFDC096DE15EBE81A47057A7232F1B8E1",
		"WECHAT_KEY="+write("apiclient_key.pem", "PRIVATE KEY", private), "WECHAT_API_V3_KEY="+rand.Text()+"123456",
		"WECHAT_PUBLIC_KEY_ID=PUB_KEY_ID_0119000000012025010100000001", "WECHAT_PUBLIC_KEY="+write("pub_key.pem", "PUBLIC KEY", public))
	p := new(program)
	lines := p.run(t, cmd)
	m := regexp.MustCompile(`^https://shop\.example\.com/   # served at (http://\S+)/\nhttps://shop\.example\.com/wx/message   # the callback URL`).FindStringSubmatch(lines)
	require.NotNil(t, m, lines)
	_, page := newVisitor(t).get(m[1])
	require.Contains(t, page, "Log in with WeChat")
	weChat.URL = m[1] + "/wx/message"
	require.NoError(t, weChat.Verify(t.Context()))
}

func TestTheCommandNeedsAWholeAccountAndADatabaseForIt(t *testing.T) {
	for _, c := range []struct {
		flags, env []string
		want       string
	}{
		{[]string{"-db", "sqlite:none.db", "-url", "https://shop.example.com"}, []string{"WECHAT_APP_ID=wx1234567890abcdef", "WECHAT_SECRET="}, "WECHAT_SECRET is empty"},
		{[]string{"-url", "https://shop.example.com"}, []string{"WECHAT_APP_ID=wx1234567890abcdef"}, "a real account needs -db"},
		{[]string{"-db", "postgres://root@127.0.0.1/test"}, nil, "-db: want sqlite:FILE or mysql://"},
		{[]string{"-db", "mysql://root:hidden@127.0.0.1:x/test"}, nil, "-db: invalid URL"},
	} {
		cmd := command(c.flags...)
		cmd.Env = append(cmd.Env, c.env...)
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), c.want)
		require.NotContains(t, string(out), "hidden")
	}
}
