// Package scripts_test runs the scripts on copies of this repository.
package scripts_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository is a git repository with a copy of the files of this one, in a commit on main.
type repository struct {
	t   *testing.T
	dir string
}

// copied returns a copy of the files of this repository, committed or not. This process reads them, so that go test does
// not reuse its cached result after a change of one.
func copied(t *testing.T) *repository {
	t.Helper()
	need(t, "bash", "git", "tar")
	if _, err := os.Stat("../go.work"); err != nil {
		skip(t, "this is not a checkout of the repository: "+err.Error())
	}
	r := &repository{t, t.TempDir()}
	require.NoError(t, filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel("..", file)
		if err != nil {
			return err
		}
		switch {
		case d.Name() == ".git" || d.Name() == "node_modules":
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(r.dir, rel), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(r.dir, rel), content, info.Mode().Perm())
	}))
	r.run("git", "init", "-q", "-b", "main")
	r.commit()
	return r
}

// need skips a test where a program is missing.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			skip(t, "this test needs "+p)
		}
	}
}

// skip skips a test, or fails it with WETOKEN_TEST_REQUIRE=1.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("WETOKEN_TEST_REQUIRE") == "1" {
		t.Fatal("WETOKEN_TEST_REQUIRE is 1, but " + why)
	}
	t.Skip("SKIPPED: " + why)
}

func (r *repository) commit() {
	r.t.Helper()
	r.run("git", "add", "-A")
	r.run("git", "commit", "-q", "-m", "Change")
}

// command returns a command to run in the repository, without the git settings of this machine.
func (r *repository) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = r.dir
	cmd.Env = append(cmd.Environ(), "GOWORK=", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Nobody", "GIT_AUTHOR_EMAIL=nobody@example.com", "GIT_COMMITTER_NAME=Nobody", "GIT_COMMITTER_EMAIL=nobody@example.com")
	return cmd
}

// run runs a command that must succeed.
func (r *repository) run(name string, args ...string) string {
	r.t.Helper()
	out, err := r.command(name, args...).CombinedOutput()
	require.NoError(r.t, err, "%s %q: %s", name, args, out)
	return string(out)
}

// refuse runs a command that must fail.
func (r *repository) refuse(name string, args ...string) string {
	r.t.Helper()
	out, err := r.command(name, args...).CombinedOutput()
	require.Error(r.t, err, "%s %q: %s", name, args, out)
	return string(out)
}

func (r *repository) read(file string) string {
	r.t.Helper()
	content, err := os.ReadFile(filepath.Join(r.dir, file))
	require.NoError(r.t, err)
	return string(content)
}

func (r *repository) write(file, content string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(filepath.Join(r.dir, file), []byte(content), 0o644))
}
