package netloop

import "sync"

// Buffer is a read buffer that is small as long as little is asked for. A large
// one is borrowed.
type Buffer struct {
	small []byte
	large *[]byte
}

// NewBuffer returns a buffer that uses small, of SmallBuffer bytes.
func NewBuffer(small []byte) Buffer { return Buffer{small: small} }

// The two sizes of a Buffer, in bytes.
const (
	SmallBuffer = 4 << 10
	LargeBuffer = 64 << 10
)

var largeBuffers = sync.Pool{New: func() any {
	b := make([]byte, LargeBuffer)
	return &b
}}

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
