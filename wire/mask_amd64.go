//go:build !purego

package wire

import "math"

// avx512From is the length in bytes from which maskVectors uses AVX-512, at
// least
// 256. It is math.MaxInt without AVX-512. Only tests change it.
var avx512From = thisProcessor.avx512From()

func (p processor) avx512From() int {
	if !p.hasAVX512() {
		return math.MaxInt
	}
	return 8 << 10
}
