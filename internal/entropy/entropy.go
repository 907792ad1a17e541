//go:build !notls || !unix

// Package entropy returns random bytes of the operating system, for secrets.
//
// In a build with the tag notls it does not import crypto/rand, which links the
// FIPS 140 module: with crypto/sha1, which links it too, 180 KB of binary. The
// other packages of crypto need the module anyway.
package entropy

import "crypto/rand"

// Read fills b with random bytes. It never fails.
func Read(b []byte) { rand.Read(b) }
