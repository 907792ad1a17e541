//go:build !portable && (mips || mipsle)

package netloop

const (
	sysRingSetup       = 4425
	sysRingEnterNumber = 4426
)
