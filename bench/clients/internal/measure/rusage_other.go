//go:build !unix

package measure

import (
	"errors"
	"runtime"
	"time"
)

// processorTime returns the processor time of this process.
func processorTime() (user, sys time.Duration, err error) {
	return 0, 0, errors.New("processor time is not measured on " + runtime.GOOS)
}
