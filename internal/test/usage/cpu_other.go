//go:build !unix

package usage

import "time"

// CPU returns the processor time of this process, 0 if it is unknown.
func CPU() (user, system time.Duration) { return 0, 0 }
