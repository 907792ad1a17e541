package endpoint

import "sync"

// An endpoint owns no buffer while nothing is under way. It borrows one for a
// frame that it writes and one for a message that it assembles, from these
// pools, so that a steady stream allocates nothing and an idle connection costs
// nothing.
var (
	// frames lends buffers in which frames are built.
	frames = pool{size: frameBufferSize}

	// assemblies lends buffers in which messages are assembled, and texts copied
	// that are to be sent. They grow with what is in them; one that grew very large
	// is not kept, the others until the garbage collector has found them unused.
	assemblies = pool{size: 4 << 10, max: 4 << 20}
)

// frameBufferSize is how much of a frame is written at once.
const frameBufferSize = 32 << 10

// buffer is a slice that can travel through a sync.Pool without allocation.
type buffer struct{ bytes []byte }

// pool lends empty buffers of at least size bytes capacity and takes back those
// of at most max bytes.
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
