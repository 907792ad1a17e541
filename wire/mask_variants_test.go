package wire

// MaskVariant is an implementation of masking: Into masks src into dst, which
// has the same length, like Mask and AppendMasked.
type MaskVariant struct {
	Name string
	Into func(dst, src []byte, key uint32)
}

// MaskVariants starts with the reference implementation.
var MaskVariants = append([]MaskVariant{{"words", maskIntoWords}}, vectorVariants()...)

// AbsentMaskVariants are the names of implementations that this machine cannot
// run.
var AbsentMaskVariants = absentVariants()

func maskIntoWords(dst, src []byte, key uint32) {
	if len(src) > 32 {
		maskWords(dst, src, key)
		return
	}
	maskInto(dst, src, key)
}
