// Modproxy writes the modules of this repository as a module proxy in a folder, as they would be had by version from
// the network. Releases and tests use it to try a version before anybody can see it.
//
//	go run ./internal/modproxy -version v0.1.0 -out /tmp/proxy
//	GOPROXY=file:///tmp/proxy,https://proxy.golang.org GONOSUMDB=github.com/wetoken/wetoken go get …
//
// The zips have the checksums that git would give them, as long as the folder holds what is committed and no more.
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
