//go:build (amd64 || arm64) && !purego

package wire

// utf8BlocksMin is the shortest length that utf8Blocks accepts, in bytes.
const utf8BlocksMin = 32

// utf8Blocks validates p, which starts with a code point, in blocks of 32
// bytes. It returns the length of the prefix without a fault. The prefix ends
// before the block with the first fault, or less than three bytes before the
// end of p. Its last code point may be incomplete, and its last byte, if it is
// C0..FF, is unchecked. utf8Blocks returns 0 on a processor without the
// instructions. The loop of UTF8.Check is its reference implementation.
func utf8Blocks(p []byte) int { return utf8Vectors(p, &utf8Faults) }

// utf8Vectors implements utf8Blocks with vector registers.
//
//go:noescape
func utf8Vectors(p []byte, faults *[3][16]uint8) int

// A pair of bytes has one or more of these kinds of faults. The pair decides
// the fault alone except for continuations: the second of two continuation
// bytes must be the third or fourth byte of a code point, and each third or
// fourth byte must be preceded by a continuation byte.
const (
	faultShort     = 1 << iota // C0..FF without a continuation byte
	faultLong                  // 00..7F with a continuation byte
	faultOverlong2             // C0..C1, 80..BF
	faultOverlong3             // E0, 80..9F
	faultSurrogate             // ED, A0..BF
	faultTooLarge              // F4..FF, 90..BF
	faultPlane                 // F0, 80..8F, overlong; F5..FF, 80..8F, too large
	continuations              // 80..BF, 80..BF
)

// utf8Faults has the kinds of faults that each nibble of a pair permits: the
// high and the low nibble of the first byte, and the high nibble of the second.
// A pair has the faults that all three permit. (John Keiser and Daniel Lemire,
// Validating UTF-8 In Less Than One Instruction Per Byte, 2021.)
var utf8Faults = [3][16]uint8{
	{
		0x0: faultLong, 0x1: faultLong, 0x2: faultLong, 0x3: faultLong,
		0x4: faultLong, 0x5: faultLong, 0x6: faultLong, 0x7: faultLong,
		0x8: continuations, 0x9: continuations, 0xA: continuations, 0xB: continuations,
		0xC: faultShort | faultOverlong2,
		0xD: faultShort,
		0xE: faultShort | faultOverlong3 | faultSurrogate,
		0xF: faultShort | faultTooLarge | faultPlane,
	},
	{
		0x0: byAnyLow | faultOverlong2 | faultOverlong3 | faultPlane,
		0x1: byAnyLow | faultOverlong2,
		0x2: byAnyLow,
		0x3: byAnyLow,
		0x4: byAnyLow | faultTooLarge,
		0x5: byLow5, 0x6: byLow5, 0x7: byLow5, 0x8: byLow5, 0x9: byLow5, 0xA: byLow5, 0xB: byLow5, 0xC: byLow5,
		0xD: byLow5 | faultSurrogate,
		0xE: byLow5, 0xF: byLow5,
	},
	{
		0x0: faultShort, 0x1: faultShort, 0x2: faultShort, 0x3: faultShort,
		0x4: faultShort, 0x5: faultShort, 0x6: faultShort, 0x7: faultShort,
		0x8: byAnySecond | faultOverlong3 | faultPlane,
		0x9: byAnySecond | faultOverlong3 | faultTooLarge,
		0xA: byAnySecond | faultSurrogate | faultTooLarge,
		0xB: byAnySecond | faultSurrogate | faultTooLarge,
		0xC: faultShort, 0xD: faultShort, 0xE: faultShort, 0xF: faultShort,
	},
}

const (
	byAnyLow    = faultShort | faultLong | continuations     // permitted by every low nibble
	byLow5      = byAnyLow | faultTooLarge | faultPlane      // permitted by low nibbles from 5
	byAnySecond = faultLong | faultOverlong2 | continuations // permitted by every continuation byte
)
