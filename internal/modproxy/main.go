// Modproxy writes the modules of this repository to a folder in the layout of a module proxy. Releases and tests use it
// to try a version before it is published.
//
//	go run ./internal/modproxy -version v0.1.0 -out /tmp/proxy
//	GOPROXY=file:///tmp/proxy,https://proxy.golang.org GONOSUMDB=github.com/wetoken/wetoken go get …
//
// The zips have the same checksums as git's, if the folder has no uncommitted files.
// https://go.dev/ref/mod#goproxy-protocol, https://go.dev/ref/mod#zip-files
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	dir := flag.String("dir", ".", "`folder` of the root module")
	out := flag.String("out", "", "`folder` to write the proxy to")
	version := flag.String("version", "", "`version` that all modules get, such as v0.1.0")
	flag.Parse()
	if *out == "" || *version == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := Write(*out, *dir, *version); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
