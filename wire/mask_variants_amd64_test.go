//go:build !purego

package wire

func vectorVariants() []MaskVariant {
	variants := []MaskVariant{{"SSE2", maskIntoSSE2}}
	if useAVX2 {
		variants = append(variants, MaskVariant{"AVX2", maskInto})
	}
	return variants
}

func maskIntoSSE2(dst, src []byte, key uint32) {
	had := useAVX2
	useAVX2 = false
	maskInto(dst, src, key)
	useAVX2 = had
}
