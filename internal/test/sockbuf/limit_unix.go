//go:build unix

package sockbuf

import "syscall"

func limit(fd uintptr) error {
	for _, option := range []int{syscall.SO_SNDBUF, syscall.SO_RCVBUF} {
		if err := syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, Size); err != nil {
			return err
		}
	}
	return nil
}
