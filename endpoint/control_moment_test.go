package endpoint

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/leakcheck"
	"github.com/fibersock/fibersock/wire"
)

// A Ping arrives between a writer's last look at the control queue and its
// unlock. The next holder of the lock writes the Pong before its own frame
// (6455-5.5.2-a).
func TestQueuedPongsGoFirst(t *testing.T) {
	frame := func(op wire.Opcode, payload string) []byte {
		return wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: op, Masked: true}, []byte(payload))
	}
	plain := func(op wire.Opcode, payload string) []byte {
		return wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: op}, []byte(payload))
	}
	for name, tt := range map[string]struct{ next, answer []byte }{
		"Ping":        {frame(wire.Ping, "2"), plain(wire.Pong, "2")},
		"Close":       {frame(wire.Close, ""), plain(wire.Close, "")},
		"broken rule": {frame(wire.Continuation, ""), plain(wire.Close, "\x03\xeacontinuation frame without a message")},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			e := New(&out, Config{Role: Server})
			e.sender.mu.Lock()
			e.Receive(time.Time{}, frame(wire.Ping, "1"))
			e.sender.mu.Unlock() // not unlock, which has checked the queue already
			e.Receive(time.Time{}, tt.next)
			check.Slices(t, out.Bytes(), append(plain(wire.Pong, "1"), tt.answer...), "got")
		})
	}
}

// The holder of the lock gives it up between the two looks of FlushControl at
// the lock: after the first one it has not seen that FlushControl waits.
func TestFlushControlBesideTheEndOfAWrite(t *testing.T) {
	e := New(io.Discard, Config{Role: Client})
	s := &e.sender
	queue := &s.ensureExt().queue
	s.mu.Lock()
	queue.mu.Lock()
	flushed := make(chan struct{})
	go func() {
		e.FlushControl()
		close(flushed)
	}()
	for !strings.Contains(leakcheck.Stacks(), "addFlusher") {
		runtime.Gosched()
	}
	s.mu.Unlock() // not unlock, which has checked the queue already
	queue.mu.Unlock()
	<-flushed
	if !s.mu.TryLock() {
		t.Fatal("the lock is held")
	}
	s.unlock()
}
