package endpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// gathering is a VectorWriter that records the pieces of its writes.
type gathering struct {
	out    bytes.Buffer
	writes int
	broken bool
}

func (g *gathering) Write(p []byte) (int, error) {
	g.writes++
	if g.broken {
		return 0, errTransport
	}
	return g.out.Write(p)
}

func (g *gathering) Writev(head, payload []byte) error {
	_, err := g.Write(slices.Concat(head, payload))
	return err
}

// everything calls every method that sends.
func everything(t *testing.T, e *endpoint.Endpoint) {
	t.Helper()
	do := func(err error) {
		if err != nil {
			t.Helper()
			t.Error(err)
		}
	}
	for _, size := range []int{0, 1, 125, 126, 8<<10 - 1, 8 << 10, 65535, 65536} {
		p := bytes.Repeat([]byte("é"), size)[:size&^1]
		do(e.Send(wire.Text, p))
		do(e.Send(wire.Binary, p))
		do(e.Send(wire.Binary, make([]byte, size)))
		m, err := endpoint.Prepare(wire.Binary, p)
		do(err)
		do(e.SendPrepared(m))
		if !e.TrySendPrepared(m) {
			t.Error("not sent")
		}
		do(e.Ping(p[:min(size&^1, 100)]))
		do(e.Pong(p[:min(size&^1, 100)]))
		out, err := e.NextWriter(wire.Text)
		do(err)
		do(out.WriteFragment(p, false))
		do(out.WriteFragment(p, true))
	}
	if err := e.Send(wire.Text, []byte("\xff")); err != wire.ErrInvalidUTF8 {
		t.Error(err)
	}
	if err := e.Send(wire.Continuation, nil); err != endpoint.ErrNotData {
		t.Error(err)
	}
	for range 100 {
		do(e.SendText("one of many"))
	}
	receive(e, whole(endpoint.Server, wire.Ping, "?"))
	receive(e, closeFromPeer(endpoint.Server, 4000, "bye"))
}

// countFrames counts frames.
func countFrames(frames []wire.Frame) (sum endpoint.FrameCount) {
	for _, f := range frames {
		if f.Opcode.IsData() || f.Opcode == wire.Continuation {
			sum.Bytes += uint64(len(f.Payload))
			if f.Fin {
				sum.Messages++
			}
			if !f.Fin || f.Opcode == wire.Continuation {
				sum.Fragments++
			}
		}
		switch f.Opcode {
		case wire.Ping:
			sum.Pings++
		case wire.Pong:
			sum.Pongs++
		}
	}
	return sum
}

// A cork of any size writes the same bytes in the same order with fewer writes,
// and the counters are the same.
func TestCollectedFramesAreTheSame(t *testing.T) {
	plain := new(gathering)
	everything(t, endpoint.New(plain, endpoint.Config{Role: endpoint.Server}))
	want := countFrames(written(t, endpoint.Server, plain.out.Bytes()))
	for _, size := range []int{50, 1 << 10, 64 << 10, 256 << 10} {
		w := new(gathering)
		e := endpoint.New(w, endpoint.Config{Role: endpoint.Server})
		var counters endpoint.Counters
		e.SetCounters(&counters)
		e.Cork(endpoint.NewCork(size))
		everything(t, e)
		e.Uncork()
		if !bytes.Equal(w.out.Bytes(), plain.out.Bytes()) {
			t.Errorf("%d: %d bytes are written, want %d, and the same", size, w.out.Len(), plain.out.Len())
		}
		if w.writes >= plain.writes && size > 50 {
			t.Errorf("%d: %d writes, and %d for single frames", size, w.writes, plain.writes)
		}
		check.Equal(t, counters.Sent.Load(), want, "%d: counted", size)
	}
}

// Uncork writes the collected frames; later frames are written one by one.
func TestCollectingEnds(t *testing.T) {
	w := new(gathering)
	e := endpoint.New(w, endpoint.Config{Role: endpoint.Server})
	send := func(writes int, why string) {
		t.Helper()
		if err := e.SendText("Hello"); err != nil || w.writes != writes {
			t.Errorf("%s: %d writes, want %d (%v)", why, w.writes, writes, err)
		}
	}
	e.Uncork() // without a Cork
	k := endpoint.NewCork(100)
	e.Cork(k)
	send(0, "collected")
	send(0, "collected")
	e.Uncork()
	if w.writes != 1 {
		t.Errorf("%d writes", w.writes)
	}
	send(2, "not collected any more")
	e.Cork(k)
	e.Uncork()
	if w.writes != 2 {
		t.Error("an empty cork was written")
	}

	e.Cork(k)
	send(2, "collected")
	if err := e.Send(wire.Binary, make([]byte, 100)); err != nil || w.writes != 3 {
		t.Errorf("%d writes for a frame larger than the cork (%v)", w.writes, err)
	}
	send(3, "collected behind a full cork")
	e.Uncork()
	if w.writes != 4 {
		t.Errorf("%d writes", w.writes)
	}

	e.Cork(k)
	m, err := endpoint.Prepare(wire.Text, []byte("prepared"))
	check.Must(t, err)
	if err := e.SendPrepared(m); err != nil || w.writes != 4 {
		t.Errorf("%d writes for a prepared message (%v)", w.writes, err)
	}
	e.Uncork()
	if w.writes != 5 {
		t.Errorf("%d writes", w.writes)
	}
}

// Goroutines may call Uncork at once: one of them writes the frames.
func TestUncorkFromTwoGoroutines(t *testing.T) {
	for range 50 {
		h := &hookedVector{hooked{during: func(int) {}}}
		e := endpoint.New(h, endpoint.Config{Role: endpoint.Server})
		var other sync.WaitGroup
		h.during = func(int) {
			other.Go(e.Uncork)
			for range 100 { // mostly until the other one waits
				runtime.Gosched()
			}
		}
		e.Cork(endpoint.NewCork(100))
		check.OK(t, e.SendText("Hello"))
		e.Uncork()
		other.Wait()
		if frames := written(t, endpoint.Server, h.out.Bytes()); len(frames) != 1 || h.writes != 1 {
			t.Fatalf("%d writes, %v", h.writes, frames)
		}
	}
}

// hookedVector is hooked as a VectorWriter.
type hookedVector struct{ hooked }

func (h *hookedVector) Writev(head, payload []byte) error {
	_, err := h.Write(slices.Concat(head, payload))
	return err
}

// If the collected frames cannot be written, the next sender gets the error.
func TestCollectedFramesThatCannotBeWritten(t *testing.T) {
	w := &gathering{broken: true}
	e := endpoint.New(w, endpoint.Config{Role: endpoint.Server})
	e.Cork(endpoint.NewCork(100))
	check.OK(t, e.SendText("Hello"))
	e.Uncork()
	var lost *endpoint.LostError
	if err := e.SendText("Hello"); !errors.As(err, &lost) || lost.Err != errTransport || e.State() != endpoint.Closed {
		t.Errorf("%v, %v", err, e.State())
	}
	checkLost(t, "then", e, e.TransportClosed(io.EOF, nil), errTransport)
}

// Collected frames are written before Abort closes the transport.
func TestCollectedFramesAreWrittenBeforeTheEnd(t *testing.T) {
	w := new(gathering)
	e := endpoint.New(w, endpoint.Config{Role: endpoint.Server})
	e.Cork(endpoint.NewCork(100))
	check.OK(t, e.SendText("last words"))
	e.Abort(nil, func() error {
		if w.writes != 1 {
			t.Errorf("%d writes", w.writes)
		}
		w.broken = true
		return nil
	})
	e.Uncork()
	if err := e.SendText("too late"); err != endpoint.ErrClosed || w.writes != 1 {
		t.Errorf("%d writes (%v)", w.writes, err)
	}
}

// Other goroutines may send while frames are collected, and during Uncork.
func TestOthersSendWhileFramesAreCollected(t *testing.T) {
	const others, each = 8, 200
	w := new(gathering)
	e := endpoint.New(w, endpoint.Config{Role: endpoint.Server})
	var all sync.WaitGroup
	for i := range others {
		all.Go(func() {
			for k := range each {
				check.OK(t, e.SendText(fmt.Sprintf("%d %d", i, k)))
			}
		})
	}
	k := endpoint.NewCork(200)
	for range 1000 {
		e.Cork(k)
		e.Uncork()
	}
	all.Wait()
	var next [others]int
	for _, f := range written(t, endpoint.Server, w.out.Bytes()) {
		var i, k int
		if _, err := fmt.Sscanf(string(f.Payload), "%d %d", &i, &k); err != nil || next[i] != k {
			t.Fatalf("%q is not number %d of its sender (%v)", f.Payload, next[i], err)
		}
		next[i]++
	}
	if want := [others]int(slices.Repeat([]int{each}, others)); next != want {
		t.Errorf("%v have arrived", next)
	}
}
