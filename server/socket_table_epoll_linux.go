//go:build !portable

package server

import "sync/atomic"

// socketTable finds sockets by their descriptors, which are small numbers. It may be used by all goroutines at once.
type socketTable struct {
	chunks [maxDescriptors / len(socketChunk{})]atomic.Pointer[socketChunk]
}

type socketChunk [1 << 10]atomic.Pointer[epollSocket]

// maxDescriptors is four times what Linux lets a process have unless it is told otherwise (fs.nr_open).
const maxDescriptors = 1 << 22

// holds reports whether the table has a place for fd.
func (t *socketTable) holds(fd int) bool { return fd < maxDescriptors }

func (t *socketTable) get(fd int32) *epollSocket {
	if fd < 0 { // wakeEvent
		return nil
	}
	chunk := t.chunks[fd>>10].Load()
	if chunk == nil {
		return nil
	}
	return chunk[fd&(1<<10-1)].Load()
}

func (t *socketTable) put(fd int32, s *epollSocket) {
	at := &t.chunks[fd>>10]
	if at.Load() == nil {
		at.CompareAndSwap(nil, new(socketChunk))
	}
	at.Load()[fd&(1<<10-1)].Store(s)
}

func (t *socketTable) remove(fd int32) { t.put(fd, nil) }
