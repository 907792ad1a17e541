//go:build !purego

package wire

import "math"

// vectorVariants are the variants that the processor supports, each for all
// lengths that it accepts.
func vectorVariants() []MaskVariant {
	variants := []MaskVariant{{"SSE2", maskIntoSSE2}}
	if useAVX2 {
		variants = append(variants, MaskVariant{"AVX2", maskIntoAVX2})
	}
	if hasAVX512 {
		variants = append(variants, MaskVariant{"AVX-512", maskIntoAVX512})
	}
	return variants
}

func absentVariants() (names []string) {
	avx2, avx512 := thisProcessor.features()
	if !avx2 {
		names = append(names, "AVX2")
	}
	if !avx512 {
		names = append(names, "AVX-512")
	}
	return names
}

func maskIntoSSE2(dst, src []byte, key uint32) {
	had := useAVX2
	useAVX2 = false
	maskInto(dst, src, key)
	useAVX2 = had
}

func maskIntoAVX2(dst, src []byte, key uint32) {
	from := avx512From
	avx512From = math.MaxInt
	maskInto(dst, src, key)
	avx512From = from
}

func maskIntoAVX512(dst, src []byte, key uint32) {
	from := avx512From
	avx512From = 256
	maskInto(dst, src, key)
	avx512From = from
}
