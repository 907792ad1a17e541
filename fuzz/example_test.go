package fuzz_test

import (
	"fmt"

	"github.com/fibersock/fibersock/fuzz"
)

// A target has the signature of go-fuzz, Fuzz(data []byte) int, under its own name.
// It panics if a property is violated.
func Example() {
	var run func(data []byte) int = fuzz.Header

	fmt.Println(run([]byte("\x81\x05"))) // the header of a text of five bytes
	fmt.Println(run([]byte("\x83\x05"))) // a reserved opcode
	// Output:
	// 1
	// 0
}

// A runner of one's own calls all targets with one input.
func ExampleTargets() {
	for _, target := range fuzz.Targets() {
		target.Run([]byte("GET / HTTP/1.1\r\n\r\n"))
	}
	fmt.Println("all properties hold")
	// Output: all properties hold
}
