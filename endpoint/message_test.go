package endpoint_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

func TestJSONOfMessages(t *testing.T) {
	p, err := endpoint.EncodeJSON(map[string]int{"a": 1})
	m := endpoint.Message{Opcode: wire.Text, Payload: p}
	var v map[string]int
	if err != nil || m.Text() != `{"a":1}` || m.JSON(&v) != nil || v["a"] != 1 {
		t.Errorf("%q, %v, %v", p, err, v)
	}
	m.Payload = []byte("{")
	if err := m.JSON(&v); err == nil || !strings.HasPrefix(err.Error(), "websocket: decoding a text message of 1 bytes: ") || errors.Unwrap(err) == nil {
		t.Errorf("%v", err)
	}
	p, err = endpoint.EncodeJSON(func() {})
	if err == nil || !strings.HasPrefix(err.Error(), "websocket: encoding a message: ") || errors.Unwrap(err) == nil || p != nil {
		t.Errorf("%q, %v", p, err)
	}
}

// The iterator ends with the first error, and without one after a normal Close.
func TestMessagesUntilTheEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  error
		most int // messages that the caller takes
		want string
	}{
		{"1000", &endpoint.CloseError{Code: wire.NormalClosure}, 9, "a b"},
		{"1001", &endpoint.CloseError{Code: wire.GoingAway}, 9, "a b"},
		{"4000", &endpoint.CloseError{Code: 4000}, 9, "a b error"},
		{"lost", &endpoint.LostError{Err: io.EOF}, 9, "a b error"},
		{"the caller ends it", io.EOF, 1, "a"},
	} {
		left := []string{"a", "b"}
		receive := func(context.Context) (endpoint.Message, error) {
			if len(left) == 0 {
				return endpoint.Message{}, tt.end
			}
			m := endpoint.Message{Payload: []byte(left[0])}
			left = left[1:]
			return m, nil
		}
		var got []string
		for m, err := range endpoint.Messages(t.Context(), receive) {
			switch {
			case err == tt.end:
				got = append(got, "error")
			case err == nil:
				got = append(got, m.Text())
			}
			if len(got) == tt.most {
				break
			}
		}
		if want := strings.Fields(tt.want); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", tt.name, got, want)
		}
	}
}

// The methods of an endpoint at its beginning, and of a message that is not
// sent.
func TestZeroState(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role})
		sent, first := e.SentClose()
		if e.Err() != nil || e.CloseCode() != 0 || e.CloseReason() != "" || e.State() != endpoint.Open || e.WriteBlocked() ||
			e.HasBackpressure() || e.MessageOpen() || e.NeedsTime() || e.Remaining() != 0 || sent != 0 || first {
			t.Errorf("%v, %d, %v", e.Err(), e.CloseCode(), e.State())
		}
		m, err := e.NextWriter(wire.Binary)
		if err != nil || m.Opcode() != wire.Binary || m.Began() || m.Done() {
			t.Errorf("%+v, %v", m, err)
		}
		if err := m.WriteFragment(nil, false); err != nil || !m.Began() || m.Done() || !e.MessageOpen() {
			t.Errorf("%+v, %v", m, err)
		}
		if err := m.WriteFragment(nil, true); err != nil || !m.Done() || e.MessageOpen() {
			t.Errorf("%+v, %v", m, err)
		}
		if _, err := e.NextWriter(wire.Ping); err != endpoint.ErrNotData {
			t.Errorf("%v", err)
		}
	})
}

// A message that is sent again and again knows its size on the wire.
func TestSizeOfPrepared(t *testing.T) {
	for size, want := range map[int]int{0: 2, 125: 127, 126: 130, 1 << 16: 1<<16 + 10} {
		if m, err := endpoint.Prepare(wire.Binary, make([]byte, size)); err != nil || m.Size() != want {
			t.Errorf("%d bytes: %d, %v; want %d", size, m.Size(), err, want)
		}
	}
	if _, err := endpoint.Prepare(wire.Pong, nil); err != endpoint.ErrNotData {
		t.Error(err)
	}
	if _, err := endpoint.Prepare(wire.Text, []byte{0xff}); err != wire.ErrInvalidUTF8 {
		t.Error(err)
	}
}
