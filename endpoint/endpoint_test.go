package endpoint_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// A message that arrives whole is not copied, also behind other frames.
func TestWholeMessageIsASliceOfTheInput(t *testing.T) {
	for _, partial := range []bool{false, true} {
		eachRole(t, func(t *testing.T, role endpoint.Role) {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial})
			in := slices.Concat(whole(role, wire.Pong, ""), whole(role, wire.Text, "Hello"), whole(role, wire.Ping, "rest"))
			_, n := e.Receive(time.Time{}, in)
			ev, m := e.Receive(time.Time{}, in[n:])
			if ev.Kind != endpoint.KindMessage || ev.Opcode != wire.Text || string(ev.Payload) != "Hello" {
				t.Fatalf("got %+v", ev)
			}
			if end := n + m; &ev.Payload[0] != &in[end-len("Hello")] {
				t.Error("the payload was copied")
			}
			if cap(ev.Payload) != len(ev.Payload) {
				t.Error("an append to the payload overwrites the next frame")
			}
		})
	}
}

// A piece of a message is a slice of the input too.
func TestPieceIsASliceOfTheInput(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: true})
		in := whole(role, wire.Binary, "piece by piece")
		ev, n := e.Receive(time.Time{}, in[:len(in)-3])
		if ev.Kind != endpoint.KindPartial || ev.Final || string(ev.Payload) != "piece by pi" || n != len(in)-3 {
			t.Fatalf("got %+v, %d", ev, n)
		}
		if &ev.Payload[0] != &in[n-len(ev.Payload)] || cap(ev.Payload) != len(ev.Payload) {
			t.Error("the payload was copied, or an append to it overwrites the next bytes")
		}
	})
}

// A buffer that held a message of one connection reveals none of its bytes on
// another, not even beyond the payload's end (T-H09).
func TestBuffersShowNothingOfOtherConnections(t *testing.T) {
	const secret = "correct horse battery staple "
	fragmented := func(payload string) []byte {
		return slices.Concat(
			fromPeer(endpoint.Server, wire.Binary, payload[:1], false),
			fromPeer(endpoint.Server, wire.Continuation, payload[1:], true))
	}
	for range 100 {
		one := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Server})
		receive(one, fragmented(strings.Repeat(secret, 50))) // the buffer is free after that
		unfinished := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Server})
		receive(unfinished, fromPeer(endpoint.Server, wire.Binary, strings.Repeat(secret, 50), false))
		receive(unfinished, []byte{0xff}) // fails, and releases its buffer
		if unfinished.State() != endpoint.Closed {
			t.Fatal("the connection is open")
		}

		other := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Server})
		in := fragmented("tiny")
		_, n := other.Receive(time.Time{}, in[:7])
		ev, _ := other.Receive(time.Time{}, in[n:])
		if string(ev.Payload) != "tiny" {
			t.Fatalf("got %+v", ev)
		}
		if beyond := ev.Payload[:cap(ev.Payload)]; bytes.Contains(beyond, []byte(secret)) {
			t.Fatal("the payload's capacity shows another connection's message")
		}
	}
}

// Two endpoints that assemble at the same time do not share a buffer.
func TestEndpointsDoNotShareABuffer(t *testing.T) {
	var ends []*endpoint.Endpoint
	for range 20 {
		e := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Client})
		receive(e, fromPeer(endpoint.Client, wire.Text, "used once", false))
		receive(e, fromPeer(endpoint.Client, wire.Continuation, "", true))
		ends = append(ends, e)
	}
	for i, e := range ends {
		receive(e, fromPeer(endpoint.Client, wire.Text, strings.Repeat(string(rune('a'+i)), 100), false))
	}
	for i, e := range ends {
		events := receive(e, fromPeer(endpoint.Client, wire.Continuation, "", true))
		if want := strings.Repeat(string(rune('a'+i)), 100); len(events) != 1 || events[0].Payload != want {
			t.Errorf("got %+v, want %q", events, want)
		}
	}
}

// The pieces of a message are in order, only the last may be empty, and the
// last is final. A message that arrives whole is no Partial, also between
// others.
func TestMessageInPieces(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: true})
		stream := slices.Concat(
			fromPeer(role, wire.Text, "", false),
			fromPeer(role, wire.Continuation, "a", false),
			whole(role, wire.Pong, "!"),
			fromPeer(role, wire.Continuation, "", false),
			fromPeer(role, wire.Continuation, "", true),
			whole(role, wire.Binary, "b"),
			fromPeer(role, wire.Text, "", false),
			fromPeer(role, wire.Continuation, "in its last fragment only", true),
			whole(role, wire.Binary, ""))
		want := []event{
			{Kind: endpoint.KindPartial, Opcode: wire.Text, Payload: "a"},
			{Kind: endpoint.KindPong, Payload: "!"},
			{Kind: endpoint.KindPartial, Opcode: wire.Text, Final: true},
			{Kind: endpoint.KindMessage, Opcode: wire.Binary, Payload: "b"},
			{Kind: endpoint.KindMessage, Opcode: wire.Text, Payload: "in its last fragment only"},
			{Kind: endpoint.KindMessage, Opcode: wire.Binary},
		}
		check.Slices(t, receive(e, stream), want, "got")
	})
}

// Remaining counts down the bytes of the current frame, control frames too.
func TestRemaining(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role})
		frame := whole(role, wire.Ping, "Hello")
		header := len(frame) - len("Hello")
		for i, b := range frame {
			want := int64(0)
			if i >= header {
				want = int64(len(frame) - i)
			}
			check.Equal(t, e.Remaining(), want, "after %d bytes", i)
			e.Receive(time.Time{}, []byte{b})
		}
		if got := e.Remaining(); got != 0 {
			t.Errorf("after the frame %d remain", got)
		}
	})
}
