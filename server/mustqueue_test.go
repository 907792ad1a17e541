package server

import (
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
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
