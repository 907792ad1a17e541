//go:build !portable && !race && !lockcheck

// The race detector empties pools at random. Allocations are counted without
// it, and without the checks of lock order.

package netloop

import (
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// Deferring output, and writing it at the end of the batch, allocates nothing.
func TestDeferredOutputAllocatesNothing(t *testing.T) {
	w := newExplorer().newWorld()
	p, s := w.poller, w.socket
	p.sys.write = func(_ int32, b []byte) (int, error) { return len(b), nil }
	for _, size := range []int{100, smallBuf, 5000} {
		b := make([]byte, size)
		p.asLeader(func() {
			if n := testing.AllocsPerRun(200, func() {
				for range 3 {
					check.OK(t, s.Writev(b[:2], b[2:]))
				}
				if !s.Deferred() {
					t.Error("not deferred")
				}
				p.flushDeferred()
			}); n != 0 {
				t.Errorf("%d bytes: %v allocations", size, n)
			}
		})
	}
}

// Batched sends allocate nothing.
func TestBatchedSendsAllocateNothing(t *testing.T) {
	var c *crowd
	r := fakeRing(t, func(fd int32, i uint64, size int) int32 { return int32(size) }, nil)
	c = newCrowd(t, ringMin, "hello", r)
	var allocs float64
	c.run(t, func() {
		c.from.MoreInput(true)
		p := c.from.poller
		text := []byte("hello")
		allocs = testing.AllocsPerRun(100, func() {
			for _, s := range c.sockets {
				s.Writev(nil, text)
			}
			p.flushDeferred()
		})
		c.from.MoreInput(false)
	})
	if allocs != 0 {
		t.Errorf("%v allocations for %d sends", allocs, ringMin)
	}
}
