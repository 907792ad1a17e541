//go:build !unix

package chaos

import (
	"net"
	"time"
)

func listenSmall() (net.Listener, error) { return listener() }

// cpuTime is nil: the processor time is not checked.
var cpuTime func() time.Duration
