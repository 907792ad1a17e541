package endpoint_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// eachRole runs f for the client and for the server: most rules apply to both.
func eachRole(t *testing.T, f func(t *testing.T, role endpoint.Role)) {
	t.Run("client", func(t *testing.T) { f(t, endpoint.Client) })
	t.Run("server", func(t *testing.T) { f(t, endpoint.Server) })
}

// subtestRoles is eachRole for a subtest.
func subtestRoles(t *testing.T, name string, f func(t *testing.T, role endpoint.Role)) {
	t.Run(name, func(t *testing.T) { eachRole(t, f) })
}

// peerKey masks the frames of a server's peer.
const peerKey wire.MaskingKey = 0x3d21fa37

// fromPeer returns a frame of the peer of an endpoint of the role.
func fromPeer(role endpoint.Role, op wire.Opcode, payload string, fin bool) []byte {
	h := wire.Header{Fin: fin, Opcode: op, Masked: role == endpoint.Server, Key: peerKey}
	return wire.AppendFrame(nil, h, []byte(payload))
}

// whole returns a frame of the peer that is not a fragment.
func whole(role endpoint.Role, op wire.Opcode, payload string) []byte {
	return fromPeer(role, op, payload, true)
}

// closeFromPeer returns the peer's Close; code 0: without a payload.
func closeFromPeer(role endpoint.Role, code wire.StatusCode, reason string) []byte {
	payload, err := wire.AppendClosePayload(nil, code, reason)
	if err != nil {
		panic(err)
	}
	return whole(role, wire.Close, string(payload))
}

// declaring returns the header of a data frame without its payload.
func declaring(role endpoint.Role, op wire.Opcode, length int64, fin bool) []byte {
	h := wire.Header{Fin: fin, Opcode: op, Masked: role == endpoint.Server, Key: peerKey, Length: length}
	return wire.AppendHeader(nil, h)
}

// event is an endpoint.Event with a copy of its payload.
type event struct {
	Kind    endpoint.Kind
	Opcode  wire.Opcode
	Final   bool
	Payload string
	Err     error
}

// receive passes b to e and returns the events. The engine gets a copy, which
// is overwritten afterwards: the engine must not retain it.
func receive(e *endpoint.Endpoint, b []byte) []event { return receiveAt(e, time.Time{}, b) }

// receiveAt is receive at the time now.
func receiveAt(e *endpoint.Endpoint, now time.Time, b []byte) []event {
	own := bytes.Clone(b)
	var events []event
	for rest := own; ; {
		ev, n := e.Receive(now, rest)
		rest = rest[n:]
		if ev.Kind == endpoint.KindNone {
			break
		}
		events = append(events, event{ev.Kind, ev.Opcode, ev.Final, string(ev.Payload), ev.Err})
	}
	for i := range own {
		own[i] = 0xaa
	}
	return events
}

// recorded returns an endpoint and its output.
func recorded(cfg endpoint.Config) (*endpoint.Endpoint, *bytes.Buffer) {
	out := new(bytes.Buffer)
	return endpoint.New(out, cfg), out
}

// written parses the output of an endpoint of the role, and fails the test if
// it is not a sequence of whole frames, each masked as the role requires.
func written(t *testing.T, role endpoint.Role, out []byte) []wire.Frame {
	t.Helper()
	var frames []wire.Frame
	for rest := bytes.Clone(out); len(rest) > 0; {
		f, n, err := wire.DecodeFrame(rest)
		if err != nil || n == 0 {
			t.Fatalf("after %d frames: % .20x… is no whole frame (%v)", len(frames), rest, err)
		}
		if f.Masked != (role == endpoint.Client) {
			t.Fatalf("frame %d, %v: masked is %v", len(frames), f.Opcode, f.Masked)
		}
		rest = rest[n:]
		frames = append(frames, f)
	}
	return frames
}

// opcodes returns the opcodes of the output of an endpoint of the role.
func opcodes(t *testing.T, role endpoint.Role, out []byte) (list []wire.Opcode) {
	t.Helper()
	for _, f := range written(t, role, out) {
		list = append(list, f.Opcode)
	}
	return list
}

// closeCode returns the status code of a Close frame, 0 if it has none.
func closeCode(f wire.Frame) wire.StatusCode {
	if len(f.Payload) < 2 {
		return 0
	}
	return wire.StatusCode(binary.BigEndian.Uint16(f.Payload))
}

// gate is a transport whose Writes block until it is opened.
type gate struct {
	entered chan struct{} // closed when a Write waits for the first time
	opened  chan struct{}

	mu    sync.Mutex // guards the rest
	waits bool
	err   error
	out   []byte
}

func newGate() *gate {
	return &gate{entered: make(chan struct{}), opened: make(chan struct{})}
}

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	if !g.waits {
		g.waits = true
		close(g.entered)
	}
	g.mu.Unlock()
	<-g.opened
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return 0, g.err
	}
	g.out = append(g.out, p...)
	return len(p), nil
}

// open releases Writes, which fail if err is not nil.
func (g *gate) open(err error) {
	g.mu.Lock()
	g.err = err
	g.mu.Unlock()
	close(g.opened)
}

// bytes returns the bytes written.
func (g *gate) bytes() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return bytes.Clone(g.out)
}

// heap returns the number of bytes of heap memory in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // the second one drops the unused buffers of the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
