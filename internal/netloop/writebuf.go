package netloop

import "sync"

// writeBuf is a queue of bytes: output that the kernel has not accepted, or
// input that the connection is not ready for. A nil one is empty.
type writeBuf struct {
	data []byte
	head int // bytes removed from data
}

// writeBufs lends buffers, so that a peer that is a little slow causes no
// allocation. Very large ones are not kept.
var writeBufs = sync.Pool{New: func() any { return &writeBuf{data: make([]byte, 0, 16<<10)} }}

// smallBufs lends small buffers, for a little deferred output of many sockets,
// and for small frames whose header is joined with their payload.
var smallBufs = sync.Pool{New: func() any { return &writeBuf{data: make([]byte, 0, smallBuf)} }}

// smallBuf is the size of a small buffer in bytes.
const smallBuf = 2 << 10

// maxPooledBuf is the size, in bytes, of the largest buffer that the pool
// keeps.
const maxPooledBuf = 4 << 20

// borrowBuf returns an empty buffer, for n bytes at first.
func borrowBuf(n int) *writeBuf {
	if n <= smallBuf {
		return smallBufs.Get().(*writeBuf)
	}
	return writeBufs.Get().(*writeBuf)
}

// size returns the number of bytes in b.
func (b *writeBuf) size() int {
	if b == nil {
		return 0
	}
	return len(b.data) - b.head
}

// add returns b, or a new buffer, with p at its end.
func (b *writeBuf) add(p []byte) *writeBuf {
	switch {
	case b == nil:
		b = borrowBuf(len(p))
	case cap(b.data) == smallBuf && b.size()+len(p) > smallBuf:
		small := b
		b = writeBufs.Get().(*writeBuf)
		b.data = append(b.data, small.bytes()...)
		small.free()
	}
	if b.head > 0 && len(b.data)+len(p) > cap(b.data) {
		b.data = append(b.data[:0], b.data[b.head:]...)
		b.head = 0
	}
	b.data = append(b.data, p...)
	return b
}

// bytes returns the bytes in b, which are b's.
func (b *writeBuf) bytes() []byte { return b.data[b.head:] }

// take removes the first n bytes, and returns b, or nil if it is empty then.
func (b *writeBuf) take(n int) *writeBuf {
	if b.head += n; b.size() > 0 {
		return b
	}
	b.free()
	return nil
}

// free returns b to the pool. b must not be used afterwards.
func (b *writeBuf) free() {
	if b == nil || cap(b.data) > maxPooledBuf {
		return
	}
	b.data, b.head = b.data[:0], 0
	if cap(b.data) == smallBuf {
		smallBufs.Put(b)
	} else {
		writeBufs.Put(b)
	}
}
