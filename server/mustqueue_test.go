package server

import (
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// buffering is a socket with bytes of output. They are deferred until a call of
// Deferred at the latest if flushed is set: another goroutine writes them then.
type buffering struct {
	nowhere
	bytes   int
	flushed bool
}

func (t *buffering) Buffered() int { return t.bytes }

func (t *buffering) Deferred() bool {
	if t.flushed {
		t.bytes = 0
	}
	return false
}

// With SlowDropOldest a message is queued behind output that the kernel has not
// accepted, but not behind deferred output that is written meanwhile: it could
// be dropped then, although the client reads.
func TestDeferredOutputThatIsWrittenMeanwhileQueuesNothing(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		s := &Server{SlowPolicy: SlowDropOldest}
		out := new(buffering)
		c := s.connOver(out)
		if !c.open(Handshake{}, nil) {
			t.Fatal("not open")
		}
		out.bytes, out.flushed = 100, flushed
		check.Equal(t, c.mustQueue(10), !flushed, "the message is queued")
		c.lost(nil)
	}
}

// emptied is a socket whose output is written behind the first look at it.
type emptied struct {
	nowhere
	looks int
}

func (t *emptied) Buffered() int {
	if t.looks++; t.looks == 1 {
		return 100
	}
	return 0
}

func (t *emptied) Deferred() bool { return false }

// A message is queued behind the queued ones, although the output in front of
// them is written meanwhile. It used to be sent before them.
func TestMessageIsQueuedBehindOthersWhileOutputIsWritten(t *testing.T) {
	s := &Server{SlowPolicy: SlowDropOldest}
	out := new(emptied)
	c := s.connOver(out)
	if !c.open(Handshake{}, nil) {
		t.Fatal("not open")
	}
	m, err := Prepare(wire.Binary, make([]byte, 10))
	check.Must(t, err)
	c.ensureSendQueue().push(m, true, c)
	out.looks = 0
	check.Equal(t, c.mustQueue(10), true, "the message is queued")
	c.lost(nil)
}
