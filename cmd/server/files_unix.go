//go:build unix

package main

import "syscall"

// fileLimit is how many files this process may have open. The runtime has raised it as far as it may be.
func fileLimit() uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return defaultFiles
	}
	return uint64(l.Cur)
}
