package main

// Run is the program, which the tests hold on to without calling it: go test repeats the result of a test whose own
// binary has not changed, and so the program that they build must be part of that.
var Run = run

// ReadConfig reads a configuration file.
var ReadConfig = readConfig

// LimitListener and PublicMax bound the connections of the public side.
var (
	LimitListener = limitListener
	PublicMax     = publicMax
)
