// Command apilist prints the exported API of all packages of the repository that others can import.
//
//	go run ./internal/apilist
//
// It prints the declarations of each package in the order of their names, without comments, unexported fields and function
// bodies.
package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/doc"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const module = "github.com/wetoken/wetoken"

func main() {
	if err := printAll(os.Stdout, "."); err != nil {
		fmt.Fprintln(os.Stderr, "apilist:", err)
		os.Exit(1)
	}
}

// printAll prints the packages below root.
func printAll(w io.Writer, root string) error {
	return filepath.WalkDir(root, func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		name := d.Name()
		if slices.Contains([]string{"internal", "cmd", "examples", "testdata", "node_modules"}, name) || dir != root && strings.HasPrefix(name, ".") {
			return filepath.SkipDir
		}
		rel, err := filepath.Rel(root, dir)
		if err != nil {
			return err
		}
		return printPackage(w, dir, path.Join(module, filepath.ToSlash(rel)))
	})
}

// printPackage prints the package in a folder, if it is one that others can import.
func printPackage(w io.Writer, dir, importPath string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if f.Name.Name != "main" {
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		return nil
	}
	p, err := doc.NewFromFiles(fset, files, importPath)
	if err != nil {
		return err
	}
	lines, err := declarations(fset, p)
	if err != nil || len(lines) == 0 {
		return err
	}
	_, err = fmt.Fprintf(w, "package %s // import %q\n\n%s\n\n", p.Name, importPath, strings.Join(lines, "\n\n"))
	return err
}

// declarations returns the exported declarations of a package: constants, variables, functions, and types with their own.
func declarations(fset *token.FileSet, p *doc.Package) (list []string, err error) {
	add := func(decl ast.Decl) {
		var b bytes.Buffer
		if e := format.Node(&b, fset, decl); e != nil && err == nil {
			err = e
		}
		list = append(list, b.String())
	}
	addValues := func(values []*doc.Value) {
		for _, v := range values {
			add(v.Decl)
		}
	}
	addFuncs := func(funcs []*doc.Func) {
		for _, f := range funcs {
			f.Decl.Body = nil
			add(f.Decl)
		}
	}
	addValues(p.Consts)
	addValues(p.Vars)
	addFuncs(p.Funcs)
	for _, t := range p.Types {
		add(t.Decl)
		addValues(t.Consts)
		addValues(t.Vars)
		addFuncs(t.Funcs)
		addFuncs(t.Methods)
	}
	return list, err
}
