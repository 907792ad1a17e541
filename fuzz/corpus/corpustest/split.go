package corpustest

import (
	"fmt"
	"math/rand/v2"
)

// split is a way to cut the input of a script. The zero value does not cut.
type split struct {
	kind splitKind
	seed uint64 // of random
}

type splitKind uint8

const (
	whole splitKind = iota
	bytewise
	random
)

// String describes the split, with its seed.
func (s split) String() string {
	switch s.kind {
	case whole:
		return "whole"
	case bytewise:
		return "byte by byte"
	case random:
		return fmt.Sprintf("cut at random, seed %d", s.seed)
	}
	return fmt.Sprintf("cut in the unknown way %d", s.kind)
}

// cutter returns a function that cuts one group of input after the other. The
// pieces are parts of a copy.
func (s split) cutter() func(group []byte) [][]byte {
	rng := rand.New(rand.NewPCG(s.seed, 0))
	return func(group []byte) [][]byte {
		rest := append([]byte(nil), group...)
		largest := len(rest)
		if s.kind == random {
			// Pieces of about one size show more than a mixture: headers
			// are cut only by small ones, and buffers filled by large.
			largest = 1 + rng.IntN(min(len(rest), 1<<(2*rng.IntN(8))))
		}
		var pieces [][]byte
		for len(rest) > 0 {
			n := len(rest)
			switch s.kind {
			case bytewise:
				n = 1
			case random:
				n = min(n, 1+rng.IntN(largest))
			}
			pieces = append(pieces, rest[:n:n])
			rest = rest[n:]
		}
		return pieces
	}
}
