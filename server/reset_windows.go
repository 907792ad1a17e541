package server

import "syscall"

// errConnReset is the system's error for a connection that the peer has reset.
const errConnReset = syscall.WSAECONNRESET
