//go:build !unix

package server_test

// keepLittle does nothing.
func keepLittle(uintptr) {}
