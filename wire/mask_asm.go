//go:build (amd64 || arm64) && !purego

package wire

// maskLong masks src, of at least 32 bytes, into dst. See maskWords.
func maskLong(dst, src []byte, key uint32) {
	maskVectors(&dst[0], &src[0], len(src), key)
}

// maskVectors masks the n bytes at src, at least 32, into dst with the widest
// vectors of the processor. maskWords is its reference implementation.
//
//go:noescape
func maskVectors(dst, src *byte, n int, key uint32)
