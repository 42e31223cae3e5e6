//go:build !unix

package main

// fileLimit returns the number of files that this process may have open, where the system does not tell.
func fileLimit() uint64 { return defaultFileLimit }
