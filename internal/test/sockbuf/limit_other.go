//go:build !unix && !windows

package sockbuf

// limit has no effect: such a system has no sockets, or no such options.
func limit(uintptr) error { return nil }
