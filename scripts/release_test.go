package scripts_test

import (
	"encoding/json"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	rootPath = "github.com/wetoken/wetoken"
	version  = "v0.99.0"
)

// releasable returns a copy of the repository with a changelog for the version, and with a nested module that requires
// another nested one: its checksum depends on the checksum of that one.
func releasable(t *testing.T) *repository {
	t.Helper()
	r := copied(t)
	if !strings.Contains(r.read("cmd/server/go.mod"), rootPath+"/store/redisstore ") {
		required := ours.FindStringSubmatch(r.read("cmd/server/go.mod"))[2]
		r.run("go", "mod", "edit", "-require="+rootPath+"/store/redisstore@"+required, "cmd/server/go.mod")
	}
	r.write("CHANGELOG.md", r.read("CHANGELOG.md")+"\n## [0.99.0] - 2026-01-02\n")
	r.commit()
	return r
}

// nested returns the folders of the modules other than the root.
func (r *repository) nested() (dirs []string) {
	r.t.Helper()
	for dir := range strings.Lines(r.run("go", "list", "-m", "-f", "{{.Dir}}")) {
		rel, err := filepath.Rel(r.dir, strings.TrimSpace(dir))
		require.NoError(r.t, err)
		if rel != "." {
			dirs = append(dirs, filepath.ToSlash(rel))
		}
	}
	return dirs
}

func TestNoModuleFileHoldsAReplace(t *testing.T) {
	r := copied(t)
	for _, dir := range append(r.nested(), ".") {
		require.NotContains(t, r.read(path.Join(dir, "go.mod")), "replace", "%s/go.mod: replacements belong in go.work, since go install refuses a program that has them", dir)
	}
}

func TestAReleaseTagsTheRootAndThenTheOthers(t *testing.T) {
	r := releasable(t)
	out := r.run("scripts/release", version)

	tags := []string{version}
	for _, dir := range r.nested() {
		tags = append(tags, dir+"/"+version)
	}
	slices.Sort(tags)
	require.Equal(t, tags, strings.Fields(r.run("git", "tag")))
	require.Contains(t, out, "git push origin main "+version+"\n")
	require.Empty(t, r.run("git", "status", "--porcelain"))
	require.Equal(t, r.run("git", "rev-parse", "main~1"), r.run("git", "rev-parse", version+"^{commit}"))

	for _, dir := range r.nested() {
		require.Equal(t, r.run("git", "rev-parse", "main"), r.run("git", "rev-parse", dir+"/"+version+"^{commit}"))
		mod := r.run("git", "show", dir+"/"+version+":"+dir+"/go.mod")
		require.NotContains(t, mod, "replace")
		for _, m := range ours.FindAllStringSubmatch(mod, -1) {
			require.Equal(t, version, m[2], "%s/go.mod requires %s", dir, m[1])
		}
		require.Regexp(t, ours, mod, "%s/go.mod requires nothing of ours", dir)
	}
	r.run("go", "list", "-deps", "./cmd/server") // fails unless go.work has moved on as well
}

// ours matches a requirement of one of our modules.
var ours = regexp.MustCompile(`\s(` + rootPath + `\S*) (v\S+)`)

func TestChecksumsOfAReleaseEqualThoseOfItsTags(t *testing.T) {
	r := releasable(t)
	r.run("scripts/release", version)

	download := func(name string) (sum, modSum string) {
		cmd := r.command("go", "mod", "download", "-json", name+"@"+version)
		cmd.Dir = t.TempDir()
		cmd.Env = append(cmd.Env, "GOWORK=off", "GOPROXY=direct", "GOSUMDB=off", "GOFLAGS=-modcacherw", "GOMODCACHE="+t.TempDir(),
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url.file://"+r.dir+".insteadOf", "GIT_CONFIG_VALUE_0=https://"+rootPath)
		out, err := cmd.Output()
		require.NoError(t, err, "%s", out)
		var answer struct{ Sum, GoModSum string }
		require.NoError(t, json.Unmarshal(out, &answer))
		return answer.Sum, answer.GoModSum
	}
	for _, dir := range r.nested() {
		sums := r.read(path.Join(dir, "go.sum"))
		for _, m := range ours.FindAllStringSubmatch(r.read(path.Join(dir, "go.mod")), -1) {
			sum, modSum := download(m[1])
			require.Contains(t, sums, m[1]+" "+version+" "+sum+"\n", "%s/go.sum", dir)
			require.Contains(t, sums, m[1]+" "+version+"/go.mod "+modSum+"\n", "%s/go.sum", dir)
		}
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	r := releasable(t)
	before := r.run("git", "rev-parse", "HEAD")
	out := r.run("scripts/release", "-n", version)
	for _, dir := range r.nested() {
		require.Contains(t, out, dir+"/"+version)
	}
	require.Equal(t, before, r.run("git", "rev-parse", "HEAD"))
	require.Empty(t, r.run("git", "tag"))
	require.Empty(t, r.run("git", "status", "--porcelain"))
}

func TestReleaseRefusesInvalidStates(t *testing.T) {
	r := releasable(t)
	require.Contains(t, r.refuse("scripts/release", "0.99.0"), "invalid version")
	require.Contains(t, r.refuse("scripts/release", "v2.0.0"), "invalid version")
	require.Contains(t, r.refuse("scripts/release"), "usage")
	require.Contains(t, r.refuse("scripts/release", "-n", "v0.98.0"), "CHANGELOG.md has no section ## [0.98.0]")

	r.write("new.txt", "")
	require.Contains(t, r.refuse("scripts/release", version), "not committed")
	r.run("git", "clean", "-fq", "new.txt")

	r.run("git", "tag", "cmd/server/"+version)
	require.Contains(t, r.refuse("scripts/release", version), "tag cmd/server/"+version+" already exists")
	r.run("git", "tag", "-d", "cmd/server/"+version)

	r.run("git", "checkout", "-q", "-b", "other")
	require.Contains(t, r.refuse("scripts/release", version), "invalid branch other: want main")
	require.Empty(t, r.run("git", "tag"))
}
