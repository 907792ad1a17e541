package endpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// slow is a transport that writes in two parts and yields in between. It is not
// safe for concurrent use: the engine's lock must guard it.
type slow struct {
	out    bytes.Buffer
	inside bool
}

func (s *slow) Write(p []byte) (int, error) {
	if s.inside {
		panic("two writes at the same time")
	}
	s.inside = true
	s.out.Write(p[:len(p)/2])
	runtime.Gosched()
	s.out.Write(p[len(p)/2:])
	s.inside = false
	return len(p), nil
}

// numbered returns the n-th message of a writer, of one of several sizes.
func numbered(writer, n int) string {
	size := (writer*31 + n*17) % 200
	if n%50 == 0 {
		size = 40 << 10 // more than the engine writes at once
	}
	return fmt.Sprintf("%d %d %s", writer, n, strings.Repeat("x", size))
}

// Fifty writers, half of them in fragments, a pinger and a receiver that
// answers Pings: every frame is whole on the wire, every message contiguous and
// in its writer's order, every Ping answered in order (6455-5.4-h, 6455-6.1-c,
// T-H01, T-H03).
func TestFiftyWriters(t *testing.T) {
	const writers, messages, pings = 50, 100, 500
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		w := new(slow)
		e := endpoint.New(w, endpoint.Config{Role: role})
		var all sync.WaitGroup
		for writer := range writers {
			all.Go(func() {
				for n := range messages {
					if err := sendNumbered(e, writer, n); err != nil {
						t.Errorf("writer %d: %v", writer, err)
						return
					}
				}
			})
		}
		all.Go(func() {
			for range pings {
				check.OK(t, e.Ping([]byte("ours")))
			}
		})
		all.Go(func() {
			for n := range pings {
				receive(e, whole(role, wire.Ping, fmt.Sprint(n)))
				runtime.Gosched()
			}
		})
		all.Wait()
		checkConversation(t, written(t, role, w.out.Bytes()), writers, messages, pings)
	})
}

// sendNumbered sends the n-th message of a writer: whole if the writer's number
// is even, else in three fragments.
func sendNumbered(e *endpoint.Endpoint, writer, n int) error {
	text := numbered(writer, n)
	switch writer % 4 {
	case 0:
		return e.Send(wire.Text, []byte(text))
	case 2:
		return e.SendText(text)
	}
	m, err := e.NextWriter(wire.Text)
	if err != nil {
		return err
	}
	middle := len(text) / 2
	return errors.Join(m.WriteFragment([]byte(text[:middle]), false), m.WriteFragment([]byte(text[middle:]), false), m.WriteFragment(nil, true))
}

func checkConversation(t *testing.T, frames []wire.Frame, writers, messages, pings int) {
	t.Helper()
	next := make([]int, writers) // message of each writer
	ours, last := 0, -1
	var message []byte
	under := wire.Continuation // the message under way
	for i, f := range frames {
		switch {
		case f.Opcode == wire.Ping:
			ours++
			continue
		case f.Opcode == wire.Pong:
			n := -1
			if _, err := fmt.Sscan(string(f.Payload), &n); err != nil || n <= last {
				t.Fatalf("frame %d: the Pong %q was sent after %d", i, f.Payload, last)
			}
			last = n
			continue
		case (f.Opcode == wire.Continuation) != (under != wire.Continuation):
			t.Fatalf("frame %d: %v inside %v", i, f.Opcode, under)
		case f.Opcode == wire.Text:
			under = wire.Text
			message = message[:0]
		}
		message = append(message, f.Payload...)
		if !f.Fin {
			continue
		}
		under = wire.Continuation
		var writer, n int
		check.Mustf(t, check.Err(fmt.Sscan(string(message[:min(len(message), 20)]), &writer, &n)), "frame %d: %.40q", i, message)
		if n != next[writer] || string(message) != numbered(writer, n) {
			t.Fatalf("frame %d: message %d of writer %d, want %d: %.40q", i, n, writer, next[writer], message)
		}
		next[writer]++
	}
	if want := slices.Repeat([]int{messages}, writers); !slices.Equal(next, want) || ours != pings || last != pings-1 {
		t.Errorf("%v messages, %d Pings, the last Pong is %d", next, ours, last)
	}
}

// A hundred goroutines close: one Close frame is sent, by one of them
// (6455-5.5.1-l).
func TestHundredCloses(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		w := new(slow)
		e := endpoint.New(w, endpoint.Config{Role: role})
		var closed atomic.Int32
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range 100 {
			all.Go(func() {
				<-start
				switch err := e.Close(wire.StatusCode(4000+i), ""); err {
				case nil:
					closed.Add(1)
				case endpoint.ErrClosed:
				default:
					t.Error(err)
				}
			})
		}
		close(start)
		all.Wait()
		frames := written(t, role, w.out.Bytes())
		if closed.Load() != 1 || len(frames) != 1 || frames[0].Opcode != wire.Close {
			t.Errorf("%d calls sent the frames %+v", closed.Load(), frames)
		}
	})
}

// With concurrent calls of Close and Send, one Close is the last frame except
// for Pongs, and those follow only if the Close is no answer (6455-5.1-e,
// 6455-5.5.1-e, 6455-5.5.1-k, 6455-5.5.1-l).
func TestNoDataAfterClose(t *testing.T) {
	const rounds = 100
	ends := map[string]struct {
		end        func(role endpoint.Role, e *endpoint.Endpoint)
		pongsAfter bool
	}{
		"our Close":    {func(_ endpoint.Role, e *endpoint.Endpoint) { _ = e.Close(4000, "ours") }, true},
		"peer's Close": {func(r endpoint.Role, e *endpoint.Endpoint) { receive(e, closeFromPeer(r, 4001, "theirs")) }, false},
		"broken rule":  {func(_ endpoint.Role, e *endpoint.Endpoint) { receive(e, []byte{0x83}) }, false},
		"both Closes": {func(r endpoint.Role, e *endpoint.Endpoint) {
			var both sync.WaitGroup
			both.Go(func() { _ = e.Close(4000, "ours") })
			receive(e, closeFromPeer(r, 4001, "theirs"))
			both.Wait()
		}, true},
	}
	for name, tt := range ends {
		subtestRoles(t, name, func(t *testing.T, role endpoint.Role) {
			for range rounds {
				w := new(slow)
				e := endpoint.New(w, endpoint.Config{Role: role})
				senders := startSenders(e)
				for n := range 10 {
					receive(e, whole(role, wire.Ping, fmt.Sprint(n)))
					runtime.Gosched()
				}
				tt.end(role, e)
				receive(e, whole(role, wire.Ping, "late"))
				senders.Wait() // they end because the connection does
				checkNothingAfterClose(t, written(t, role, w.out.Bytes()), tt.pongsAfter)
			}
		})
	}
}

// startSenders starts senders of every kind, which run until the connection is
// closed.
func startSenders(e *endpoint.Endpoint) *sync.WaitGroup {
	senders := new(sync.WaitGroup)
	for writer := range 4 {
		senders.Go(func() {
			for n := 1; sendNumbered(e, writer, n) == nil; n++ {
				runtime.Gosched()
			}
		})
	}
	senders.Go(func() {
		for e.Ping(nil) == nil {
			runtime.Gosched()
		}
	})
	return senders
}

func checkNothingAfterClose(t *testing.T, frames []wire.Frame, pongsAfter bool) {
	t.Helper()
	i := slices.IndexFunc(frames, func(f wire.Frame) bool { return f.Opcode == wire.Close })
	if i < 0 {
		t.Fatalf("no Close among %d frames", len(frames))
	}
	for _, f := range frames[i+1:] {
		if f.Opcode != wire.Pong || !pongsAfter {
			t.Fatalf("behind the Close: %v %q", f.Opcode, f.Payload)
		}
	}
}

// Abort and TransportClosed race with all other calls: no call hangs or panics,
// and all agree on the end of the connection (6455-7.2.1-a, T-H02, T-C04,
// T-C11, T-G10).
func TestEndsThatRace(t *testing.T) {
	const rounds = 1500
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		for seed := range uint64(rounds) {
			rng := rand.New(rand.NewPCG(seed, 0))
			in, out := io.Pipe()
			e := endpoint.New(out, endpoint.Config{Role: role, Background: func(f func()) { go f() }})
			var all sync.WaitGroup
			take := rng.IntN(3000)
			all.Go(func() { // the peer reads for a while, or until the end
				io.CopyN(io.Discard, in, int64(take))
				if take%3 == 0 {
					in.CloseWithError(errTransport)
				}
			})
			cut := func() { e.Abort(nil, func() error { return out.CloseWithError(net.ErrClosed) }) }
			senders := startSenders(e)
			closes := rng.IntN(3)
			all.Go(func() { // the receiver: the transport ends in one way or the other
				for n := range rng.IntN(20) {
					receive(e, whole(role, wire.Ping, fmt.Sprint(n)))
					receive(e, whole(role, wire.Pong, fmt.Sprint(n)))
				}
				if closes == 1 {
					// The answer may block until Abort is called.
					receive(e, closeFromPeer(role, 4001, "theirs"))
				}
				out.CloseWithError(io.ErrClosedPipe)
				_ = e.TransportClosed(io.EOF, nil)
			})
			all.Go(func() {
				if closes == 2 {
					_ = e.Close(4000, "ours")
				}
			})
			for range 3 {
				all.Go(cut)
			}
			all.Wait()
			senders.Wait()
			why := e.Err()
			if why == nil || e.State() != endpoint.Closed || !errors.Is(why, net.ErrClosed) {
				t.Fatalf("seed %d: ended with %v in state %v", seed, why, e.State())
			}
			if err := e.Send(wire.Text, nil); err != why {
				t.Fatalf("seed %d: Send returned %v, the connection ended with %v", seed, err, why)
			}
			if err := e.TransportClosed(io.EOF, nil); err != why {
				t.Fatalf("seed %d: Lost returned %v, the connection ended with %v", seed, err, why)
			}
		}
	})
}
