//go:build (amd64 || arm64) && !purego

package wire

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

// TestBlocksStopAtNothingButAFault checks that utf8Blocks reports no fault in
// valid text. A false fault costs only time, so no other test finds it.
func TestBlocksStopAtNothingButAFault(t *testing.T) {
	if UTF8Vectors != nil && !*UTF8Vectors {
		return // utf8Blocks is not used on this processor
	}
	var text []byte
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if utf8.ValidRune(r) {
			// Each code point stands between ASCII, between code points of its
			// own length, and beside longer ones.
			text = utf8.AppendRune(text, r)
			text = append(text, 'a')
			text = utf8.AppendRune(text, r)
			text = utf8.AppendRune(text, r)
			text = append(text, "𝄞"...)
		}
	}
	if n := utf8Blocks(text); n < len(text)-2 {
		t.Errorf("stopped at % x", text[n:n+32])
	}
	for n := utf8BlocksMin; n < 300; n++ {
		if got := utf8Blocks(text[:n]); got < n-2 || got > n {
			t.Errorf("read %d of %d bytes", got, n)
		}
	}
}

// TestBlocksStopNearAFault checks that a long text with a fault at its start
// costs no more than a short one.
func TestBlocksStopNearAFault(t *testing.T) {
	if UTF8Vectors != nil && !*UTF8Vectors {
		return
	}
	for _, valid := range []string{"a", "é", "𝄞"} {
		text := bytes.Repeat([]byte(valid), 1000)
		for i := range 600 {
			c := text[i]
			text[i] = 0xFF
			// FF at the end of a block is indistinguishable from an incomplete
			// code point.
			if n := utf8Blocks(text); n > i+1 || n < i-64 {
				t.Errorf("a fault at %d in text of %q: stopped at %d", i, valid, n)
			}
			text[i] = c
		}
	}
}
