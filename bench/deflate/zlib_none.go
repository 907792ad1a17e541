//go:build !zlib || !cgo

package main

// zlibVersion says that there is no zlib: comparisons leave it out.
func zlibVersion() string { return "none" }

func zlib(bits, memory int, takeover bool) contender { return contender{} }

func zlibInflating(bits int, takeover bool) contender { return contender{} }
