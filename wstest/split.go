package wstest

import (
	"math/rand/v2"
	"slices"
)

// Split cuts writes into pieces. A piece ends at the end of a write at the
// latest. The zero Split does not cut.
type Split struct {
	// start returns the cutter of one flow. It is called with the rest of a
	// write, which is not empty, and returns the length of the next piece.
	start func(rng *rand.Rand) func(b []byte) int
}

// Sizes cuts pieces of these sizes, in bytes, repeatedly. Sizes(1) cuts single
// bytes.
func Sizes(sizes ...int) Split {
	if len(sizes) == 0 {
		return Split{}
	}
	sizes = slices.Clone(sizes)
	return Split{func(*rand.Rand) func([]byte) int {
		next := -1
		return func([]byte) int {
			next = (next + 1) % len(sizes)
			return sizes[next]
		}
	}}
}

// RandomSizes cuts pieces of 1 to most bytes, as the Plan's Seed determines.
func RandomSizes(most int) Split {
	return Split{func(rng *rand.Rand) func([]byte) int {
		return func([]byte) int { return 1 + rng.IntN(max(most, 1)) }
	}}
}

// TLSRecords cuts at the end of each TLS record (RFC 8446, Section 5.1), and in
// each record after the numbers of bytes in cuts. The first 5 bytes of a record
// are its header. With TLSRecords() records arrive one by one; TLSRecords(3, 5,
// 6) also cuts each within its header, after the header and after the first
// payload byte.
func TLSRecords(cuts ...int) Split {
	cuts = slices.Clone(cuts)
	return Split{func(*rand.Rand) func([]byte) int {
		r := recordReader{}
		return func(b []byte) int {
			for i, c := range b {
				if r.step(c) || slices.Contains(cuts, r.at) {
					return i + 1
				}
			}
			return len(b)
		}
	}}
}

// recordHeader is the size of a TLS record's header: type, version, length.
const recordHeader = 5

// recordReader finds the ends of the records in a stream.
type recordReader struct {
	at     int // the number of bytes of the record so far
	length int // of its payload, from the header bytes so far
}

// step reads the next byte and reports whether it is the last of a record.
func (r *recordReader) step(c byte) bool {
	r.at++
	if r.at == recordHeader-1 || r.at == recordHeader {
		r.length = r.length<<8 | int(c)
	}
	if r.at < recordHeader || r.at < recordHeader+r.length {
		return false
	}
	*r = recordReader{}
	return true
}
