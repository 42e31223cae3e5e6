package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// versions are those that may be released: nothing above v1, since the module's path names no major version.
var versions = regexp.MustCompile(`^v[01]\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

// Write writes the module in the folder root, and those nested in it, as a module proxy to the folder out, which must
// not be below root.
func Write(out, root, version string) error {
	if !versions.MatchString(version) {
		return fmt.Errorf("modproxy: version %q is not such as v0.1.0", version)
	}
	if below(out, root) {
		return fmt.Errorf("modproxy: %s is below %s, and would pack itself", out, root)
	}
	rootPath, err := modulePath(root)
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("modproxy: %w", err)
		}
		if d.IsDir() && d.Name() == ".git" {
			return filepath.SkipDir
		}
		if d.IsDir() || d.Name() != "go.mod" {
			return nil
		}
		dir := filepath.Dir(file)
		rel, err := filepath.Rel(root, dir)
		if err != nil {
			return fmt.Errorf("modproxy: %w", err)
		}
		name, err := modulePath(dir)
		if err != nil {
			return err
		}
		if name != path.Join(rootPath, filepath.ToSlash(rel)) {
			return nil // a module that is nobody's by version, such as one in a testdata folder
		}
		return writeModule(out, root, dir, name, version)
	})
}

func below(dir, root string) bool {
	dir, err := filepath.Abs(dir)
	root, err2 := filepath.Abs(root)
	rel, err3 := filepath.Rel(root, dir)
	return errors.Join(err, err2, err3) != nil || filepath.IsLocal(rel)
}

// modulePath reads the path of the module in a folder. Paths with capitals are refused: a proxy spells them otherwise.
func modulePath(dir string) (string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("modproxy: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(line, "module "); ok {
			name = strings.Trim(strings.TrimSpace(name), `"`)
			if name != strings.ToLower(name) {
				return "", fmt.Errorf("modproxy: module path %q has capitals", name)
			}
			return name, nil
		}
	}
	return "", fmt.Errorf("modproxy: %s/go.mod names no module", dir)
}

// writeModule writes the four files by which a proxy answers for one version of one module.
func writeModule(out, root, dir, name, version string) error {
	answers := filepath.Join(out, filepath.FromSlash(name), "@v")
	if err := os.MkdirAll(answers, 0o755); err != nil {
		return fmt.Errorf("modproxy: %w", err)
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return fmt.Errorf("modproxy: %w", err)
	}
	for file, content := range map[string][]byte{
		"list":            []byte(version + "\n"),
		version + ".info": []byte(`{"Version":"` + version + `"}`),
		version + ".mod":  mod,
	} {
		if err := os.WriteFile(filepath.Join(answers, file), content, 0o644); err != nil {
			return fmt.Errorf("modproxy: %w", err)
		}
	}
	f, err := os.Create(filepath.Join(answers, version+".zip"))
	if err != nil {
		return fmt.Errorf("modproxy: %w", err)
	}
	err = pack(f, root, dir, name+"@"+version)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("modproxy: pack %s: %w", name, err)
	}
	return nil
}

// pack writes the zip of the module in dir. Its files all stand below prefix. As in the zips that Go makes, what belongs
// to a nested module is left out, and so are vendor folders and links; a nested module without a licence gets the
// root's.
func pack(w io.Writer, root, dir, prefix string) error {
	z := zip.NewWriter(w)
	licensed := false
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if file != dir && (d.Name() == ".git" || d.Name() == "vendor" || holdsModule(file)) {
				return filepath.SkipDir
			}
			return nil
		case !d.Type().IsRegular() || d.Name() == ".git": // the latter in a git worktree
			return nil
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		licensed = licensed || rel == "LICENSE"
		return add(z, path.Join(prefix, filepath.ToSlash(rel)), file)
	})
	if err != nil {
		return err
	}
	if !licensed {
		if err := add(z, path.Join(prefix, "LICENSE"), filepath.Join(root, "LICENSE")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return z.Close()
}

func holdsModule(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func add(z *zip.Writer, name, file string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	to, err := z.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, in)
	return err
}
