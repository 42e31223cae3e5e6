package main

// Run is the program. The tests refer to it without calling it: go test reuses the result of a test whose own binary has
// not changed, so the program that they build must be part of that binary.
var Run = run

// ReadConfig reads a configuration file.
var ReadConfig = readConfig

// LimitListener and MaxPublic bound the connections of the public side.
var (
	LimitListener = limitListener
	PublicMax     = maxPublic
)
