//go:build !purego

package wire

// UTF8Vectors turns utf8Blocks off and on again.
var UTF8Vectors = &useAVX2
