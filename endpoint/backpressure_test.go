package endpoint_test

import (
	"bytes"
	"io"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// window is a transport with a write buffer of a limited size, which a test
// empties.
type window struct {
	mu      sync.Mutex
	changed *sync.Cond
	room    int
	failed  error
	out     bytes.Buffer
	written int    // calls of Written
	during  func() // called by the next Write; nil: none
}

func newWindow(room int) *window {
	w := &window{room: room}
	w.changed = sync.NewCond(&w.mu)
	return w
}

func (w *window) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return 0, w.failed
	}
	if f := w.during; f != nil {
		w.during = nil
		f()
	}
	w.room -= len(p)
	return w.out.Write(p)
}

func (w *window) Space(size int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return size
	}
	return min(max(w.room, 0), size)
}

func (w *window) AwaitSpace(int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.failed == nil && w.room <= 0 {
		w.changed.Wait()
	}
}

func (w *window) Written() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written++
}

// grow adds n bytes of space or, if err is not nil, ends the transport.
func (w *window) grow(n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.room, w.failed = max(w.room, 0)+n, err
	w.changed.Broadcast()
}

func (w *window) frames(t *testing.T) []wire.Frame {
	w.mu.Lock()
	defer w.mu.Unlock()
	return written(t, endpoint.Server, bytes.Clone(w.out.Bytes()))
}

// withRoom returns a server's endpoint with room for so many bytes.
func withRoom(room int) (*endpoint.Endpoint, *window) {
	w := newWindow(room)
	e := endpoint.New(w, endpoint.Config{Role: endpoint.Server})
	e.SetBackpressure(w)
	return e, w
}

// While a sender waits for space inside of a frame, only senders of other
// messages wait for it. Control frames follow the frame in the order of RFC
// 6455: Pongs and Pings, then the Close.
func TestControlFramesWaitForTheEndOfAFrame(t *testing.T) {
	for _, who := range []string{"we close", "the peer closes", "the peer breaks a rule"} {
		check.Bubble(t, who, func(t *testing.T) {
			e, w := withRoom(100)
			first, second := make(chan error, 1), make(chan error, 1)
			go func() { first <- e.Send(wire.Binary, make([]byte, 1000)) }()
			synctest.Wait()
			if !e.WriteBlocked() {
				t.Fatal("the sender does not wait")
			}
			go func() { second <- e.SendText("after it") }()
			synctest.Wait()
			receive(e, whole(endpoint.Server, wire.Ping, "1"))
			e.PingAsync([]byte("old"))
			e.PingAsync([]byte("new"))
			m, _ := endpoint.Prepare(wire.Text, []byte("prepared"))
			if e.TrySendPrepared(m) {
				t.Error("a message was sent inside a frame")
			}
			code, state := wire.StatusCode(4000), endpoint.Closed
			switch who {
			case "we close":
				state = endpoint.CloseSent
				check.OK(t, e.Close(code, ""))
			case "the peer closes":
				receive(e, whole(endpoint.Server, wire.Close, "\x0f\xa0"))
			default:
				code = wire.ProtocolError
				receive(e, whole(endpoint.Server, wire.Opcode(3), ""))
			}
			if e.State() != state {
				t.Errorf("the state is %v", e.State())
			}
			if err := <-second; err == nil {
				t.Error("a message was sent after the Close")
			}
			if sent, first := e.SentClose(); sent != code || first != (who == "we close") {
				t.Errorf("a Close with %v is queued, first: %v", sent, first)
			}
			w.grow(10_000, nil)
			check.OKf(t, <-first, "Send returned")
			frames := w.frames(t)
			if len(frames) != 4 || len(frames[0].Payload) != 1000 || frames[1].Opcode != wire.Pong ||
				frames[2].Opcode != wire.Ping || string(frames[2].Payload) != "new" || closeCode(frames[3]) != code {
				t.Errorf("wrote %v", frames)
			}
			if sent, _ := e.SentClose(); sent != code || e.WriteBlocked() || w.written != 1 {
				t.Errorf("sent %v, blocked %v, %d calls of written", sent, e.WriteBlocked(), w.written)
			}
		})
	}
}

// Without any space a frame does not begin, so that other frames can be sent;
// every message is sent once there is space.
func TestFramesBeginWhenThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := withRoom(0)
		var all sync.WaitGroup
		m, _ := endpoint.Prepare(wire.Binary, make([]byte, 300))
		for range 10 {
			all.Go(func() { e.Send(wire.Binary, nil) })
			all.Go(func() { e.SendPrepared(m) })
			all.Go(func() {
				out, _ := e.NextWriter(wire.Text)
				out.WriteFragment([]byte("one"), false)
				out.WriteFragment(make([]byte, 70), true)
			})
		}
		synctest.Wait()
		if e.WriteBlocked() || w.out.Len() > 0 {
			t.Errorf("%d bytes were written", w.out.Len())
		}
		if err := e.Ping([]byte("now")); err != nil || len(w.frames(t)) != 1 {
			t.Errorf("wrote %v and returned %v", w.frames(t), err)
		}
		for w.out.Len() < 10*(2+4+300+2+3+2+70)+5 {
			w.grow(50, nil)
			synctest.Wait()
		}
		all.Wait()
		for i, f := range w.frames(t) {
			if f.Opcode == wire.Continuation && string(w.frames(t)[i-1].Payload) != "one" {
				t.Errorf("a message was interrupted: frame %d", i)
			}
		}
	})
}

// The end of the transport releases all senders that wait for space.
func TestEndOfTransportReleasesBlockedSenders(t *testing.T) {
	for _, room := range []int{0, 100} {
		synctest.Test(t, func(t *testing.T) {
			e, w := withRoom(room)
			errs := make(chan error, 3)
			go func() { errs <- e.Send(wire.Binary, make([]byte, 1000)) }()
			synctest.Wait()
			go func() { errs <- e.SendText("Hello") }()
			go func() {
				out, _ := e.NextWriter(wire.Text)
				errs <- out.WriteFragment(nil, true)
			}()
			synctest.Wait()
			if e.WriteBlocked() != (room > 0) {
				t.Error("no frame has begun")
			}
			w.grow(0, io.ErrClosedPipe)
			e.Abort(nil, func() error { return nil })
			for range 3 {
				check.Is(t, <-errs, endpoint.ErrClosed, "Send returned")
			}
		})
	}
}

// A message that has waited for the end of another one then waits for room. Its
// frame does not begin, and control frames can be sent.
func TestMessageWaitsForRoomBehindAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := withRoom(20)
		m, err := e.NextWriter(wire.Binary)
		check.Must(t, err)
		check.Must(t, m.WriteFragment([]byte("first"), false))
		sent := make(chan error, 1)
		go func() { sent <- e.SendText("second message") }()
		synctest.Wait()
		check.Must(t, m.WriteFragment(make([]byte, 20-2-5-2), true))
		synctest.Wait()
		if e.WriteBlocked() || w.Space(1) > 0 {
			t.Errorf("a frame has begun: %v; the room is %d", e.WriteBlocked(), w.Space(1))
		}
		check.Must(t, e.Ping(nil))
		if frames := w.frames(t); len(frames) != 3 || frames[2].Opcode != wire.Ping {
			t.Errorf("wrote %v", frames)
		}
		w.grow(100, nil)
		check.OK(t, <-sent)
	})
}

// A further fragment of a message waits for room too, without the lock: Pings
// can be sent.
func TestFragmentWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := withRoom(2 + 3)
		m, err := e.NextWriter(wire.Binary)
		check.Must(t, err)
		check.Must(t, m.WriteFragment([]byte("one"), false))
		sent := make(chan error, 1)
		go func() { sent <- m.WriteFragment([]byte("two"), true) }()
		synctest.Wait()
		if e.WriteBlocked() {
			t.Error("the frame has begun")
		}
		check.Must(t, e.Ping(nil))
		w.grow(100, nil)
		check.OK(t, <-sent)
		if frames := w.frames(t); len(frames) != 3 || frames[1].Opcode != wire.Ping || string(frames[2].Payload) != "two" {
			t.Errorf("wrote %v", frames)
		}
	})
}
