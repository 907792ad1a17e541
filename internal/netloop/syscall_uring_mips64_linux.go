//go:build !portable && (mips64 || mips64le)

package netloop

const (
	sysRingSetup       = 5425
	sysRingEnterNumber = 5426
)
