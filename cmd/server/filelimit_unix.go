//go:build unix

package main

import "syscall"

// fileLimit returns the number of files that this process may have open. The Go runtime has raised it to the maximum.
func fileLimit() uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return defaultFileLimit
	}
	return uint64(l.Cur)
}
