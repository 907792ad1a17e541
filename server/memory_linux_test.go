//go:build !portable && !race && !lockcheck

package server_test

// The epoll loop has no goroutine for a connection.
func init() { idle["system's"] = memory{heap: 560, stack: 512} }
