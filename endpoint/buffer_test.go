package endpoint

import "testing"

// A buffer that has grown beyond the limit of its pool is not kept.
func TestLargeBuffersAreNotKept(t *testing.T) {
	p := pool{size: 1, max: 10}
	for range 100 {
		p.put(&buffer{make([]byte, 3, 11)})
		if got := cap(p.get().bytes); got > 10 {
			t.Fatalf("a buffer of %d bytes was kept", got)
		}
	}
}
