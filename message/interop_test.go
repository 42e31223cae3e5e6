package message_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/message"
)

// TestNpmPackagesInteroperate checks the cryptography against independent programs: the npm packages wechat-crypto and
// @wecom/crypto, in the versions of testdata/npm/package.json. The test needs node, npm and a registry. Where they
// are missing it is skipped, or fails if WETOKEN_TEST_REQUIRE is 1. The short form leaves it out.
func TestNpmPackagesInteroperate(t *testing.T) {
	testform.NeedFull(t)
	dir := npm(t)
	texts := []string{"", "x", "你好，世界 💖", "a]]>b", strings.Repeat("long 长 ", 220)}
	for n := range 33 { // every length of padding
		texts = append(texts, strings.Repeat("p", n))
	}
	var jobs []job
	var apps []wechat
	for _, name := range []string{"wechat-crypto", "@wecom/crypto"} {
		for _, key := range []string{sampleKey, strings.Repeat("A", 43)} {
			w := official()
			w.key = key
			for _, text := range texts {
				doc := "<xml><FromUserName>oUser</FromUserName><MsgType>text</MsgType><Content>" + escape(text) + "</Content></xml>"
				jobs = append(jobs, job{Package: name, Op: "seal", Token: w.token, Key: w.key, ID: w.id, Timestamp: stamp(), Nonce: w.nonce, Message: doc})
				apps = append(apps, w)
			}
		}
	}

	results := node(t, dir, jobs)
	for i, w := range apps {
		in := w.newReceiver(t)
		query := w.sealed("")
		query.Set("timestamp", jobs[i].Timestamp)
		query.Set("msg_signature", results[i].Signature)
		m, err := in.Open(query, fmt.Appendf(nil, "<xml><Encrypt>%s</Encrypt></xml>", results[i].Encrypt))
		require.NoError(t, err, jobs[i].Package)
		require.Equal(t, jobs[i].Message, m.Raw)

		body, err := in.Seal(m, message.Text("re: "+m.Content))
		require.NoError(t, err)
		var e envelope
		require.NoError(t, xml.Unmarshal(body, &e))
		jobs[i].Op, jobs[i].Encrypt, jobs[i].Timestamp, jobs[i].Nonce = "open", e.Encrypt, e.TimeStamp.String(), e.Nonce
		jobs[i].Message = "re: " + m.Content
		jobs[i].signature = e.MsgSignature
	}

	for i, result := range node(t, dir, jobs) {
		require.Equal(t, jobs[i].ID, result.ID)
		require.Equal(t, jobs[i].signature, result.Signature)
		var reply struct{ Content, ToUserName string }
		require.NoError(t, xml.Unmarshal([]byte(result.Message), &reply))
		require.Equal(t, jobs[i].Message, reply.Content)
		require.Equal(t, "oUser", reply.ToUserName)
	}
}

type job struct {
	Package   string `json:"package"`
	Op        string `json:"op"`
	Token     string `json:"token"`
	Key       string `json:"key"`
	ID        string `json:"id"`
	Timestamp string `json:"timestamp"`
	Nonce     string `json:"nonce"`
	Message   string `json:"message,omitempty"`
	Encrypt   string `json:"encrypt,omitempty"`

	signature string
}

type result struct{ Encrypt, Signature, Message, ID string }

func escape(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		panic(err)
	}
	return b.String()
}

// npm installs the packages into a temporary folder.
func npm(t *testing.T) string {
	missing := func(format string, a ...any) {
		reason := fmt.Sprintf(format, a...)
		if os.Getenv("WETOKEN_TEST_REQUIRE") == "1" {
			require.Fail(t, "interoperability with npm's packages cannot be tested", reason)
		}
		t.Skipf("SKIPPED, NOT TESTED: interoperability with npm's wechat-crypto and @wecom/crypto: %s", reason)
	}
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing("%v", err)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "interop.js"} {
		data, err := os.ReadFile(filepath.Join("testdata", "npm", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock",
		"--fetch-retries=0", "--fetch-timeout=10000")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		missing("npm install: %v\n%s", err, out)
	}
	return dir
}

// node runs the jobs with the packages.
func node(t *testing.T, dir string, jobs []job) []result {
	in, err := json.Marshal(jobs)
	require.NoError(t, err)
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "node", "interop.js")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, bytes.NewReader(in), &out, &problems
	require.NoError(t, cmd.Run(), "%s", &problems)
	var results []result
	require.NoError(t, json.Unmarshal(out.Bytes(), &results))
	require.Len(t, results, len(jobs))
	return results
}
