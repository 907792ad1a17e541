//go:build !portable && !mips && !mipsle && !mips64 && !mips64le

package netloop

// The numbers of these system calls are the same on all these processors.
const (
	sysRingSetup       = 425
	sysRingEnterNumber = 426
)
