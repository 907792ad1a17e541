//go:build !unix

package chaos

import "net"

func listenSmall() (net.Listener, error) { return listener() }
