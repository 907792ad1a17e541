package endpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// The end of a transport is a clean end only behind the peer's Close. At every
// other byte of a conversation it is 1006, and inside a frame or message the
// error is an unexpected EOF (6455-5.2-m, 6455-7.1.4-a, 6455-7.1.5-a, T-C11).
func TestTransportEndsAtEveryByte(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		pieces := []struct {
			bytes []byte
			after error // if the transport ends behind it
		}{
			{whole(role, wire.Text, "Hello"), io.EOF},
			{whole(role, wire.Ping, ""), io.EOF},
			{fromPeer(role, wire.Text, "Hel", false), io.ErrUnexpectedEOF},
			{whole(role, wire.Pong, "!"), io.ErrUnexpectedEOF},
			{fromPeer(role, wire.Continuation, "", false), io.ErrUnexpectedEOF},
			{fromPeer(role, wire.Continuation, "lo", true), io.EOF},
			{whole(role, wire.Binary, string(make([]byte, 200))), io.EOF},
			{closeFromPeer(role, wire.GoingAway, "bye"), nil},
		}
		var stream []byte
		causes := []error{io.EOF} // by the number of bytes received
		for _, p := range pieces {
			stream = append(stream, p.bytes...)
			for len(causes) < len(stream) {
				causes = append(causes, io.ErrUnexpectedEOF)
			}
			causes = append(causes, p.after)
		}
		closed := len(stream)
		stream = append(stream, "bytes behind the Close"...)
		for _, state := range []endpoint.State{endpoint.Open, endpoint.CloseSent} {
			for n := range len(stream) + 1 {
				e := endpoint.New(io.Discard, endpoint.Config{Role: role})
				if state == endpoint.CloseSent {
					check.Must(t, e.Close(4000, "ours"))
				}
				receive(e, stream[:n])
				err := e.TransportClosed(io.EOF, nil)
				name := fmt.Sprintf("in state %v after %d of %d bytes", state, n, len(stream))
				if n >= closed {
					checkClosedBy(t, name, e, err, &endpoint.CloseError{Code: wire.GoingAway, Reason: "bye"})
					continue
				}
				checkLost(t, name, e, err, causes[n])
			}
		}
	})
}

// checkClosedBy checks an end by the peer's Close.
func checkClosedBy(t *testing.T, name string, e *endpoint.Endpoint, err error, want *endpoint.CloseError) {
	t.Helper()
	var closed *endpoint.CloseError
	if !errors.As(err, &closed) || *closed != *want {
		t.Errorf("%s: Lost returned %v, want %v", name, err, want)
	}
	if e.CloseCode() != want.Code || e.CloseReason() != want.Reason || e.State() != endpoint.Closed || e.Err() != err {
		t.Errorf("%s: code %v, reason %q, state %v, Err %v", name, e.CloseCode(), e.CloseReason(), e.State(), e.Err())
	}
}

// checkLost checks an end without a closing handshake.
func checkLost(t *testing.T, name string, e *endpoint.Endpoint, err, cause error) {
	t.Helper()
	lost, ok := err.(*endpoint.LostError)
	if !ok || lost.Err != cause || !errors.Is(err, net.ErrClosed) {
		t.Errorf("%s: Lost returned %v, want the cause %v", name, err, cause)
	}
	if e.CloseCode() != wire.AbnormalClosure || e.CloseReason() != "" || e.State() != endpoint.Closed || e.Err() != err {
		t.Errorf("%s: code %v, reason %q, state %v, Err %v", name, e.CloseCode(), e.CloseReason(), e.State(), e.Err())
	}
}

// An end other than EOF is reported unchanged, also inside a message; a second
// TransportClosed or Abort has no effect (6455-7.2.1-a).
func TestFirstEndIsTheOneReported(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role})
		receive(e, fromPeer(role, wire.Text, "Hel", false))
		err := e.TransportClosed(errTransport, nil)
		checkLost(t, "first", e, err, errTransport)
		if again := e.TransportClosed(io.EOF, nil); again != err {
			t.Errorf("the second TransportClosed returned %v", again)
		}
		if _, cutErr := e.Abort(io.ErrClosedPipe, func() error { return io.ErrNoProgress }); cutErr != io.ErrNoProgress {
			t.Errorf("Abort returned %v, want the error of closing the transport", cutErr)
		}
		checkLost(t, "at the end", e, e.Err(), errTransport)
	})
}

// A write that is blocked when the transport ends returns because this side
// closes the transport: the cause of the end is then the transport's. An error
// of its own is the cause: the system may give the error to the writer and an
// EOF to the reader.
func TestBlockedWriteAtTheEndOfTheTransport(t *testing.T) {
	broken := errors.New("broken pipe")
	for _, tt := range []struct{ cause, ofWrite, want error }{
		{errTransport, net.ErrClosed, errTransport},
		{errTransport, fmt.Errorf("write: %w", io.ErrClosedPipe), errTransport},
		{io.EOF, broken, broken},
	} {
		subtestRoles(t, tt.ofWrite.Error(), func(t *testing.T, role endpoint.Role) {
			g := newGate()
			e := endpoint.New(g, endpoint.Config{Role: role})
			sent := make(chan error, 1)
			go func() { sent <- e.SendText("Hello") }()
			<-g.entered
			err := e.TransportClosed(tt.cause, func() error { g.open(tt.ofWrite); return nil })
			checkLost(t, "TransportClosed", e, err, tt.want)
			var lost *endpoint.LostError
			if err := <-sent; !errors.As(err, &lost) || lost.Err != tt.want {
				t.Errorf("the write returned %v, want %v", err, tt.want)
			}
		})
	}
}

// Bytes after Abort do not change the cause of the end.
func TestAbortIsTheEnd(t *testing.T) {
	for name, last := range map[string]func(endpoint.Role) []byte{
		"Close":       func(r endpoint.Role) []byte { return closeFromPeer(r, 1000, "late") },
		"broken rule": func(endpoint.Role) []byte { return []byte{0x83} },
	} {
		subtestRoles(t, name, func(t *testing.T, role endpoint.Role) {
			e, out := recorded(endpoint.Config{Role: role})
			check.Must(t, check.Err(e.Abort(nil, func() error { return nil })))
			events := receive(e, append(whole(role, wire.Ping, ""), last(role)...))
			if ev := events[len(events)-1]; ev.Err != endpoint.ErrClosed {
				t.Errorf("got %+v", ev)
			}
			if err := e.TransportClosed(net.ErrClosed, nil); err != endpoint.ErrClosed || e.Err() != err || e.CloseCode() != wire.AbnormalClosure {
				t.Errorf("Lost returned %v, Err %v, code %v", err, e.Err(), e.CloseCode())
			}
			if out.Len() > 0 {
				t.Errorf("written: % x", out.Bytes())
			}
		})
	}
}

// breaking is a transport whose writes fail after a number of successful ones.
type breaking struct {
	left   int // writes that succeed; negative: all
	broken bool
	out    bytes.Buffer
}

func (b *breaking) Write(p []byte) (int, error) {
	if b.left == 0 {
		b.broken = true
		b.out.Write(p[:len(p)/2]) // half of it is written
		return len(p) / 2, errTransport
	}
	b.left--
	return b.out.Write(p)
}

// Every write of an endpoint is made to fail. From then on nothing more is
// written, and every call returns that error. It stays the cause of the end,
// also if the transport reports another error later (T-C02, T-C08,
// 6455-6.1-d).
func TestWriteThatFails(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		large := make([]byte, 100<<10)
		var message *endpoint.MessageWriter
		steps := []func(e *endpoint.Endpoint) error{
			func(e *endpoint.Endpoint) error { return e.Send(wire.Text, []byte("Hello")) },
			func(e *endpoint.Endpoint) error { return e.SendText("Hello") },
			func(e *endpoint.Endpoint) error { return e.Send(wire.Binary, large) }, // more than one write
			func(e *endpoint.Endpoint) error { return e.Ping([]byte("?")) },
			func(e *endpoint.Endpoint) (err error) {
				if message, err = e.NextWriter(wire.Binary); err != nil {
					return err
				}
				return message.WriteFragment([]byte("first"), false)
			},
			func(e *endpoint.Endpoint) error { return e.Pong(nil) },
			func(e *endpoint.Endpoint) error { return message.WriteFragment(large, false) },
			func(e *endpoint.Endpoint) error { return message.WriteFragment([]byte("last"), true) },
			func(e *endpoint.Endpoint) error { receive(e, whole(role, wire.Ping, "?")); return nil },
			func(e *endpoint.Endpoint) error { return e.Close(1000, "") },
			func(e *endpoint.Endpoint) error { receive(e, whole(role, wire.Ping, "?")); return nil },
		}
		passed := 0
		for ; ; passed++ {
			w := &breaking{left: passed}
			e := endpoint.New(w, endpoint.Config{Role: role})
			for _, step := range steps {
				_ = step(e)
			}
			if !w.broken {
				break // there are no more
			}
			name := fmt.Sprintf("write %d", passed)
			if e.State() != endpoint.Closed || e.Err() != nil || e.CloseCode() != 0 {
				t.Fatalf("%s: state %v, Err %v, code %v", name, e.State(), e.Err(), e.CloseCode())
			}
			size := w.out.Len()
			for call, err := range map[string]error{
				"Send": e.Send(wire.Binary, nil), "SendText": e.SendText(""), "Ping": e.Ping(nil), "Close": e.Close(1000, ""),
			} {
				var lost *endpoint.LostError
				if !errors.As(err, &lost) || lost.Err != errTransport {
					t.Errorf("%s: then %s returned %v", name, call, err)
				}
			}
			receive(e, whole(role, wire.Ping, "?"))
			if w.out.Len() != size {
				t.Errorf("%s: something was written after it", name)
			}
			checkLost(t, name, e, e.TransportClosed(io.EOF, nil), errTransport)
		}
		if passed < 12 {
			t.Errorf("only %d writes were made to fail", passed)
		}
	})
}

// If the answer to a Close cannot be written, the connection was still closed
// by the peer. If the Close of a failure cannot be written, the connection has
// still failed (6455-7.1.5-a, 6455-7.1.7-a).
func TestAnswerThatCannotBeWritten(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(new(breaking), endpoint.Config{Role: role})
		receive(e, closeFromPeer(role, wire.GoingAway, "bye"))
		checkClosedBy(t, "Close", e, e.TransportClosed(errTransport, nil), &endpoint.CloseError{Code: wire.GoingAway, Reason: "bye"})

		e = endpoint.New(new(breaking), endpoint.Config{Role: role})
		events := receive(e, whole(role, wire.Text, "\xff"))
		var failed *endpoint.FailError
		if err := e.TransportClosed(errTransport, nil); !errors.As(err, &failed) || failed.Code != wire.InvalidFramePayloadData || err != events[0].Err {
			t.Errorf("Lost returned %v", err)
		}
	})
}

// Input that arrived before a failed write is still received: the peer's Close
// tells more than the broken transport (6455-7.1.5-a).
func TestReceivingContinuesAfterAFailedWrite(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(new(breaking), endpoint.Config{Role: role})
		_ = e.Send(wire.Text, []byte("lost"))
		events := receive(e, slices.Concat(whole(role, wire.Text, "last words"), closeFromPeer(role, 4000, "because")))
		if len(events) != 2 || events[0].Payload != "last words" || events[1].Kind != endpoint.KindClose {
			t.Errorf("got %+v", events)
		}
		checkClosedBy(t, "Close", e, e.TransportClosed(errTransport, nil), &endpoint.CloseError{Code: 4000, Reason: "because"})
	})
}

// The peer's Close arrives during a write, and then a sender aborts the
// connection, as SlowClose does. The Close is answered all the same: the answer
// used to be missing, and the peer saw the stream end without one.
func TestAbortAfterThePeersCloseLeavesTheAnswer(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		g := newGate()
		e := endpoint.New(g, endpoint.Config{Role: role})
		sent := make(chan error, 1)
		go func() { sent <- e.Send(wire.Text, []byte("Hello")) }()
		<-g.entered
		received := make(chan []event, 1)
		go func() { received <- receive(e, closeFromPeer(role, wire.NormalClosure, "")) }()
		for e.Err() == nil { // the Close waits for the write
			select {
			case events := <-received:
				t.Fatalf("received %v", events)
			default:
			}
		}
		if first, _ := e.Abort(errors.New("too much"), nil); first {
			t.Error("the connection had not ended before")
		}
		late := make(chan error, 1)
		go func() { late <- e.Send(wire.Text, []byte("late")) }()
		g.open(nil)
		check.OK(t, <-sent)
		<-received
		var closed *endpoint.CloseError
		if err := <-late; !errors.As(err, &closed) {
			t.Errorf("a Send after that returned %v", err)
		}
		if got := written(t, role, g.bytes()); len(got) != 2 || got[1].Opcode != wire.Close {
			t.Errorf("written are %v, want a text and a Close", got)
		}
		if !errors.As(e.Err(), &closed) {
			t.Errorf("the connection has ended by %v", e.Err())
		}
	})
}
