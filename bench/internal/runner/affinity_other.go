//go:build !linux

package runner

import "runtime"

// processors returns those that this process may run on.
func processors() ([]int, error) {
	list := make([]int, runtime.NumCPU())
	for i := range list {
		list[i] = i
	}
	return list, nil
}

// startOn calls start. This system cannot pin processes.
func startOn(_ []int, start func() error) error { return start() }
