package endpoint

import "sync"

// An idle endpoint owns no buffer. It borrows one for a frame that it writes
// and one for a message that it assembles, so that a steady stream of messages
// allocates nothing.
var (
	// frames lends buffers for frames that are written.
	frames = pool{size: frameBufferSize}

	// assemblies lends buffers for messages that are assembled, and for texts
	// that are sent. A buffer grows with its content. One of more than 4 MiB is
	// not kept.
	assemblies = pool{size: 4 << 10, max: 4 << 20}
)

// frameBufferSize is the size in bytes of a single write.
const frameBufferSize = 32 << 10

// buffer is a slice that a sync.Pool holds without an allocation.
type buffer struct{ bytes []byte }

// pool lends empty buffers with a capacity of at least size bytes. It keeps
// buffers of at most max bytes.
type pool struct {
	size, max int
	free      sync.Pool
}

func (p *pool) get() *buffer {
	if b, ok := p.free.Get().(*buffer); ok {
		return b
	}
	return &buffer{bytes: make([]byte, 0, p.size)}
}

func (p *pool) put(b *buffer) {
	if cap(b.bytes) > max(p.size, p.max) {
		return
	}
	b.bytes = b.bytes[:0]
	p.free.Put(b)
}
