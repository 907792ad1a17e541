//go:build !unix && !windows

package sockbuf

// limit does nothing: such a system has no sockets, or no such options.
func limit(uintptr) error { return nil }
