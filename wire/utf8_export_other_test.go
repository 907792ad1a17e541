//go:build !amd64 || purego

package wire

// UTF8Vectors is nil: there is one implementation.
var UTF8Vectors *bool
