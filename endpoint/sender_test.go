package endpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// writes keeps the slices given to Write, not copies of them.
type writes [][]byte

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, p)
	return len(p), nil
}

// frameBuffer is about the size of the buffer for a frame, in bytes.
const frameBuffer = 32 << 10

// sizes are payload lengths at the borders of length forms and of the buffer.
func sizes() []int {
	list := []int{0, 1, 3, 4, 125, 126, 127, 1000, 65535, 65536, 100 << 10}
	for around := -20; around <= 20; around++ {
		list = append(list, frameBuffer+around, 2*frameBuffer+around)
	}
	return list
}

// A payload of any size is sent unchanged in one frame, and the caller's bytes
// stay unchanged (6455-5.2-e, 6455-5.2-f, 6455-5.3-c, 6455-5.3-f, T-E11).
func TestPayloadsOfAnySize(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range sizes() {
		payload := make([]byte, size)
		for i := range payload {
			payload[i] = byte(rng.Uint32())
		}
		text := strings.Repeat("x", size)
		eachRole(t, func(t *testing.T, role endpoint.Role) {
			e, out := recorded(endpoint.Config{Role: role})
			given := bytes.Clone(payload)
			m, err := e.NextWriter(wire.Binary)
			check.Must(t, err)
			check.Must(t, errors.Join(e.Send(wire.Binary, given), e.SendText(text), m.WriteFragment(given, false), m.WriteFragment(given, true)))
			if !bytes.Equal(given, payload) {
				t.Errorf("%d bytes: the caller's bytes were changed", size)
			}
			frames := written(t, role, out.Bytes())
			want := []wire.Frame{
				{Header: wire.Header{Fin: true, Opcode: wire.Binary}, Payload: payload},
				{Header: wire.Header{Fin: true, Opcode: wire.Text}, Payload: []byte(text)},
				{Header: wire.Header{Opcode: wire.Binary}, Payload: payload},
				{Header: wire.Header{Fin: true, Opcode: wire.Continuation}, Payload: payload},
			}
			if len(frames) != len(want) {
				t.Fatalf("%d bytes: got %d frames", size, len(frames))
			}
			for i, f := range frames {
				if f.Fin != want[i].Fin || f.Opcode != want[i].Opcode || f.RSV != 0 || !bytes.Equal(f.Payload, want[i].Payload) {
					t.Errorf("%d bytes: frame %d is %+v, with another payload or header", size, i, f.Header)
				}
			}
		})
	}
}

// A small frame is one write. Of a large frame a server copies only the
// beginning, and a client never passes the caller's bytes to a write.
func TestWritesOfAFrame(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		var w writes
		e := endpoint.New(&w, endpoint.Config{Role: role})
		check.Must(t, e.Send(wire.Binary, make([]byte, 16<<10)))
		if len(w) != 1 {
			t.Errorf("a frame of 16 KiB was written in %d pieces", len(w))
		}
		w = nil
		payload := make([]byte, 100<<10)
		check.Must(t, e.Send(wire.Binary, payload))
		last := w[len(w)-1]
		same := &last[len(last)-1] == &payload[len(payload)-1]
		check.Equal(t, same, (role == endpoint.Server), "in %d writes, the last of %d bytes: the caller's slice", len(w), len(last))
		if role == endpoint.Server && len(w) != 2 {
			t.Errorf("a frame of 100 KiB was written in %d pieces", len(w))
		}
	})
}

// Every frame of a client has a key of its own, fragments and control frames
// too (6455-5.1-a, 6455-5.3-a, 6455-5.3-b, T-E08, T-E09, T-E10).
func TestEveryFrameHasItsOwnKey(t *testing.T) {
	const frames = 10_000
	e, out := recorded(endpoint.Config{Role: endpoint.Client})
	m, err := e.NextWriter(wire.Text)
	check.Must(t, err)
	for range frames / 5 {
		receive(e, whole(endpoint.Client, wire.Ping, "?"))
		check.Must(t, errors.Join(e.Ping(nil), e.Pong(nil), m.WriteFragment([]byte("x"), false), m.WriteFragment(nil, false)))
	}
	keys := map[wire.MaskingKey]int{}
	steps := map[wire.MaskingKey]int{} // from one key to the next
	var previous wire.MaskingKey
	for _, f := range written(t, endpoint.Client, out.Bytes()) {
		keys[f.Key]++
		steps[f.Key-previous]++
		previous = f.Key
	}
	// By chance two are equal in one of 86 runs; three equal pairs practically
	// never occur.
	if len(keys) < frames-2 || len(steps) < frames-2 {
		t.Errorf("%d frames have %d keys, %d apart", frames, len(keys), len(steps))
	}
}

// Two connections do not draw the same keys (6455-5.3-a, T-E08).
func TestConnectionsDoNotShareKeys(t *testing.T) {
	keys := map[wire.MaskingKey]bool{}
	for range 100 {
		var out bytes.Buffer
		check.Must(t, endpoint.New(&out, endpoint.Config{Role: endpoint.Client}).Ping(nil))
		keys[written(t, endpoint.Client, out.Bytes())[0].Key] = true
	}
	if len(keys) < 98 {
		t.Errorf("100 connections began with %d keys", len(keys))
	}
}

// A client's payload never appears unmasked on the wire (T-E07).
func TestClientsTextIsNotOnTheWire(t *testing.T) {
	const request = "GET /script.js HTTP/1.1\r\nHost: example.com\r\n\r\n"
	e, out := recorded(endpoint.Config{Role: endpoint.Client})
	for range 1000 {
		check.Must(t, e.SendText(request))
	}
	// A key of zero is allowed, once in 2^32 frames.
	if n := bytes.Count(out.Bytes(), []byte(request)); n > 1 {
		t.Errorf("the text is on the wire %d times", n)
	}
}

// A prepared message is the same frame for every connection.
func TestPreparedMessage(t *testing.T) {
	for _, size := range sizes() {
		payload := bytes.Repeat([]byte{'p'}, size)
		m, err := endpoint.Prepare(wire.Text, payload)
		check.Must(t, err)
		clear(payload) // it is the caller's again
		for range 2 {
			var w writes
			e := endpoint.New(&w, endpoint.Config{Role: endpoint.Server})
			check.Must(t, e.SendPrepared(m))
			frames := written(t, endpoint.Server, bytes.Join(w, nil))
			if len(w) != 1 || len(frames) != 1 || len(w[0]) != m.Size() ||
				!frames[0].Fin || frames[0].Opcode != wire.Text || string(frames[0].Payload) != strings.Repeat("p", size) {
				t.Errorf("%d bytes: got %d writes, %d frames", size, len(w), len(frames))
			}
		}
	}
}

// A prepared message obeys the rules of all messages (6455-5.1-e).
func TestPreparedMessageAfterClose(t *testing.T) {
	m, err := endpoint.Prepare(wire.Binary, nil)
	check.Must(t, err)
	e, out := recorded(endpoint.Config{Role: endpoint.Server})
	check.Must(t, e.Close(1000, ""))
	if err := e.SendPrepared(m); err != endpoint.ErrClosed || len(written(t, endpoint.Server, out.Bytes())) != 1 {
		t.Errorf("got %v, written: % x", err, out.Bytes())
	}
}

// A frame or message that must not be sent is refused before any byte is
// written, and the connection stays open (6455-5.5-b, 6455-5.6-c).
func TestInvalidFramesAreRefused(t *testing.T) {
	long := make([]byte, wire.MaxControlPayload+1)
	tests := []struct {
		name string
		call func(e *endpoint.Endpoint) error
		want error
	}{
		{"Ping of 126 bytes", func(e *endpoint.Endpoint) error { return e.Ping(long) }, wire.ErrControlTooLong},
		{"Pong of 126 bytes", func(e *endpoint.Endpoint) error { return e.Pong(long) }, wire.ErrControlTooLong},
		{"text that is not UTF-8", func(e *endpoint.Endpoint) error { return e.Send(wire.Text, []byte("a\xff")) }, wire.ErrInvalidUTF8},
		{"text with half a code point", func(e *endpoint.Endpoint) error { return e.SendText("\xe2\x82") }, wire.ErrInvalidUTF8},
		{"surrogates", func(e *endpoint.Endpoint) error { return e.SendText("\xed\xa0\x80") }, wire.ErrInvalidUTF8},
		{"Close as a message", func(e *endpoint.Endpoint) error { return e.Send(wire.Close, nil) }, endpoint.ErrNotData},
		{"continuation as a message", func(e *endpoint.Endpoint) error { return e.Send(wire.Continuation, nil) }, endpoint.ErrNotData},
		{"reserved opcode", func(e *endpoint.Endpoint) error { return e.Send(0x3, nil) }, endpoint.ErrNotData},
		{"opcode of more than four bits", func(e *endpoint.Endpoint) error { return e.Send(0x11, nil) }, endpoint.ErrNotData},
		{"Ping in fragments", func(e *endpoint.Endpoint) error { _, err := e.NextWriter(wire.Ping); return err }, endpoint.ErrNotData},
		{"prepared Ping", func(*endpoint.Endpoint) error { _, err := endpoint.Prepare(wire.Ping, nil); return err }, endpoint.ErrNotData},
		{"prepared text", func(*endpoint.Endpoint) error { _, err := endpoint.Prepare(wire.Text, []byte("\xff")); return err }, wire.ErrInvalidUTF8},
	}
	for _, tt := range tests {
		subtestRoles(t, tt.name, func(t *testing.T, role endpoint.Role) {
			e, out := recorded(endpoint.Config{Role: role})
			if err := tt.call(e); !errors.Is(err, tt.want) || errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if out.Len() > 0 || e.State() != endpoint.Open {
				t.Errorf("written: % x, state %v", out.Bytes(), e.State())
			}
			check.OK(t, e.Send(wire.Text, []byte("goes on")))
		})
	}
}

// A message in fragments: the text may be cut inside a code point, not end
// inside one, and a fragment that is refused leaves the message where it was
// (6455-5.4-a, 6455-5.6-a).
func TestMessageInFragments(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e, out := recorded(endpoint.Config{Role: role})
		m, err := e.NextWriter(wire.Text)
		check.Must(t, err)
		steps := []struct {
			p     string
			final bool
			want  error
		}{
			{"\xff", false, wire.ErrInvalidUTF8},
			{"a\xe2", false, nil},
			{"", false, nil},
			{"", true, wire.ErrInvalidUTF8},
			{"\x28", false, wire.ErrInvalidUTF8},
			{"\x82", true, wire.ErrInvalidUTF8},
			{"\x82", false, nil},
			{"\xac", true, nil},
			{"more", true, endpoint.ErrMessageFinished},
		}
		for i, step := range steps {
			if err := m.WriteFragment([]byte(step.p), step.final); !errors.Is(err, step.want) {
				t.Errorf("%q: got %v, want %v", step.p, err, step.want)
			}
			if m.Began() != (i > 0) || m.Done() != (i >= 7) {
				t.Errorf("%q: began %v, done %v", step.p, m.Began(), m.Done())
			}
		}
		got := ""
		for _, f := range written(t, role, out.Bytes()) {
			got += fmt.Sprintf("%v %v %q; ", f.Opcode, f.Fin, f.Payload)
		}
		const want = `text false "a\xe2"; continuation false ""; continuation false "\x82"; continuation true "\xac"; `
		check.Equal(t, got, want, "got")
		if m.Opcode() != wire.Text {
			t.Errorf("the message is %v", m.Opcode())
		}
		check.OK(t, e.Send(wire.Text, []byte("next")))
	})
}

// TrySendPrepared sends a message only if it need not wait, and then all of it.
func TestTrySendPrepared(t *testing.T) {
	const size = 100
	m, err := endpoint.Prepare(wire.Text, bytes.Repeat([]byte("x"), size-2))
	check.Must(t, err)
	check.Equal(t, m.Size(), size, "the size")
	open := func(w io.Writer) *endpoint.Endpoint {
		return endpoint.New(w, endpoint.Config{Role: endpoint.Server})
	}

	t.Run("open", func(t *testing.T) {
		var out bytes.Buffer
		if !open(&out).TrySendPrepared(m) || out.Len() != size {
			t.Errorf("sent %d bytes", out.Len())
		}
	})
	t.Run("during a write", func(t *testing.T) {
		w := new(hooked)
		e := open(w)
		w.during = func(int) {
			if e.TrySendPrepared(m) {
				t.Error("sent inside of a frame")
			}
		}
		check.OK(t, e.SendText("Hello"))
		check.Equal(t, w.writes, 1, "writes")
	})
	t.Run("inside a message", func(t *testing.T) {
		var out bytes.Buffer
		e := open(&out)
		message, err := e.NextWriter(wire.Text)
		check.Must(t, err)
		check.Must(t, message.WriteFragment(nil, false))
		if e.TrySendPrepared(m) || out.Len() != 2 {
			t.Errorf("sent inside of another message: % x", out.Bytes())
		}
		check.Must(t, message.WriteFragment(nil, true))
		if !e.TrySendPrepared(m) || out.Len() != 4+size {
			t.Errorf("not sent behind the message: % x", out.Bytes())
		}
	})
	t.Run("closed", func(t *testing.T) {
		var out bytes.Buffer
		e := open(&out)
		check.Must(t, e.Close(wire.NormalClosure, ""))
		out.Reset()
		if !e.TrySendPrepared(m) || out.Len() != 0 {
			t.Errorf("false, or sent: % x", out.Bytes())
		}
	})
	for room, want := range map[int]bool{0: false, 1: false, size - 1: false, size: true} {
		t.Run(fmt.Sprint("room for ", room), func(t *testing.T) {
			e, w := withRoom(room)
			if sent := e.TrySendPrepared(m); sent != want || (w.out.Len() == size) != want || (w.out.Len() == 0) == want {
				t.Errorf("%v, with %d bytes written", sent, w.out.Len())
			}
		})
	}
}

// hooked is a transport that calls during before it takes a write.
type hooked struct {
	writes int
	during func(write int) // the number of the write, from 1
	err    error           // of the writes; nil: they succeed
	out    bytes.Buffer
}

func (h *hooked) Write(p []byte) (int, error) {
	h.writes++
	h.during(h.writes)
	if h.err != nil {
		return 0, h.err
	}
	return h.out.Write(p)
}

// After a write that fails, the rest of the frame is not written, and no
// further frame of the message (T-C02).
func TestNothingFollowsAFailedWrite(t *testing.T) {
	for name, maxFrame := range map[string]int{"one frame": 0, "fragments": 50 << 10, "compressed fragment": 0} {
		subtestRoles(t, name, func(t *testing.T, role endpoint.Role) {
			for failAt := 1; ; failAt++ {
				w := &tight{failAt: failAt}
				e := endpoint.New(w, endpoint.Config{Role: role, MaxOutgoingFrame: maxFrame, Compression: endpoint.NewCompression(new(copyCodec))})
				m, err := e.NextWriter(wire.Binary)
				check.Must(t, err)
				switch payload := make([]byte, 200<<10); name {
				case "compressed fragment":
					err = m.WriteFragment(payload, false)
				default:
					err = e.SendUncompressed(wire.Binary, payload)
				}
				if len(w.writes) < failAt {
					check.Must(t, err)
					if failAt < 3 {
						t.Errorf("a message of 200 KiB was written at once")
					}
					break
				}
				if !errors.Is(err, errTight) || len(w.writes) != failAt {
					t.Errorf("%d writes, of which number %d failed (%v)", len(w.writes), failAt, err)
				}
			}
		})
	}
}

// Control frames that are queued during a fragment are sent before the next
// one, and a message whose connection ends meanwhile is not continued
// (6455-5.4-b, 6455-5.5.1-f).
func TestControlFramesBetweenFragments(t *testing.T) {
	large := make([]byte, 200<<10) // three parts and more of a compressed message
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range large {
		large[i] = byte(rng.Uint32())
	}
	whole := func(e *endpoint.Endpoint) error { return e.Send(wire.Binary, large) }
	fragment := func(e *endpoint.Endpoint) error {
		m, err := e.NextWriter(wire.Binary)
		check.Must(t, err)
		return m.WriteFragment(large, false)
	}
	for name, tt := range map[string]struct {
		send func(e *endpoint.Endpoint) error
		cfg  endpoint.Config
	}{
		"message":             {whole, endpoint.Config{MaxOutgoingFrame: 60 << 10}},
		"fragment":            {fragment, endpoint.Config{MaxOutgoingFrame: 60 << 10}},
		"compressed fragment": {fragment, endpoint.Config{}},
	} {
		subtestRoles(t, name, func(t *testing.T, role endpoint.Role) {
			tt.cfg.Role = role
			if strings.HasPrefix(name, "compressed") {
				tt.cfg.Compression = agree(t, role, takeover)
			}
			tt.cfg.Background = func(func()) { t.Error("the lock is free during a write") }
			for event, do := range map[string]struct {
				call func(e *endpoint.Endpoint)
				want string // the opcodes of the first frames
				ends bool
			}{
				"Ping":      {func(e *endpoint.Endpoint) { e.PingAsync(nil) }, "[binary ping continuation continuation", false},
				"failure":   {func(e *endpoint.Endpoint) { e.FailAsync(wire.PolicyViolation, "", errTransport) }, "[binary close]", true},
				"cut short": {func(e *endpoint.Endpoint) { e.Abort(errTransport, nil) }, "[binary]", true},
			} {
				w := new(hooked)
				e := endpoint.New(w, tt.cfg)
				w.during = func(write int) {
					if write == 1 {
						do.call(e)
					}
				}
				if err := tt.send(e); (err != nil) != do.ends || err != e.Err() {
					t.Errorf("%s: returned %v", event, err)
				}
				if got := fmt.Sprint(opcodes(t, role, w.out.Bytes())); !strings.HasPrefix(got, do.want) {
					t.Errorf("%s: sent %v, want %s", event, got, do.want)
				}
			}
		})
	}
}
