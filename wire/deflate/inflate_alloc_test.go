//go:build !race && !lockcheck

// The race detector empties pools at random, so that allocations are counted
// without it.

package deflate

import (
	"testing"

	"github.com/fibersock/fibersock/internal/test/flatepeer"
)

// In steady state nothing is allocated.
func TestAppendAllocatesNothing(t *testing.T) {
	text := corpus()["json"]
	for _, takeover := range []bool{false, true} {
		s := flatepeer.NewDeflater(6, takeover)
		first := s.Message(text[:2000])
		second := s.Message(text[1000:3000])
		for _, size := range []int{1 << 20, 200} {
			d := NewDecompressor(DecompressorOptions{12, takeover})
			dst := make([]byte, 0, 2000)
			inflate := func(p []byte) {
				out := dst
				for len(p) > 0 {
					piece := p[:min(size, len(p))]
					p = p[len(piece):]
					var err error
					if out, _, err = d.Append(out, piece, len(p) == 0, 2000-len(out)); err != nil {
						t.Fatal(err)
					}
					d.Park()
				}
				if len(out) != 2000 {
					t.Fatal(len(out))
				}
			}
			inflate(first)
			inflate(first)
			inflate(first)
			n := testing.AllocsPerRun(100, func() {
				inflate(first)
				if takeover {
					inflate(second)
				}
			})
			if n != 0 {
				t.Errorf("takeover %t, pieces of %d bytes: %v allocations", takeover, size, n)
			}
		}
	}
}
