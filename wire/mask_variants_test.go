package wire

// MaskVariant is one of the ways in which this machine can mask: Into masks src
// into dst, which has the same length, as Mask and AppendMasked do.
type MaskVariant struct {
	Name string
	Into func(dst, src []byte, key uint32)
}

// MaskVariants has the reference implementation first.
var MaskVariants = append([]MaskVariant{{"words", maskIntoWords}}, vectorVariants()...)

// AbsentMaskVariants names those that are there but not for this machine.
var AbsentMaskVariants = absentVariants()

func maskIntoWords(dst, src []byte, key uint32) {
	if len(src) > 32 {
		maskWords(dst, src, key)
		return
	}
	maskInto(dst, src, key)
}
