package client

import (
	"context"
	"sync"
)

// readLock is the right to read from the socket. It is held by a call that
// receives for the application, or by a Ping or Close while there is no such
// call. A call that receives does not wait until a Ping or Close has read
// something: it interrupts that read and holds the lock next.
type readLock struct {
	held chan struct{} // capacity 1; holds a value while the lock is held

	// read is the context of the reads of a Ping or Close, nil while a call
	// that receives holds the lock. It belongs to the holder.
	read context.Context

	mu        sync.Mutex         // guards the rest
	receiver  chan struct{}      // of the call that receives and waits; nil if none
	interrupt context.CancelFunc // ends read; nil without it
}

func newReadLock() readLock { return readLock{held: make(chan struct{}, 1)} }

// lockToReceive locks l for a call that receives. Such calls exclude each
// other. The error is that of ctx.
func (l *readLock) lockToReceive(ctx context.Context) error {
	select {
	case l.held <- struct{}{}:
		return nil
	default:
	}
	granted := make(chan struct{}, 1)
	l.mu.Lock()
	l.receiver = granted
	if l.interrupt != nil {
		l.interrupt()
	}
	l.mu.Unlock()
	select {
	case <-granted:
		return nil
	case l.held <- struct{}{}:
		l.removeReceiver(granted)
		return nil
	case <-ctx.Done():
		if !l.removeReceiver(granted) {
			l.unlock()
		}
		return ctx.Err()
	}
}

// removeReceiver reports false if the lock has been granted to the receiver.
func (l *readLock) removeReceiver(granted chan struct{}) bool {
	l.mu.Lock()
	waits := l.receiver == granted
	if waits {
		l.receiver = nil
	}
	l.mu.Unlock()
	return waits
}

// makeInterruptible is called by a Ping or Close that holds the lock. Its
// reads end with ctx, and when a call waits in order to receive.
func (l *readLock) makeInterruptible(ctx context.Context) {
	l.mu.Lock()
	l.read, l.interrupt = context.WithCancel(ctx)
	if l.receiver != nil {
		l.interrupt()
	}
	l.mu.Unlock()
}

// readContext returns the context of a read by the holder of the lock, whose
// own context is ctx.
func (l *readLock) readContext(ctx context.Context) context.Context {
	if l.read != nil {
		return l.read
	}
	return ctx
}

// unlock grants the lock to the call that waits in order to receive. If there
// is none, any other call may lock it.
func (l *readLock) unlock() {
	l.mu.Lock()
	if l.interrupt != nil {
		l.interrupt()
		l.read, l.interrupt = nil, nil
	}
	if l.receiver != nil {
		l.receiver <- struct{}{}
		l.receiver = nil
	} else {
		<-l.held
	}
	l.mu.Unlock()
}
