package wstest

import (
	"math/rand/v2"
	"slices"
)

// Split is a way to cut what is written into pieces. A piece ends at the latest
// where a Write does. The zero Split cuts nowhere.
type Split struct {
	// start returns the cutter of one flow: it takes what is left of a Write, never nothing,
	// and returns how many bytes of it the next piece has. It sees every byte
	// once: those beyond the piece come again.
	start func(rng *rand.Rand) func(b []byte) int
}

// Sizes cuts pieces of the given sizes, in bytes, and begins again behind the
// last. Sizes(1) is byte by byte.
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

// RandomSizes cuts pieces of one byte to most bytes, by the Plan's Seed.
func RandomSizes(most int) Split {
	return Split{func(rng *rand.Rand) func([]byte) int {
		return func([]byte) int { return 1 + rng.IntN(max(most, 1)) }
	}}
}

// TLSRecords cuts where a TLS record ends (RFC 8446, Section 5.1), and in each
// record behind as many bytes as cuts say, of which the first 5 are its header.
// TLSRecords() makes whole records arrive one by one; TLSRecords(3, 5, 6) also
// cuts each within its header, behind that and in its first payload byte.
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
	at     int // how many bytes of the record have been seen
	length int // of its payload, as far as the header is seen
}

// step takes the next byte and reports whether it is the last of a record.
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
