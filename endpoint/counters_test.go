package endpoint_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// Every frame that is received or sent is counted, each in its direction.
func TestCounters(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		var c endpoint.Counters
		e := endpoint.New(io.Discard, endpoint.Config{Role: role})
		e.SetCounters(&c)
		in := slices.Concat(
			whole(role, wire.Text, "Hello"), whole(role, wire.Binary, ""),
			fromPeer(role, wire.Text, "a", false), whole(role, wire.Ping, "?"), fromPeer(role, wire.Continuation, "bc", false), fromPeer(role, wire.Continuation, "", true),
			whole(role, wire.Pong, "!"))
		want := endpoint.FrameCount{Messages: 3, Bytes: 8, Fragments: 3, Pings: 1, Pongs: 1}
		receive(e, in)
		check.Equal(t, c.Received.Load(), want, "received")
		var byByte endpoint.Counters
		e.SetCounters(&byByte)
		for _, b := range in {
			receive(e, []byte{b})
		}
		check.Equal(t, byByte.Received.Load(), want, "received byte by byte")
		e.SetCounters(&c)
		check.Must(t, errors.Join(e.SendText("Hello"), e.Ping(nil), e.Pong(nil), e.Send(wire.Binary, make([]byte, 70_000))))
		m, err := e.NextWriter(wire.Text)
		check.Must(t, err)
		check.Must(t, errors.Join(m.WriteFragment([]byte("12"), false), m.WriteFragment([]byte("3"), true)))
		want = endpoint.FrameCount{Messages: 3, Bytes: 70_008, Fragments: 2, Pings: 1, Pongs: 2}
		if role == endpoint.Server {
			p, err := endpoint.Prepare(wire.Text, []byte("1234"))
			if err != nil || e.SendPrepared(p) != nil || !e.TrySendPrepared(p) {
				t.Fatal(err)
			}
			want.Messages, want.Bytes = 5, 70_016
		}
		check.Equal(t, c.Sent.Load(), want, "sent")
	})
}

// Pieces count as they arrive, the message with the last one.
func TestCountersOfPieces(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		var c endpoint.Counters
		e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: true})
		e.SetCounters(&c)
		frame := whole(role, wire.Text, "Hello")
		receive(e, frame[:len(frame)-1])
		check.Equal(t, c.Received.Load(), (endpoint.FrameCount{Bytes: 4}), "counted")
		receive(e, frame[len(frame)-1:])
		check.Equal(t, c.Received.Load(), (endpoint.FrameCount{Bytes: 5, Messages: 1}), "counted")
	})
}

// Messages are counted when the input is used up, when that is asked for, when
// the connection fails, and when the transport ends.
func TestMomentsOfCounting(t *testing.T) {
	message := whole(endpoint.Server, wire.Text, "Hello")
	for name, flush := range map[string]func(e *endpoint.Endpoint, rest []byte){
		"input used up":    func(e *endpoint.Endpoint, rest []byte) { e.Receive(time.Time{}, nil) },
		"FlushCounters":    func(e *endpoint.Endpoint, rest []byte) { e.FlushCounters() },
		"a broken rule":    func(e *endpoint.Endpoint, rest []byte) { e.Receive(time.Time{}, []byte("\x83more")) },
		"the transport":    func(e *endpoint.Endpoint, rest []byte) { e.TransportClosed(io.EOF, nil) },
		"the peer's Close": func(e *endpoint.Endpoint, rest []byte) { e.Receive(time.Time{}, rest) },
	} {
		t.Run(name, func(t *testing.T) {
			var c endpoint.Counters
			e := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Server})
			e.SetCounters(&c)
			in := slices.Concat(message, closeFromPeer(endpoint.Server, 1000, ""), []byte("rest"))
			_, n := e.Receive(time.Time{}, in)
			if got := c.Received.Load(); got != (endpoint.FrameCount{}) {
				t.Errorf("counted %+v before the input is used up", got)
			}
			for range 2 {
				flush(e, in[n:])
				check.Equal(t, c.Received.Load(), (endpoint.FrameCount{Messages: 1, Bytes: 5}), "counted")
			}
		})
	}
}

// A message that uses up its input is counted at once. Of messages that share
// an input, any number with any number of bytes is counted.
func TestCountOfManyMessages(t *testing.T) {
	const messages, size = 70_000, 1<<16 - 1 // more than 16 and 32 bits count
	var c endpoint.Counters
	e := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Client})
	e.SetCounters(&c)
	in := append(whole(endpoint.Client, wire.Binary, string(make([]byte, size))), 0x82)
	for range messages {
		if ev, n := e.Receive(time.Time{}, in); len(ev.Payload) != size || n != len(in)-1 {
			t.Fatalf("got %v of %d bytes, used %d", ev.Kind, len(ev.Payload), n)
		}
	}
	e.FlushCounters()
	check.Equal(t, c.Received.Load(), endpoint.FrameCount{Messages: messages, Bytes: messages * size}, "counted")
	e.Receive(time.Time{}, in[:len(in)-1])
	check.Equal(t, c.Received.Load(), endpoint.FrameCount{Messages: messages + 1, Bytes: (messages + 1) * size}, "counted")
	e.Receive(time.Time{}, whole(endpoint.Client, wire.Ping, ""))
	check.Equal(t, c.Received.Load().Pings, 1, "counted Pings")
}

// ReceiveMessages counts as Receive does.
func TestCountOfReceiveMessages(t *testing.T) {
	const messages = 70_000 // more than 16 bits count
	var c endpoint.Counters
	e := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Client})
	e.SetCounters(&c)
	in := bytes.Repeat(whole(endpoint.Client, wire.Binary, "x"), messages)
	n := 0
	e.ReceiveMessages(in, func(wire.Opcode, []byte, bool) bool {
		if n++; n == 100 {
			check.Equal(t, c.Received.Load().Messages, 0, "counted before the input is used up")
		}
		return true
	})
	check.Equal(t, c.Received.Load(), endpoint.FrameCount{Messages: messages, Bytes: messages}, "counted")
}

// Counters of two processors share no cache line.
func TestCountersFillCacheLines(t *testing.T) {
	if size := unsafe.Sizeof(endpoint.Counters{}); size%128 != 0 {
		t.Errorf("Counters have %d bytes", size)
	}
}

// SetLimits applies from the next header on, to one endpoint.
func TestSetLimits(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		shared := endpoint.NewSharedConfig(endpoint.Config{Role: role, Limits: endpoint.Limits{Message: 5}})
		var e, other endpoint.Endpoint
		e.Init(io.Discard, shared)
		other.Init(io.Discard, shared)
		e.SetLimits(endpoint.Limits{Message: 10, Frame: 6, MessagesPerSecond: 2})
		if !e.NeedsTime() || other.NeedsTime() {
			t.Errorf("NeedsTime is %v, and %v of the other endpoint", e.NeedsTime(), other.NeedsTime())
		}
		now := time.Now()
		if events := receiveAt(&e, now, whole(role, wire.Text, "123456")); len(events) != 1 || events[0].Kind != endpoint.KindMessage {
			t.Errorf("got %+v", events)
		}
		if limit := limitError(t, receiveAt(&e, now, whole(role, wire.Text, "1234567"))); limit.Option != "Limits.Frame" || limit.Max != 6 {
			t.Errorf("%v", limit)
		}
		if limit := limitError(t, receive(&other, whole(role, wire.Text, "123456"))); limit.Max != 5 {
			t.Errorf("%v", limit)
		}
	})
}

// The payload of an event that was read behind the beginning of the message
// needs no copy.
func TestAppendTo(t *testing.T) {
	buf := []byte("Hello, world")
	ev := endpoint.Event{Payload: buf[5:]}
	if got := ev.AppendTo(buf[:5]); string(got) != "Hello, world" || &got[0] != &buf[0] {
		t.Errorf("got %q, copied", got)
	}
	if got := ev.AppendTo(buf[:4:4]); string(got) != "Hell, world" || string(buf) != "Hello, world" {
		t.Errorf("got %q, and %q is left", got, buf)
	}
	if got := (endpoint.Event{}).AppendTo(buf[:12:12]); string(got) != "Hello, world" {
		t.Errorf("got %q", got)
	}
	if got := ev.AppendTo(nil); string(got) != ", world" {
		t.Errorf("got %q", got)
	}
}
