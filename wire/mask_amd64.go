//go:build !purego

package wire

import "math"

// avx512From is from how many bytes on, at least 256, maskVectors uses AVX-512:
// never if the processor has none. Only tests change it.
var avx512From = thisProcessor.avx512From()

func (p processor) avx512From() int {
	if !p.hasAVX512() {
		return math.MaxInt
	}
	return 8 << 10
}
