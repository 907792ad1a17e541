//go:build !portable && !race && !lockcheck

package server_test

// Here the system's loop is another, in which a connection has no goroutine.
func init() { idle["system's"] = memory{heap: 560, stack: 512} }
