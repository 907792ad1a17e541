//go:build !unix

package measure

import (
	"errors"
	"runtime"
	"time"
)

// processorTime returns what this process has used since its start, where the
// system says so to the process itself.
func processorTime() (user, sys time.Duration, err error) {
	return 0, 0, errors.New("processor time is not measured on " + runtime.GOOS)
}
