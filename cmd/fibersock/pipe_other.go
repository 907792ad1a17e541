//go:build !unix

package main

// ignoreBrokenPipes has nothing to do: there is no signal for a broken pipe.
func ignoreBrokenPipes() {}

// isBrokenPipe reports that the system does not tell a broken pipe from other
// errors.
func isBrokenPipe(error) bool { return false }
