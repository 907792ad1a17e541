//go:build (!amd64 && !arm64) || purego

package wire

func maskLong(dst, src []byte, key uint32) { maskWords(dst, src, key) }
