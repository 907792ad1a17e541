//go:build !amd64 || purego

package wire

func vectorVariants() []MaskVariant { return []MaskVariant{{"best", maskInto}} }

func absentVariants() []string { return nil }
