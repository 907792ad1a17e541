//go:build !linux || !(amd64 || arm64 || riscv64 || loong64)

package load

import (
	"context"
	"net"
)

// moveWithEpoll is nil: there is no epoll here, or not the system calls under
// the names that epoll.go has.
var moveWithEpoll func(ctx context.Context, r *run, addr *net.TCPAddr) error
