//go:build !unix

package load

import "time"

// processUsage is unknown here.
func processUsage() (user, system time.Duration) { return 0, 0 }
