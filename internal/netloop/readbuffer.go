package netloop

import "sync"

// Buffer is a read buffer that is small as long as little is asked for. A large
// one is borrowed. The zero value has no memory.
type Buffer struct {
	small []byte
	large *[]byte
}

// The two sizes of a Buffer, in bytes.
const (
	SmallBuffer = 4 << 10
	LargeBuffer = 64 << 10
)

var largeBuffers = sync.Pool{New: func() any {
	b := make([]byte, LargeBuffer)
	return &b
}}

// Free frees the memory until the next Get. It invalidates the slice of an
// earlier call.
func (b *Buffer) Free() {
	b.Get(0)
	b.small = nil
}

// Freed reports whether the buffer has no memory.
func (b *Buffer) Freed() bool { return b.small == nil && b.large == nil }

// Get returns a slice for a read of up to size bytes. It invalidates the slice
// of an earlier call.
func (b *Buffer) Get(size int) []byte {
	switch {
	case size > SmallBuffer && b.large == nil:
		b.large = largeBuffers.Get().(*[]byte)
	case size <= SmallBuffer && b.large != nil:
		largeBuffers.Put(b.large)
		b.large = nil
	}
	if b.large != nil {
		return *b.large
	}
	if b.small == nil {
		b.small = make([]byte, SmallBuffer)
	}
	return b.small
}
