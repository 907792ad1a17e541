//go:build !unix

package chaos

import "time"

// cpuTime is nil: the processor time is not checked.
var cpuTime func() time.Duration
