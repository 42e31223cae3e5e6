//go:build !unix

package main

// fileLimit is how many files this process may have open, where the system does not say.
func fileLimit() uint64 { return defaultFiles }
