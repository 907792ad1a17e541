//go:build 386 || s390x

package netloop

import "syscall"

// These systems have one call for all operations of sockets, which would be
// slower. read and write ignore the extra arguments.
const (
	sysReceive = syscall.SYS_READ
	sysSend    = syscall.SYS_WRITE
	noSignal   = 0
	finFollows = 0
)
