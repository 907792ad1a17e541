//go:build !portable

package netloop

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// This file writes the deferred output of many sockets in one system call, by
// io_uring. The ring is not used to wait for anything: each send is like one of
// sendto that does not block, and none is in progress after the call. Any error
// of the ring closes it; the output is then written socket by socket.

const (
	// ringSize is the maximum number of sends in one call; fewer than ringMin
	// are cheaper without the ring.
	ringSize = 256
	ringMin  = 16
)

// A ring is an io_uring.
type ring struct {
	enter func(fd int, submit, complete uint32) (int, syscall.Errno)

	mu     sync.Mutex // guards the rest
	fd     int        // -1: closed
	memory [2][]byte  // of the kernel: the queues, the operations

	// The queues of operations and of their results. The kernel reads between
	// head and tail of the first, and writes at tail of the second.
	sqHead, sqTail, cqHead, cqTail *uint32
	sqes                           []ringSend
	cqes                           []ringResult

	batch   []*PolledSocket // the sockets of one call, locked
	busy    []*PolledSocket // those whose lock another goroutine has
	results []int32
}

// ringSend is struct io_uring_sqe of an operation that sends.
type ringSend struct {
	opcode, flags uint8
	priority      uint16
	fd            int32
	offset, addr  uint64
	size          uint32
	msgFlags      uint32
	user          uint64 // the index in ring.batch
	_             [3]uint64
}

// ringResult is struct io_uring_cqe.
type ringResult struct {
	user  uint64
	res   int32 // of the system call: the number of bytes, or a negative errno
	flags uint32
}

// ringParams is struct io_uring_params.
type ringParams struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sq                                                                     struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

const (
	ringOpSend       = 26
	ringSubmitAll    = 1 << 7 // flag of setup: an operation that fails does not keep back those after it
	ringSingleMap    = 1 << 0 // feature: the queues have one mapping
	ringGetEvents    = 1 << 0 // flag of enter: wait for results
	ringMapQueues    = 0
	ringMapSends     = 0x10000000
	ringUnknown      = int32(-1 << 31) // no result
	ringNotSubmitted = ringUnknown + 1
)

// errRing is the error of a socket whose send has no result: the number of
// bytes sent is unknown.
var errRing = errors.New("websocket: io_uring has lost the result of a send")

// newRing returns a ring, or an error where the system has none, does not allow
// it, or has one that works in another way.
func newRing(setup func(*ringParams) (fd int, errno syscall.Errno)) (*ring, error) {
	r := &ring{enter: sysRingEnter, fd: -1, results: make([]int32, ringSize)}
	err := r.open(setup)
	if err == nil {
		err = r.probe()
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// openRing returns a ring, nil where there is none: it is optional.
func openRing() *ring {
	r, _ := newRing(sysSetupRing)
	return r
}

// open makes the ring's queues.
func (r *ring) open(setup func(*ringParams) (fd int, errno syscall.Errno)) error {
	params := ringParams{flags: ringSubmitAll}
	fd, errno := setup(&params)
	if errno != 0 {
		return os.NewSyscallError("io_uring_setup", errno)
	}
	r.fd = fd
	if params.features&ringSingleMap == 0 || params.sqEntries != ringSize || params.cqEntries < ringSize {
		return os.NewSyscallError("io_uring_setup", syscall.ENOTSUP)
	}
	size := max(params.sq.array+4*params.sqEntries, params.cq.cqes+uint32(unsafe.Sizeof(ringResult{}))*params.cqEntries)
	for i, m := range [...]struct {
		offset int64
		size   int
	}{{ringMapQueues, int(size)}, {ringMapSends, int(params.sqEntries) * int(unsafe.Sizeof(ringSend{}))}} {
		b, err := syscall.Mmap(r.fd, m.offset, m.size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_POPULATE)
		if err != nil {
			return os.NewSyscallError("mmap", err)
		}
		r.memory[i] = b
	}
	word := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.memory[0][offset])) }
	r.sqHead, r.sqTail = word(params.sq.head), word(params.sq.tail)
	r.cqHead, r.cqTail = word(params.cq.head), word(params.cq.tail)
	r.sqes = unsafe.Slice((*ringSend)(unsafe.Pointer(&r.memory[1][0])), params.sqEntries)
	r.cqes = unsafe.Slice((*ringResult)(unsafe.Pointer(word(params.cq.cqes))), params.cqEntries)
	for i, order := 0, unsafe.Slice(word(params.sq.array), params.sqEntries); i < len(order); i++ {
		order[i] = uint32(i)
	}
	return nil
}

// probe sends to a socket that accepts a byte, and to one that accepts none.
func (r *ring) probe() error {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	defer syscall.Close(pair[0])
	defer syscall.Close(pair[1])
	b := make([]byte, 4<<10)
	send := func(size int) int32 {
		r.set(0, int32(pair[0]), b[:size])
		r.submit(1)
		return r.results[0]
	}
	if n := send(1); n != 1 {
		return os.NewSyscallError("io_uring_enter", syscall.ENOTSUP)
	}
	for err == nil {
		_, err = syscall.Write(pair[0], b)
	}
	if n := send(len(b)); n != -int32(syscall.EAGAIN) {
		return os.NewSyscallError("io_uring_enter", syscall.ENOTSUP)
	}
	return nil
}

// close frees the ring. The caller holds mu, or is the only owner of the ring.
func (r *ring) close() {
	if r.fd >= 0 {
		syscall.Close(r.fd)
	}
	for _, b := range r.memory {
		if b != nil {
			syscall.Munmap(b)
		}
	}
	r.fd, r.memory = -1, [2][]byte{}
}

// Close frees the ring.
func (r *ring) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.close()
}

// set makes b the output of the i-th send.
func (r *ring) set(i int, fd int32, b []byte) {
	at := (*r.sqTail + uint32(i)) % uint32(len(r.sqes))
	r.sqes[at] = ringSend{
		opcode: ringOpSend, fd: fd, addr: uint64(uintptr(unsafe.Pointer(&b[0]))), size: uint32(len(b)),
		msgFlags: syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL, user: uint64(i),
	}
}

// submit makes n sends and sets their results. It closes the ring if one of
// them has none.
func (r *ring) submit(n int) {
	for i := range n {
		r.results[i] = ringNotSubmitted
	}
	first := *r.sqTail
	atomic.StoreUint32(r.sqTail, first+uint32(n))
	for done := 0; done < n; {
		submitted := atomic.LoadUint32(r.sqHead) - first
		_, errno := r.enter(r.fd, uint32(n)-submitted, uint32(n-done))
		got := r.collect()
		done += got
		now := atomic.LoadUint32(r.sqHead) - first
		if errno != syscall.EINTR && (errno != 0 || got == 0 && now == submitted) {
			for i := range int(now) {
				if r.results[i] == ringNotSubmitted {
					r.results[i] = ringUnknown
				}
			}
			r.close()
			return
		}
	}
}

// collect sets the results that are there, and returns their number.
func (r *ring) collect() (n int) {
	head := *r.cqHead
	for tail := atomic.LoadUint32(r.cqTail); head != tail; head++ {
		result := &r.cqes[head%uint32(len(r.cqes))]
		r.results[result.user] = result.res
		n++
	}
	atomic.StoreUint32(r.cqHead, head)
	return n
}

// flush writes the deferred output of sockets, and returns the number of sends
// by the ring, which may be nil.
func (r *ring) flush(sockets []*PolledSocket) (sent int) {
	if r == nil || len(sockets) < ringMin || !r.mu.TryLock() {
		for _, s := range sockets {
			s.Flush()
		}
		return 0
	}
	defer r.mu.Unlock()
	for _, s := range sockets {
		if !s.mu.TryLock() { // waiting here, with other sockets locked, could be a deadlock
			r.busy = append(r.busy, s)
			continue
		}
		if r.fd < 0 || s.flags&flagDeferred == 0 || s.fd < 0 || s.out == nil {
			s.flushDeferred()
			s.mu.Unlock()
			continue
		}
		r.set(len(r.batch), s.fd, s.out.bytes())
		if r.batch = append(r.batch, s); len(r.batch) == ringSize {
			sent += r.send()
		}
	}
	sent += r.send()
	for _, s := range r.busy {
		s.Flush()
	}
	clear(r.busy)
	r.busy = r.busy[:0]
	return sent
}

// send writes the output of the batch and unlocks its sockets.
func (r *ring) send() int {
	n := len(r.batch)
	if n == 0 {
		return 0
	}
	r.submit(n)
	for i, s := range r.batch {
		s.sentByRing(r.results[i])
		s.mu.Unlock()
	}
	clear(r.batch)
	r.batch = r.batch[:0]
	return n
}

// sentByRing handles the result of a send of the whole write buffer. The caller
// holds mu.
func (s *PolledSocket) sentByRing(result int32) {
	n, err := 0, error(nil)
	switch {
	case result == ringUnknown:
		err = errRing
	case result == ringNotSubmitted || result == -int32(syscall.EINTR):
		n, err = s.writeOut(0)
	case result < 0:
		err = syscall.Errno(-result)
	default:
		n, err = s.writeOut(int(result))
	}
	s.flushed(n, err)
	s.endDeferred()
}

func sysSetupRing(params *ringParams) (fd int, errno syscall.Errno) {
	n, _, errno := syscall.Syscall(sysRingSetup, ringSize, uintptr(unsafe.Pointer(params)), 0)
	return int(n), errno
}

func sysRingEnter(fd int, submit, complete uint32) (int, syscall.Errno) {
	n, _, errno := syscall.Syscall6(sysRingEnterNumber, uintptr(fd), uintptr(submit), uintptr(complete), ringGetEvents, 0, 0)
	return int(n), errno
}
