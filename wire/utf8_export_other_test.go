//go:build !amd64 || purego

package wire

// UTF8Vectors is nil, because this build has one implementation.
var UTF8Vectors *bool
