package endpoint_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

var errTransport = errors.New("transport is broken")

// inState returns an endpoint in a state, reached in one of the ways to it, and
// empties out.
func inState(t *testing.T, role endpoint.Role, way string, out *bytes.Buffer) *endpoint.Endpoint {
	t.Helper()
	e := endpoint.New(out, endpoint.Config{Role: role})
	switch way {
	case "open":
	case "our Close":
		check.Must(t, e.Close(4000, "ours"))
	case "peer's Close":
		receive(e, closeFromPeer(role, 4001, "theirs"))
	case "both, ours first":
		check.Must(t, e.Close(4000, "ours"))
		receive(e, closeFromPeer(role, 4001, "theirs"))
	case "failure":
		receive(e, []byte{0x83})
	case "transport's end":
		_ = e.TransportClosed(io.EOF, nil)
	case "cut":
		check.Must(t, check.Err(e.Abort(nil, func() error { return nil })))
	default:
		t.Fatalf("no way %q", way)
	}
	out.Reset()
	return e
}

// Every state handles every event as in the table in closing.go, cell by cell
// (6455-5.5.1-f, 6455-5.5.1-g, 6455-5.5.1-k, 6455-7.1.3-a, 6455-7.1.5-a,
// 6455-7.1.6-a).
func TestStatesOfTheClosingHandshake(t *testing.T) {
	ownClose := func(_ endpoint.Role, e *endpoint.Endpoint) error { return e.Close(4002, "again") }
	peersClose := func(r endpoint.Role, e *endpoint.Endpoint) error {
		receive(e, closeFromPeer(r, 4003, "late"))
		return nil
	}
	brokenRule := func(_ endpoint.Role, e *endpoint.Endpoint) error {
		receive(e, []byte{0x83})
		return nil
	}
	transportEnds := func(_ endpoint.Role, e *endpoint.Endpoint) error {
		check.Equal(t, e.TransportClosed(errTransport, nil), e.Err(), "Lost")
		return nil
	}
	cut := func(_ endpoint.Role, e *endpoint.Endpoint) error {
		_, err := e.Abort(errTransport, func() error { return nil })
		return err
	}
	send := func(_ endpoint.Role, e *endpoint.Endpoint) error { return e.Send(wire.Binary, nil) }

	type outcome struct {
		state  endpoint.State
		sent   wire.StatusCode // of the Close that this made the endpoint send; 0: none
		err    string          // of the call
		code   wire.StatusCode // as reported then
		reason string
		why    string // Err
	}
	const (
		isClosed   = "websocket: connection is closed"
		lost       = "websocket: connection lost without a closing handshake: "
		peersFirst = `websocket: closed by the peer with 4001: "theirs"`
		peersLate  = `websocket: closed by the peer with 4003: "late"`
		failed     = "websocket: connection failed with 1002 (protocol error): reserved opcode"
	)
	// After the end no state changes and no frame is sent. Every call returns
	// the cause.
	ended := func(code wire.StatusCode, reason, why string) map[string]outcome {
		call := outcome{state: endpoint.Closed, err: why, code: code, reason: reason, why: why}
		input := call
		input.err = ""
		return map[string]outcome{
			"Close by us": call, "Send": call,
			"Close received": input, "peer breaks a rule": input, "transport ends": input, "cut": input,
		}
	}
	table := map[string]map[string]outcome{
		"open": {
			"Close by us":        {state: endpoint.CloseSent, sent: 4002},
			"Send":               {state: endpoint.Open},
			"Close received":     {state: endpoint.Closed, sent: 4003, code: 4003, reason: "late", why: peersLate},
			"peer breaks a rule": {state: endpoint.Closed, sent: wire.ProtocolError, code: wire.AbnormalClosure, why: failed},
			"transport ends":     {state: endpoint.Closed, code: wire.AbnormalClosure, why: lost + errTransport.Error()},
			"cut":                {state: endpoint.Closed, code: wire.AbnormalClosure, why: lost + errTransport.Error()},
		},
		"our Close": {
			"Close by us":        {state: endpoint.CloseSent, err: isClosed},
			"Send":               {state: endpoint.CloseSent, err: isClosed},
			"Close received":     {state: endpoint.Closed, code: 4003, reason: "late", why: peersLate},
			"peer breaks a rule": {state: endpoint.Closed, code: wire.AbnormalClosure, why: failed},
			"transport ends":     {state: endpoint.Closed, code: wire.AbnormalClosure, why: lost + errTransport.Error()},
			"cut":                {state: endpoint.Closed, code: wire.AbnormalClosure, why: lost + errTransport.Error()},
		},
		"peer's Close":     ended(4001, "theirs", peersFirst),
		"both, ours first": ended(4001, "theirs", peersFirst),
		"failure":          ended(wire.AbnormalClosure, "", failed),
		"transport's end":  ended(wire.AbnormalClosure, "", lost+"EOF"),
		"cut":              ended(wire.AbnormalClosure, "", isClosed),
	}
	happenings := map[string]func(endpoint.Role, *endpoint.Endpoint) error{
		"Close by us": ownClose, "Send": send, "Close received": peersClose,
		"peer breaks a rule": brokenRule, "transport ends": transportEnds, "cut": cut,
	}
	text := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	for way, row := range table {
		for name, happen := range happenings {
			subtestRoles(t, way+"/"+name, func(t *testing.T, role endpoint.Role) {
				var out bytes.Buffer
				e := inState(t, role, way, &out)
				err := happen(role, e)
				got := outcome{e.State(), 0, text(err), e.CloseCode(), e.CloseReason(), text(e.Err())}
				for _, f := range written(t, role, out.Bytes()) {
					if f.Opcode == wire.Close {
						got.sent = closeCode(f)
					}
				}
				check.Equal(t, got, row[name], "got")
			})
		}
	}
}

// After the end no frame or call is processed, answered or sent (6455-5.5.2-a,
// 6455-7.1.7-b, T-H15).
func TestNothingHappensAfterTheEnd(t *testing.T) {
	for _, way := range []string{"peer's Close", "both, ours first", "failure", "transport's end", "cut"} {
		subtestRoles(t, way, func(t *testing.T, role endpoint.Role) {
			var out bytes.Buffer
			e := inState(t, role, way, &out)
			why := e.Err()
			if way != "transport's end" && way != "cut" { // after these Receive is not called
				for _, in := range [][]byte{whole(role, wire.Text, "Hello"), whole(role, wire.Ping, "?"), closeFromPeer(role, 1000, ""), {0x83}} {
					if events := receive(e, in); len(events) > 0 {
						t.Errorf("% x: got %+v", in, events)
					}
				}
			}
			m, err := e.NextWriter(wire.Text)
			check.Must(t, err)
			for name, err := range map[string]error{
				"Send": e.Send(wire.Text, nil), "SendText": e.SendText(""), "fragment": m.WriteFragment(nil, false),
				"Ping": e.Ping(nil), "Pong": e.Pong(nil), "Close": e.Close(1000, ""), "Lost": e.TransportClosed(io.EOF, nil), "Err": e.Err(),
			} {
				if err != why {
					t.Errorf("%s returned %v, the connection ended with %v", name, err, why)
				}
			}
			if out.Len() > 0 {
				t.Errorf("written: % x", out.Bytes())
			}
		})
	}
}

// After our Close the peer may send on: its messages are received and its Pings
// answered until its Close arrives (6455-5.5.2-a, 6455-7.1.2-b).
func TestPeerMaySendAfterOurClose(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		var out bytes.Buffer
		e := inState(t, role, "our Close", &out)
		events := receive(e, append(whole(role, wire.Text, "one more"), whole(role, wire.Ping, "still there?")...))
		if len(events) != 2 || events[0].Payload != "one more" || events[1].Kind != endpoint.KindPing {
			t.Errorf("got %+v", events)
		}
		if frames := written(t, role, out.Bytes()); len(frames) != 1 || frames[0].Opcode != wire.Pong || string(frames[0].Payload) != "still there?" {
			t.Errorf("written: %+v", frames)
		}
		for name, err := range map[string]error{"Ping": e.Ping(nil), "Pong": e.Pong(nil), "Send": e.Send(wire.Text, nil)} {
			check.Equal(t, err, endpoint.ErrClosed, "%s", name)
		}
	})
}

// Close with a code or reason that may not be sent sends nothing, and the
// connection stays open (6455-5.5.1-c, 6455-7.4-a, 6455-7.4-k, T-H05, T-H07).
func TestCloseThatCannotBeSent(t *testing.T) {
	tests := []struct {
		code   wire.StatusCode
		reason string
		want   error
	}{
		{wire.NoStatusReceived, "", wire.ErrStatusCode},
		{wire.AbnormalClosure, "", wire.ErrStatusCode},
		{wire.TLSHandshake, "", wire.ErrStatusCode},
		{66536, "", wire.ErrStatusCode},
		{-1, "", wire.ErrStatusCode},
		{0, "why", wire.ErrReasonWithoutCode},
		{1000, string(make([]byte, 124)), wire.ErrReasonTooLong},
		{1000, "\xff", wire.ErrInvalidUTF8},
	}
	for _, tt := range tests {
		eachRole(t, func(t *testing.T, role endpoint.Role) {
			e, out := recorded(endpoint.Config{Role: role})
			if err := e.Close(tt.code, tt.reason); !errors.Is(err, tt.want) || errors.Is(err, net.ErrClosed) {
				t.Errorf("Close(%v, %q) returned %v, want %v", tt.code, tt.reason, err, tt.want)
			}
			if out.Len() > 0 || e.State() != endpoint.Open || e.Err() != nil {
				t.Errorf("written: % x, state %v, %v", out.Bytes(), e.State(), e.Err())
			}
		})
	}
}

func TestNamesOfStates(t *testing.T) {
	for state, want := range map[endpoint.State]string{
		endpoint.Open: "open", endpoint.CloseSent: "closing", endpoint.Closed: "closed", 7: "unknown state",
	} {
		check.Equal(t, state.String(), want, "%d", state)
	}
}

// Close returns the error of its write.
func TestCloseThatCannotBeWritten(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(&tight{failAt: 1}, endpoint.Config{Role: role})
		var lost *endpoint.LostError
		if err := e.Close(wire.NormalClosure, ""); !errors.As(err, &lost) || lost.Err != errTight {
			t.Errorf("%v", err)
		}
		if code, first := e.SentClose(); code != 0 || first {
			t.Errorf("sent %d, first %v", code, first)
		}
	})
}

func TestEmptyCloseIsSent(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role})
		if err := e.Close(0, ""); err != nil {
			t.Fatal(err)
		}
		if code, first := e.SentClose(); code != wire.NoStatusReceived || !first {
			t.Errorf("sent %d, first %v", code, first)
		}
	})
}

// The answer to a Close is written by Config.Background.
func TestBackgroundAnswersAClose(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		var out bytes.Buffer
		var later []func()
		e := endpoint.New(&out, endpoint.Config{Role: role, Background: func(f func()) { later = append(later, f) }})
		receive(e, closeFromPeer(role, 4000, ""))
		for _, f := range later {
			f()
		}
		if frames := written(t, role, out.Bytes()); len(frames) != 1 || closeCode(frames[0]) != 4000 {
			t.Errorf("wrote %v", frames)
		}
	})
}
