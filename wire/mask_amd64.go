//go:build !purego

package wire

import "math"

// avx512From is the length in bytes from which maskVectors uses AVX-512, at
// least 256. It is math.MaxInt without AVX-512. Only tests change it.
var avx512From = lengthForAVX512(hasAVX512)

func lengthForAVX512(has bool) int {
	if !has {
		return math.MaxInt
	}
	return 8 << 10
}
