// Package fuzz holds fibersock to its properties, with any bytes for input. Each
// target is a function that takes data, works out what must come of it by a second
// and plainer way, and panics with a [*Violation] that says what should be so and
// is not.
//
//	target        under test             held against
//	Header        wire.ParseHeader       a naive reading of every prefix; what was written
//	Frames        wire.DecodeFrame       itself, cut in two; what was written
//	Mask          wire.Mask              the definition of RFC 6455, Section 5.3
//	UTF8          wire.UTF8              a naive decoder, and unicode/utf8
//	ClosePayload  wire.ParseClosePayload Sections 5.5.1 and 7.4; what was written
//	Stream        the engine             a naive receiver that keeps everything, in both roles
//	Dialogue      two engines            each other, through a pipe that an adversary holds
//	Request       handshake, of a server a reading by regular expressions; Section 4.2.1
//	Response      handshake, of a client a reading by regular expressions; Section 4.1
//	Opening       handshake, written     what the other end reads
//	Extensions    ParseExtensions        the grammar of Section 9.1; what was written
//	URL           ParseURL               net/url; what was written
//	Sockets       client/sockets.Set     a model of slices, on a network in memory
//
// # Hooking them up
//
// One line makes a target of go test:
//
//	func FuzzStream(f *testing.F) { f.Fuzz(func(t *testing.T, data []byte) { fuzz.Stream(data) }) }
//
// The tests of this package have it for each, with seeds under testdata that are
// made from the golden corpus; "make fuzz" runs them all.
//
// The signature is that of go-fuzz, so that a runner in the manner of OSS-Fuzz
// takes a target as it is. In a build script of OSS-Fuzz:
//
//	compile_go_fuzzer github.com/fibersock/fibersock/fuzz Stream fuzz_stream
//
// A target returns 1 for an input that got beyond the first check, which is worth
// to go on from, and 0 for any other. It may be called from several goroutines at
// once. It needs no file, no network and not the package testing.
package fuzz

// Target is one of the functions of this package.
type Target struct {
	Name string
	Run  func(data []byte) int
}

// Targets returns all targets, for a runner that has its own way to call them.
func Targets() []Target {
	return []Target{
		{"Header", Header},
		{"Frames", Frames},
		{"Mask", Mask},
		{"UTF8", UTF8},
		{"ClosePayload", ClosePayload},
		{"Stream", Stream},
		{"Dialogue", Dialogue},
		{"Request", Request},
		{"Response", Response},
		{"Opening", Opening},
		{"Extensions", Extensions},
		{"URL", URL},
		{"Sockets", Sockets},
	}
}
