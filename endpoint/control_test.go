package endpoint_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// pongs returns the payloads of the Pongs among frames.
func pongs(frames []wire.Frame) []string {
	var payloads []string
	for _, f := range frames {
		if f.Opcode == wire.Pong {
			payloads = append(payloads, string(f.Payload))
		}
	}
	return payloads
}

// numbers returns the decimal numbers from first to last.
func numbers(first, last int) []string {
	var list []string
	for i := first; i <= last; i++ {
		list = append(list, strconv.Itoa(i))
	}
	return list
}

// A peer that reads gets a Pong for each of its Pings (6455-5.5.2-a,
// 6455-5.5.3-b).
func TestTenPingsAreTenPongs(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e, out := recorded(endpoint.Config{Role: role})
		var in []byte
		for _, number := range numbers(1, 10) {
			in = append(in, whole(role, wire.Ping, number)...)
		}
		if events := receive(e, in); len(events) != 10 || events[9].Kind != endpoint.KindPing || events[9].Payload != "10" {
			t.Errorf("got the events %+v", events)
		}
		if got := pongs(written(t, role, out.Bytes())); !slices.Equal(got, numbers(1, 10)) {
			t.Errorf("got the Pongs %q", got)
		}
	})
}

// While a write is blocked on a peer that does not read, Receive does not
// block. The Pongs follow the frame, in order, and if there are many only the
// newest (6455-5.5.2-b, 6455-5.5.3-b, T-C01, T-C07).
func TestPingsDuringABlockedWrite(t *testing.T) {
	const kept = 16
	for _, pings := range []int{1, kept - 1, kept, kept + 1, 1000} {
		subtestRoles(t, strconv.Itoa(pings), func(t *testing.T, role endpoint.Role) {
			g := newGate()
			e := endpoint.New(g, endpoint.Config{Role: role})
			var sender sync.WaitGroup
			sender.Go(func() {
				check.OK(t, e.Send(wire.Text, []byte("late")))
			})
			<-g.entered
			for _, number := range numbers(1, pings) {
				if events := receive(e, whole(role, wire.Ping, number)); len(events) != 1 {
					t.Errorf("got the events %+v", events)
				}
			}
			g.open(nil)
			sender.Wait()
			frames := written(t, role, g.bytes())
			if string(frames[0].Payload) != "late" {
				t.Errorf("the first frame is %+v", frames[0])
			}
			check.Slices(t, pongs(frames), numbers(max(1, pings-kept+1), pings), "got the Pongs")
		})
	}
}

// With a Background, Receive does not wait until the peer has read a Pong
// either.
func TestReceiveDoesNotWaitForThePongToBeTaken(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		g := newGate()
		var background sync.WaitGroup
		e := endpoint.New(g, endpoint.Config{Role: role, Background: background.Go})
		receive(e, whole(role, wire.Ping, "1"))
		<-g.entered // the Pong is the only write
		for _, number := range numbers(2, 10) {
			receive(e, whole(role, wire.Ping, number))
		}
		g.open(nil)
		background.Wait()
		if got := pongs(written(t, role, g.bytes())); !slices.Equal(got, numbers(1, 10)) {
			t.Errorf("got the Pongs %q", got)
		}
	})
}

// At most one background function runs: a flood of Pings does not multiply
// goroutines (T-H16).
func TestPingsRunOneBackgroundFunction(t *testing.T) {
	var jobs []func()
	e, out := recorded(endpoint.Config{Role: endpoint.Server, Background: func(f func()) { jobs = append(jobs, f) }})
	for _, number := range numbers(1, 100) {
		receive(e, whole(endpoint.Server, wire.Ping, number))
	}
	if len(jobs) != 1 {
		t.Fatalf("%d functions are in the background", len(jobs))
	}
	jobs[0]()
	if got := pongs(written(t, endpoint.Server, out.Bytes())); !slices.Equal(got, numbers(85, 100)) {
		t.Errorf("got the Pongs %q", got)
	}
	receive(e, whole(endpoint.Server, wire.Ping, "101"))
	if len(jobs) != 2 {
		t.Errorf("after the first was done: %d functions were in the background", len(jobs))
	}
}

// After our Close the peer's Close needs no answer: Receive does not wait for a
// Pong that the peer does not read (6455-5.5.1-k, T-C07).
func TestPeersCloseDoesNotWaitForAPong(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		g := newGate()
		w := &switchable{w: new(bytes.Buffer)}
		var background sync.WaitGroup
		e := endpoint.New(w, endpoint.Config{Role: role, Background: background.Go})
		check.Must(t, e.Close(wire.NormalClosure, ""))
		w.w = g
		receive(e, whole(role, wire.Ping, "1"))
		<-g.entered
		events := receive(e, closeFromPeer(role, wire.NormalClosure, ""))
		if len(events) != 1 || events[0].Kind != endpoint.KindClose || e.State() != endpoint.Closed {
			t.Errorf("got %+v, state %v", events, e.State())
		}
		g.open(nil)
		background.Wait()
	})
}

// switchable is a transport that can be replaced.
type switchable struct{ w io.Writer }

func (s *switchable) Write(p []byte) (int, error) { return s.w.Write(p) }

// Pings before the peer's Close, or before the frame that breaks a rule, are
// answered before our Close is sent (6455-5.5.2-a).
func TestQueuedPongsPrecedeTheAnswerToAClose(t *testing.T) {
	for name, last := range map[string]func(endpoint.Role) []byte{
		"Close":       func(r endpoint.Role) []byte { return closeFromPeer(r, wire.GoingAway, "bye") },
		"broken rule": func(r endpoint.Role) []byte { return whole(r, wire.Text, "\xff") },
	} {
		subtestRoles(t, name, func(t *testing.T, role endpoint.Role) {
			g := newGate()
			e := endpoint.New(g, endpoint.Config{Role: role})
			var both sync.WaitGroup
			both.Go(func() { _ = e.Send(wire.Text, []byte("first")) })
			<-g.entered
			both.Go(func() {
				receive(e, slices.Concat(whole(role, wire.Ping, "1"), whole(role, wire.Ping, "2"), last(role)))
			})
			g.open(nil)
			both.Wait()
			check.Slices(t, opcodes(t, role, g.bytes()), []wire.Opcode{wire.Text, wire.Pong, wire.Pong, wire.Close}, "got the frames")
		})
	}
}

// The end drops the control queue: a queued Pong is not written behind
// the answer to a Close, nor after a failed write (6455-5.5.2-a).
func TestQueuedPongsAreDroppedAtTheEnd(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		g := newGate()
		e := endpoint.New(g, endpoint.Config{Role: role})
		var sender sync.WaitGroup
		broken := errors.New("broken pipe")
		sender.Go(func() {
			check.Is(t, e.Send(wire.Text, []byte("lost")), broken, "got")
		})
		<-g.entered
		receive(e, whole(role, wire.Ping, "?"))
		g.open(broken)
		sender.Wait()
		receive(e, whole(role, wire.Ping, "?"))
		if len(g.bytes()) > 0 {
			t.Errorf("written: % x", g.bytes())
		}
	})
}

// Pings without end to an endpoint whose writer is blocked take no memory
// (T-C01).
func TestPingFloodWithABlockedWriterTakesNoMemory(t *testing.T) {
	g := newGate()
	e := endpoint.New(g, endpoint.Config{Role: endpoint.Server})
	var sender sync.WaitGroup
	sender.Go(func() { _ = e.Send(wire.Binary, nil) })
	<-g.entered

	ping := whole(endpoint.Server, wire.Ping, string(make([]byte, wire.MaxControlPayload)))
	in := make([]byte, len(ping))
	before := heap()
	for range 200_000 {
		copy(in, ping)
		if ev, n := e.Receive(time.Time{}, in); ev.Kind != endpoint.KindPing || n != len(in) {
			t.Fatalf("got %+v, %d", ev, n)
		}
	}
	if growth := heap() - before; growth > 64<<10 {
		t.Errorf("the heap grew by %d bytes", growth)
	}
	g.open(nil)
	sender.Wait()
	if got := len(pongs(written(t, endpoint.Server, g.bytes()))); got != 16 {
		t.Errorf("%d Pongs were written", got)
	}
}

// A Pong that is queued at the moment at which a writer releases the lock is
// not lost, and Pongs keep the order of their Pings.
func TestPongsBesideAWriter(t *testing.T) {
	for _, where := range []string{"in Receive", "in the background"} {
		t.Run(where, func(t *testing.T) {
			const pings = 50_000
			for range 4 {
				var background sync.WaitGroup
				cfg := endpoint.Config{Role: endpoint.Server}
				if where == "in the background" {
					cfg.Background = background.Go
				}
				var out bytes.Buffer // guarded by the engine's lock only
				e := endpoint.New(&out, cfg)

				stop := make(chan struct{})
				var sender sync.WaitGroup
				sender.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
							_ = e.Send(wire.Binary, nil)
						}
					}
				})
				in := whole(endpoint.Server, wire.Ping, "12345678")
				for i := range uint64(pings) {
					ping := bytes.Clone(in)
					plain := binary.BigEndian.AppendUint64(nil, i)
					copy(ping[6:], plain)
					wire.Mask(ping[6:], peerKey)
					e.Receive(time.Time{}, ping)
				}
				close(stop)
				sender.Wait()
				background.Wait()
				check.Must(t, checkNumbered(pongs(written(t, endpoint.Server, out.Bytes())), pings-1))
			}
		})
	}
}

// checkNumbered checks that the payloads are increasing numbers up to last.
func checkNumbered(payloads []string, last uint64) error {
	var previous uint64
	for i, p := range payloads {
		number := binary.BigEndian.Uint64([]byte(p))
		if i > 0 && number <= previous {
			return fmt.Errorf("the Pong %d was sent after %d", number, previous)
		}
		previous = number
	}
	if previous != last {
		return fmt.Errorf("the last Pong is %d, want %d", previous, last)
	}
	return nil
}

// Pongs without end, solicited or not, take no memory (T-C03, T-C04,
// 6455-5.5.3-c).
func TestPongFloodTakesNoMemory(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role})
		pong := whole(role, wire.Pong, "unasked")
		in := make([]byte, len(pong))
		before := heap()
		for range 200_000 {
			copy(in, pong)
			if ev, n := e.Receive(time.Time{}, in); ev.Kind != endpoint.KindPong || n != len(in) {
				t.Fatalf("got %+v, %d", ev, n)
			}
		}
		if growth := heap() - before; growth > 64<<10 {
			t.Errorf("the heap grew by %d bytes", growth)
		}
		if e.State() != endpoint.Open {
			t.Errorf("the state is %v", e.State())
		}
	})
}
