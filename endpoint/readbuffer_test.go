package endpoint_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// receiveInRoom delivers b to e like a socket that reads into ReadBuffer, in
// pieces of any size. It returns the messages and the number of bytes read into
// ReadBuffer.
func receiveInRoom(t *testing.T, e *endpoint.Endpoint, b []byte, rng *rand.Rand) (messages []string, inRoom int) {
	buffer := make([]byte, 20<<10)
	for len(b) > 0 {
		in := e.ReadBuffer(64 << 10)
		if int64(len(in)) > e.Remaining() || len(in) > 64<<10 {
			t.Fatalf("room for %d bytes of %d", len(in), e.Remaining())
		}
		inRoom += len(in)
		if in == nil {
			in = buffer
		}
		n := copy(in[:1+rng.IntN(len(in))], b)
		b = b[n:]
		for in = in[:n]; ; {
			ev, n := e.Receive(time.Time{}, in)
			in = in[n:]
			if ev.Kind == endpoint.KindNone {
				break
			}
			if ev.Kind == endpoint.KindMessage {
				messages = append(messages, string(ev.Payload))
			}
			if ev.Kind == endpoint.KindFailed {
				messages = append(messages, ev.Err.Error())
			}
		}
	}
	return messages, inRoom
}

// A message that is read to where it belongs is the same as any other: in
// fragments, with control frames between them, and one after the other
// (6455-5.4-b).
func TestMessageThatIsReadToWhereItBelongs(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(new(bytes.Buffer), endpoint.Config{Role: role})
		for range 30 {
			text := strings.Repeat("κόσμε", 100+rng.IntN(30_000))
			cut := rng.IntN(len(text))
			stream := fromPeer(role, wire.Text, text[:cut], false)
			stream = append(stream, whole(role, wire.Ping, "?")...)
			stream = append(stream, fromPeer(role, wire.Continuation, text[cut:], true)...)
			stream = append(stream, whole(role, wire.Text, text)...)
			messages, inRoom := receiveInRoom(t, e, stream, rng)
			if len(messages) != 2 || messages[0] != text || messages[1] != text {
				t.Fatalf("%d messages, or changed ones", len(messages))
			}
			if inRoom == 0 && len(text) > 100<<10 {
				t.Errorf("no room for a message of %d bytes", len(text))
			}
		}
		bad := strings.Repeat("x", 50_000) + "\xff" + strings.Repeat("x", 50_000)
		messages, _ := receiveInRoom(t, e, whole(role, wire.Text, bad), rng)
		if len(messages) != 1 || e.State() != endpoint.Closed || e.ReadBuffer(1<<10) != nil {
			t.Errorf("%.100q, state %v", messages, e.State())
		}
	})
}

// ReadBuffer returns nil for messages that are not assembled, for short ones,
// and for bytes that were only declared.
func TestReadBufferIsForAssembledMessages(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		const large = 10 << 20
		begun := func(length int64, cfg endpoint.Config) *endpoint.Endpoint {
			cfg.Role = role
			e := endpoint.New(new(bytes.Buffer), cfg)
			b := append(declaring(role, wire.Binary, length, true), make([]byte, 100)...)
			if ev, n := e.Receive(time.Time{}, b); ev.Kind == endpoint.KindFailed || n != len(b) {
				t.Fatal(ev)
			}
			return e
		}
		e := begun(large, endpoint.Config{})
		if n := len(e.ReadBuffer(large)); n == 0 || n > 4<<20 { // the largest buffer that is lent
			t.Errorf("room for %d bytes after 100", n)
		}
		if n := len(e.ReadBuffer(1000)); n != 1000 {
			t.Errorf("room for %d bytes, want no more than was asked for", n)
		}
		for name, e := range map[string]*endpoint.Endpoint{
			"no input":          endpoint.New(new(bytes.Buffer), endpoint.Config{Role: role}),
			"the rest is short": begun(1000, endpoint.Config{}),
			"pieces":            begun(large, endpoint.Config{Partial: true}),
		} {
			if in := e.ReadBuffer(large); in != nil {
				t.Errorf("%s: room for %d bytes", name, len(in))
			}
		}
	})
}

// A caller that fills each slice gets another one behind it, of 16 KiB or more,
// up to the end of the frame. The rest of the frame, which is shorter, has no
// ReadBuffer.
func TestReadBufferUpToTheEndOfTheFrame(t *testing.T) {
	const size, least = 5<<20 + 1000, 16 << 10 // no buffer in a pool is that large
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(new(bytes.Buffer), endpoint.Config{Role: role})
		payload := strings.Repeat("0123456789", size/10)
		frame := whole(role, wire.Binary, payload)
		rest := bytes.Clone(frame)
		step := len(frame) - size + 1 // the first byte of the payload
		slices := 0
		for {
			in := rest[:step]
			if slot := e.ReadBuffer(size); slot != nil {
				if len(slot) < least || cap(slot) != len(slot) {
					t.Fatalf("a slice of %d bytes with a capacity of %d, %d of the frame remain", len(slot), cap(slot), len(rest))
				}
				slices++
				in = slot[:copy(slot, rest)]
			} else if slices > 0 {
				if len(rest) >= least {
					t.Fatalf("no slice for %d bytes", len(rest))
				}
				in = rest
			}
			ev, n := e.Receive(time.Time{}, in)
			rest = rest[len(in):]
			if len(rest) == 0 {
				if ev.Kind != endpoint.KindMessage || string(ev.Payload) != payload || n != len(in) {
					t.Errorf("got %v of %d bytes", ev.Kind, len(ev.Payload))
				}
				break
			}
			if ev.Kind != endpoint.KindNone || n != len(in) {
				t.Fatalf("got %v, and used %d of %d", ev.Kind, n, len(in))
			}
		}
		if slices < 2 {
			t.Errorf("%d slices for %d bytes", slices, size)
		}
	})
}

// A slice that is being read into belongs to no other connection, although the
// connection fails meanwhile: a handler of another goroutine may have panicked.
func TestReadBufferOfAFailedConnection(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		lent := make(map[*byte]bool)
		for range 20 { // a pool may be empty
			e := endpoint.New(new(bytes.Buffer), endpoint.Config{Role: role})
			b := append(declaring(role, wire.Binary, 1<<20, true), make([]byte, 100)...)
			if ev, n := e.Receive(time.Time{}, b); ev.Kind == endpoint.KindFailed || n != len(b) {
				t.Fatal(ev)
			}
			in := e.ReadBuffer(1 << 20)
			if in == nil || lent[&in[0]] {
				t.Fatal("no slice, or one that is being read into")
			}
			lent[&in[0]] = true
			_ = e.Fail(wire.InternalError, "", wire.ErrClosePayload)
			if ev, n := e.Receive(time.Time{}, in); ev.Kind != 0 || n != len(in) {
				t.Errorf("%d bytes of input behind the end, and %v", n, ev)
			}
		}
	})
}
