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

// versionPattern matches the versions that may be released: below v2, since the module path has no major version.
var versionPattern = regexp.MustCompile(`^v[01]\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

// Write writes the module in the folder root, and the modules nested in it, as a module proxy to the folder out, which
// must not be below root.
func Write(out, root, version string) error {
	if !versionPattern.MatchString(version) {
		return fmt.Errorf("modproxy: invalid version %q: want one such as v0.1.0", version)
	}
	if isBelow(out, root) {
		return fmt.Errorf("modproxy: invalid folder %s: want one that is not below %s", out, root)
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
			return nil // a module that has no versions, such as one in a testdata folder
		}
		return writeModule(out, root, dir, name, version)
	})
}

func isBelow(dir, root string) bool {
	dir, err := filepath.Abs(dir)
	root, err2 := filepath.Abs(root)
	rel, err3 := filepath.Rel(root, dir)
	return errors.Join(err, err2, err3) != nil || filepath.IsLocal(rel)
}

// modulePath returns the path of the module in a folder. Paths with capitals are an error, since a proxy encodes them.
func modulePath(dir string) (string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("modproxy: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(line, "module "); ok {
			name = strings.Trim(strings.TrimSpace(name), `"`)
			if name != strings.ToLower(name) {
				return "", fmt.Errorf("modproxy: invalid module path %q: want no capitals", name)
			}
			return name, nil
		}
	}
	return "", fmt.Errorf("modproxy: %s/go.mod has no module line", dir)
}

// writeModule writes the four files of one version of one module.
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
	err = writeZip(f, root, dir, name+"@"+version)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("modproxy: pack %s: %w", name, err)
	}
	return nil
}

// writeZip writes the zip of the module in dir. All its files are below prefix. As in the zips of the go command,
// nested modules, vendor folders and links are left out, and a nested module without a licence gets that of the root.
func writeZip(w io.Writer, root, dir, prefix string) error {
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
		case !d.Type().IsRegular() || d.Name() == ".git": // a file in a git worktree
			return nil
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		licensed = licensed || rel == "LICENSE"
		return addFile(z, path.Join(prefix, filepath.ToSlash(rel)), file)
	})
	if err != nil {
		return err
	}
	if !licensed {
		if err := addFile(z, path.Join(prefix, "LICENSE"), filepath.Join(root, "LICENSE")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return z.Close()
}

func holdsModule(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func addFile(z *zip.Writer, name, file string) error {
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
