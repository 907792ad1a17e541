//go:build !linux

package serve

import (
	"errors"
	"runtime"
)

// Pin makes the process run on the processors of list, where the system can;
// this one cannot.
func Pin(list string) error {
	if list == "" {
		return nil
	}
	return errors.New("-cpus: not on " + runtime.GOOS)
}
