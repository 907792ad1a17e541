//go:build !portable && (386 || s390x)

package netloop

import "syscall"

// These systems have one call for all that sockets do, which would be slower. read and write do not look at the arguments that they have not.
const (
	sysReceive = syscall.SYS_READ
	sysSend    = syscall.SYS_WRITE
	noSignal   = 0
)
