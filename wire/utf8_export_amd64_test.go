//go:build !purego

package wire

// UTF8Vectors turns utf8Blocks off and on.
var UTF8Vectors = &useAVX2
