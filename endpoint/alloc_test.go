//go:build !race && !lockcheck

// The race detector makes pools forget, so that allocations are counted without
// it.

package endpoint_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// allocations returns how many times f allocates in the steady state.
func allocations(f func()) float64 {
	f()
	return testing.AllocsPerRun(200, f)
}

// countEvents makes e receive in, in pieces, and returns the number of events.
func countEvents(e *endpoint.Endpoint, in []byte, piece int) (events int) {
	for b := range slices.Chunk(in, piece) {
		for {
			ev, n := e.Receive(time.Time{}, b)
			b = b[n:]
			if ev.Kind == endpoint.KindNone {
				break
			}
			events++
		}
	}
	return events
}

// Receive allocates nothing, except for a control frame that arrives in parts
// (T-A12).
func TestReceivingAllocatesNothing(t *testing.T) {
	large := strings.Repeat("a", 16<<10)
	tests := []struct {
		name    string
		partial bool
		frames  func(role endpoint.Role) []byte
		piece   int // bytes that arrive at once; 0: all
	}{
		{name: "an empty message", frames: func(r endpoint.Role) []byte { return whole(r, wire.Binary, "") }},
		{name: "a whole text", frames: func(r endpoint.Role) []byte { return whole(r, wire.Text, large) }},
		{name: "a whole message, pieces wanted", partial: true, frames: func(r endpoint.Role) []byte { return whole(r, wire.Text, large) }},
		{name: "a split message, pieces wanted", partial: true, piece: 1000, frames: func(r endpoint.Role) []byte { return whole(r, wire.Text, large) }},
		{name: "a split message, assembled", piece: 1000, frames: func(r endpoint.Role) []byte { return whole(r, wire.Text, large) }},
		{name: "a fragmented message, assembled", frames: func(r endpoint.Role) []byte {
			return slices.Concat(fromPeer(r, wire.Text, large, false), fromPeer(r, wire.Continuation, large, false), fromPeer(r, wire.Continuation, "", true))
		}},
		{name: "a Ping between fragments", frames: func(r endpoint.Role) []byte {
			return slices.Concat(fromPeer(r, wire.Text, "Hel", false), whole(r, wire.Ping, "?"), fromPeer(r, wire.Continuation, "lo", true))
		}},
		{name: "ten Pings", frames: func(r endpoint.Role) []byte {
			return slices.Repeat(whole(r, wire.Ping, strings.Repeat("?", wire.MaxControlPayload)), 10)
		}},
		{name: "a Pong", frames: func(r endpoint.Role) []byte { return whole(r, wire.Pong, "!") }},
		{name: "headers byte by byte", piece: 1, frames: func(r endpoint.Role) []byte { return whole(r, wire.Binary, strings.Repeat("a", 200)) }},
	}
	for _, tt := range tests {
		subtestRoles(t, tt.name, func(t *testing.T, role endpoint.Role) {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: tt.partial})
			frames := tt.frames(role)
			in := make([]byte, len(frames))
			piece := tt.piece
			if piece == 0 {
				piece = len(in)
			}
			events := 0
			n := allocations(func() {
				copy(in, frames)
				events += countEvents(e, in, piece)
			})
			if n != 0 || events == 0 || e.Err() != nil {
				t.Errorf("%v allocations, %d events, %v", n, events, e.Err())
			}
		})
	}
}

// An endpoint of a server needs no more memory when it has sent a message and
// answered a Ping.
func TestServersEndpointIsOneAllocation(t *testing.T) {
	shared := endpoint.NewSharedConfig(endpoint.Config{Role: endpoint.Server})
	ping := whole(endpoint.Server, wire.Ping, "")
	n := allocations(func() {
		e := new(endpoint.Endpoint)
		e.Init(io.Discard, shared)
		check.OK(t, e.Send(wire.Binary, nil))
		e.Receive(time.Time{}, ping)
		e.Receive(time.Time{}, nil) // releases the payload
	})
	check.Equal(t, n, 1, "allocations")
}

func TestSendingAllocatesNothing(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role})
		for _, size := range []int{0, 100, 16 << 10, 100 << 10} {
			text := strings.Repeat("a", size)
			payload := []byte(text)
			message, err := e.NextWriter(wire.Text)
			check.Must(t, err)
			calls := map[string]func() error{
				"Send":     func() error { return e.Send(wire.Text, payload) },
				"SendText": func() error { return e.SendText(text) },
				"fragment": func() error { return message.WriteFragment(payload, false) },
			}
			if role == endpoint.Server {
				prepared, err := endpoint.Prepare(wire.Text, payload)
				check.Must(t, err)
				calls["SendPrepared"] = func() error { return e.SendPrepared(prepared) }
			}
			if size <= wire.MaxControlPayload {
				calls["Ping"] = func() error { return e.Ping(payload) }
				calls["Pong"] = func() error { return e.Pong(payload) }
			}
			fragment := calls["fragment"]
			delete(calls, "fragment") // last, because it blocks the others
			measure := func(name string, call func() error) {
				t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
					n := allocations(func() {
						check.OK(t, call())
					})
					if n != 0 {
						t.Errorf("%v allocations", n)
					}
				})
			}
			for name, call := range calls {
				measure(name, call)
			}
			measure("fragment", fragment)
			check.Must(t, message.WriteFragment(nil, true))
		}
	})
}

// Collecting costs no allocation.
func TestCollectingAllocatesNothing(t *testing.T) {
	e := endpoint.New(discarding{}, endpoint.Config{Role: endpoint.Server})
	k := endpoint.NewCork(1 << 10)
	payload := make([]byte, 100)
	n := allocations(func() {
		e.Cork(k)
		for range 20 { // more than the queue holds
			check.OK(t, e.Send(wire.Text, payload))
		}
		e.Uncork()
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A Cork has room for the header of a frame that is not collected, however full
// it is. Its bytes are allocated with the first frame.
func TestHeaderBehindAFullCorkAllocatesNothing(t *testing.T) {
	const size = 200
	e := endpoint.New(discarding{}, endpoint.Config{Role: endpoint.Server})
	large := make([]byte, 1<<16)
	collect := func(messages ...[]byte) float64 {
		return testing.AllocsPerRun(50, func() {
			e.Cork(endpoint.NewCork(size))
			for _, p := range messages {
				check.OK(t, e.Send(wire.Binary, p))
			}
			e.Uncork()
		})
	}
	if n := collect(); n != 1 {
		t.Errorf("a Cork without frames: %v allocations, want 1: not of its bytes", n)
	}
	newCork := collect(nil)
	for fill := range size + 1 {
		if n := collect(large[:fill], large) - newCork; n != 0 {
			t.Errorf("behind a payload of %d bytes: %v allocations", fill, n)
		}
	}
}

// discarding is a VectorWriter that discards its input.
type discarding struct{}

func (discarding) Write(p []byte) (int, error) { return len(p), nil }
func (discarding) Writev(_, _ []byte) error    { return nil }

// Compressed messages allocate nothing either, with and without takeover, once
// the windows are full.
func TestCompressionAllocatesNothing(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		for _, answer := range []string{takeover, noTakeover} {
			for name, text := range map[string]string{"short": tick(1), "long": strings.Repeat(tick(1), 1000)} {
				check := func(what string, f func() error) {
					t.Run(what, func(t *testing.T) {
						for range 20 {
							f()
						}
						n := allocations(func() {
							if err := f(); err != nil {
								t.Error(err)
							}
						})
						if n != 0 {
							t.Errorf("%s, %s: %v allocations", answer, name, n)
						}
					})
				}
				e := endpoint.New(io.Discard, endpoint.Config{Role: role, Compression: agree(t, role, answer)})
				payload := []byte(text)
				check("Send", func() error { return e.Send(wire.Text, payload) })
				check("SendText", func() error { return e.SendText(text) })
				if role == endpoint.Server {
					m, err := endpoint.Prepare(wire.Text, []byte(text))
					if err != nil {
						t.Fatal(err)
					}
					check("SendPrepared", func() error { return e.SendPrepared(m) })
				}
				m, err := e.NextWriter(wire.Text)
				if err != nil {
					t.Fatal(err)
				}
				check("fragment", func() error { return m.WriteFragment(payload, false) })

				frame := compressedFrame(role, wire.Text, deflated(text), true)
				in := make([]byte, len(frame))
				for _, partial := range []bool{false, true} {
					e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Compression: agree(t, role, answer)})
					for _, piece := range []int{len(in), 50} {
						check(fmt.Sprintf("Receive, in pieces of %d, partial is %v", piece, partial), func() error {
							copy(in, frame)
							countEvents(e, in, piece)
							return e.Err()
						})
					}
				}
			}
		}
	})
}

// Pieces of a compressed message, and the state of its decompression, are in
// buffers that are lent.
func TestReceivingCompressedPiecesAllocatesNothing(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: true, Compression: agree(t, role, noTakeover)})
		for _, size := range []int{100, 100 << 10} {
			frame := compressedFrame(role, wire.Text, deflated(strings.Repeat("a", size)), true)
			in := make([]byte, len(frame))
			for _, piece := range []int{len(frame), len(frame)/2 + 1} {
				events := 0
				n := allocations(func() {
					copy(in, frame)
					events += countEvents(e, in, piece)
				})
				if n != 0 || events == 0 || e.Err() != nil {
					t.Errorf("%d bytes in pieces of %d: %v allocations, %d events, %v", size, piece, n, events, e.Err())
				}
			}
		}
	})
}

// A MessageWriter is the only allocation of a message that is written with it.
func TestMessageWriterIsOneAllocation(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role})
		p := make([]byte, 1000)
		n := allocations(func() {
			m, err := e.NextWriter(wire.Binary)
			check.OK(t, err)
			_, err = m.Write(p)
			check.OK(t, err)
			check.OK(t, m.Close())
		})
		if n > 1 {
			t.Errorf("%v allocations", n)
		}
	})
}

// A message of several blocks that compression does not make smaller allocates
// nothing.
func TestMessageThatIsNotWorthItAllocatesNothing(t *testing.T) {
	noise := make([]byte, 80<<10)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role, Compression: agree(t, role, takeover)})
		n := allocations(func() {
			if err := e.Send(wire.Binary, noise); err != nil {
				t.Error(err)
			}
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// room is a transport that never blocks.
type room struct{}

func (room) Write(p []byte) (int, error) { return len(p), nil }
func (room) Space(size int) int          { return size }
func (room) AwaitSpace(int)              {}
func (room) Written()                    {}

func TestSendingUnderBackpressureAllocatesNothing(t *testing.T) {
	e := endpoint.New(room{}, endpoint.Config{Role: endpoint.Server})
	e.SetBackpressure(room{})
	hello := []byte("Hello")
	if n := testing.AllocsPerRun(100, func() { e.Send(wire.Binary, hello) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
