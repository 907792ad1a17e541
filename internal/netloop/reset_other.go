//go:build !windows && !plan9

package netloop

import "syscall"

// ErrConnReset is the system's error for a connection that the peer has reset.
const ErrConnReset = syscall.ECONNRESET
