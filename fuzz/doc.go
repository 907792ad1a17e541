// Package fuzz checks properties of fibersock for arbitrary bytes. A target is
// a function that reads data, computes the expected result in a second, simpler
// way, and panics with a [*Violation] that names the property and the input.
//
//	target        under test             compared with
//	Header        wire.ParseHeader       a naive parser of every prefix; the written form
//	Frames        wire.DecodeFrame       itself, cut in two; the written form
//	Mask          wire.Mask              the definition of RFC 6455, Section 5.3
//	UTF8          wire.UTF8              a naive decoder, and unicode/utf8
//	ClosePayload  wire.ParseClosePayload Sections 5.5.1 and 7.4; the written form
//	Stream        the engine             a naive receiver that keeps all bytes, in both roles
//	Compressed    permessage-deflate     the messages sent; itself, cut in pieces
//	Dialogue      two engines            each other, through a pipe that an adversary controls
//	Request       handshake, of a server a parser by regular expressions; Section 4.2.1
//	Response      handshake, of a client a parser by regular expressions; Section 4.1
//	Opening       handshake, written     the parser of the other endpoint
//	Extensions    ParseExtensions        the grammar of Section 9.1; the written form
//	URL           ParseURL               net/url; the written form
//	Sockets       client/sockets.Set     a model of slices, on a network in memory
//
// # Runners
//
// One line makes a target of go test:
//
//	func FuzzStream(f *testing.F) { f.Fuzz(func(t *testing.T, data []byte) { fuzz.Stream(data) }) }
//
// The tests of this package have such a line for each target, and seeds under
// testdata that are made from the golden corpus. "make fuzz" runs them.
//
// The signature is that of go-fuzz, which OSS-Fuzz supports. In its build
// script:
//
//	compile_go_fuzzer github.com/fibersock/fibersock/fuzz Stream fuzz_stream
//
// A target returns 1 for an input that passes the first check and is worth
// mutating, else 0. All goroutines may call it at once. It needs no file, no
// network and not the package testing.
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
		{"Compressed", Compressed},
		{"Dialogue", Dialogue},
		{"Request", Request},
		{"Response", Response},
		{"Opening", Opening},
		{"Extensions", Extensions},
		{"URL", URL},
		{"Sockets", Sockets},
	}
}
