//go:build !race && !lockcheck

// The race detector empties pools at random, so that allocations are counted
// without it.

package deflate_test

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/fibersock/fibersock/internal/test/traffic"
	"github.com/fibersock/fibersock/wire/deflate"
)

// In steady state nothing is allocated.
func TestCompressionAllocatesNothing(t *testing.T) {
	ticks := traffic.Make(64, traffic.Tick)
	long := bytes.Join(ticks, nil)
	noise := traffic.Random(rand.New(rand.NewPCG(13, 14)), 40<<10) // more than one block
	dst := make([]byte, 0, 64<<10)
	for _, x := range []struct {
		name string
		run  func(c *deflate.Compressor, i int)
	}{
		{"AppendMessage", func(c *deflate.Compressor, i int) { c.AppendMessage(dst, ticks[i%64]) }},
		{"AppendMessage, long", func(c *deflate.Compressor, i int) { c.AppendMessage(dst, long) }},
		{"AppendFragment", func(c *deflate.Compressor, i int) { c.AppendFragment(dst, ticks[i%64], i%4 == 3) }},
		{"AppendMessage, not smaller", func(c *deflate.Compressor, i int) { dst, _ = c.AppendMessage(dst[:0], noise) }},
		{"AddPlain", func(c *deflate.Compressor, i int) { c.AddPlain(ticks[i%64]) }},
		{"AppendShared", func(c *deflate.Compressor, i int) { deflate.AppendShared(dst, ticks[i%64]) }},
	} {
		for _, takeover := range []bool{false, true} {
			c := deflate.NewCompressor(deflate.CompressorOptions{WindowBits: 12, Takeover: takeover})
			i := 0
			for ; i < 64; i++ {
				x.run(c, i)
			}
			// Without takeover, fragments take their window from a pool, which a
			// garbage collection may empty.
			if n := testing.AllocsPerRun(400, func() { x.run(c, i); i++ }); n != 0 {
				t.Errorf("%s, takeover %v: %v allocations", x.name, takeover, n)
			}
		}
	}
}

// A window of 9 bits takes no more memory of the runtime than its size. A
// window that is dropped and begun again takes no other memory.
func TestMemoryOfWindowsOfNineBits(t *testing.T) {
	inUse := func() int {
		runtime.GC()
		runtime.GC() // the second one empties pools
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapInuse)
	}
	const size = 512
	text := traffic.Random(rand.New(rand.NewPCG(17, 18)), size)
	each, fits := 0, false
	for n := 0; n < 10 && !fits; n++ { // earlier tests may free memory meanwhile
		windows := make([]deflate.Compressor, 1<<14) // 8 MiB: other memory of the test matters little
		for i := range windows {
			windows[i].Init(deflate.CompressorOptions{WindowBits: 9, Takeover: true})
		}
		before := inUse()
		for i := range windows {
			windows[i].AddPlain(text)
		}
		each = (inUse() - before) / len(windows)
		fits = each >= size-size/50 && each <= size+size/50
		runtime.KeepAlive(windows)
	}
	if !fits {
		t.Errorf("a window of %d bytes takes %d", size, each)
	}

	c := new(deflate.Compressor)
	c.Init(deflate.CompressorOptions{WindowBits: 9, Takeover: true})
	c.AddPlain(text)
	if n := testing.AllocsPerRun(1000, func() { c.Forget(); c.AddPlain(text) }); n != 0 {
		t.Errorf("beginning a window again: %v allocations", n)
	}
}
