//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import "sync/atomic"

// fdTable finds sockets by their descriptors, which are small numbers. Its
// methods may be called from any goroutine.
type fdTable struct {
	chunks [maxDescriptors / len(fdChunk{})]atomic.Pointer[fdChunk]
}

type fdChunk [1 << 10]atomic.Pointer[PolledSocket]

// maxDescriptors is four times the default of fs.nr_open, Linux's limit of a
// process's descriptors.
const maxDescriptors = 1 << 22

// holds reports whether fd fits into the table.
func (t *fdTable) holds(fd int) bool { return fd < maxDescriptors }

func (t *fdTable) get(fd int32) *PolledSocket {
	if fd < 0 { // wakeEvent
		return nil
	}
	chunk := t.chunks[fd>>10].Load()
	if chunk == nil {
		return nil
	}
	return chunk[fd&(1<<10-1)].Load()
}

func (t *fdTable) put(fd int32, s *PolledSocket) {
	at := &t.chunks[fd>>10]
	if at.Load() == nil {
		at.CompareAndSwap(nil, new(fdChunk))
	}
	at.Load()[fd&(1<<10-1)].Store(s)
}

func (t *fdTable) remove(fd int32) { t.put(fd, nil) }
