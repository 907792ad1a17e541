package endpoint_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// limitError returns the error of the only event, which must be a broken limit.
func limitError(t *testing.T, events []event) *endpoint.LimitError {
	t.Helper()
	var failed *endpoint.FailError
	var limit *endpoint.LimitError
	if len(events) != 1 || events[0].Kind != endpoint.KindFailed || !errors.As(events[0].Err, &failed) || !errors.As(failed.Err, &limit) {
		t.Fatalf("got %+v", events)
	}
	return limit
}

// Zero, negative and large limits have the documented meaning. A frame of the
// largest allowed length passes, one byte more fails by its header alone, and
// the error names the option to change (6455-10.4-a, 6455-10.4-b, T-A07).
func TestMeaningOfLimits(t *testing.T) {
	const message = 16 << 20 // the default
	tests := []struct {
		limits endpoint.Limits
		max    int64 // the largest frame that passes
		option string
	}{
		{endpoint.Limits{}, message, "Limits.Message"},
		{endpoint.Limits{Frame: 1}, 1, "Limits.Frame"},
		{endpoint.Limits{Frame: 100}, 100, "Limits.Frame"},
		{endpoint.Limits{Frame: -1}, message, "Limits.Message"},
		{endpoint.Limits{Frame: message}, message, "Limits.Message"},
		{endpoint.Limits{Frame: message - 1}, message - 1, "Limits.Frame"},
		{endpoint.Limits{Frame: message + 1}, message, "Limits.Message"},
		{endpoint.Limits{Message: 1}, 1, "Limits.Message"},
		{endpoint.Limits{Frame: 10, Message: 20}, 10, "Limits.Frame"},
		{endpoint.Limits{Frame: 20, Message: 10}, 10, "Limits.Message"},
		{endpoint.Limits{Frame: 10, Message: -1}, 10, "Limits.Frame"},
		{endpoint.Limits{Message: -1}, math.MaxInt64, ""},
		{endpoint.Limits{Frame: math.MinInt64, Message: math.MinInt64}, math.MaxInt64, ""},
		{endpoint.Limits{Frame: math.MaxInt64, Message: math.MaxInt64}, math.MaxInt64, ""},
	}
	for _, tt := range tests {
		subtestRoles(t, fmt.Sprint(tt.limits), func(t *testing.T, role endpoint.Role) {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role, Limits: tt.limits})
			if events := receive(e, declaring(role, wire.Binary, tt.max, true)); len(events) > 0 {
				t.Fatalf("a frame of %d bytes: got %+v", tt.max, events)
			}
			if tt.option == "" {
				return
			}
			e = endpoint.New(io.Discard, endpoint.Config{Role: role, Limits: tt.limits})
			limit := limitError(t, receive(e, declaring(role, wire.Binary, tt.max+1, true)))
			if limit.Option != tt.option || limit.Max != tt.max || limit.Seen != tt.max+1 {
				t.Errorf("got %+v", limit)
			}
		})
	}
}

// The sum of the lengths of a message's fragments does not exceed 2^63, even
// without a limit (T-A01, T-A03, T-A13, 6455-5.2-i).
func TestSumOfLengthsDoesNotOverflow(t *testing.T) {
	for _, length := range []int64{math.MaxInt64, math.MaxInt64 - 1, 1<<62 + 1, 1<<32 + 5} {
		subtestRoles(t, fmt.Sprint(length), func(t *testing.T, role endpoint.Role) {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role, Limits: endpoint.Limits{Message: -1}, Partial: true})
			// Ten bytes in fragments precede the header, so that the sum
			// exceeds 2^63.
			receive(e, fromPeer(role, wire.Binary, "0123456789", false))
			events := receive(e, declaring(role, wire.Continuation, length, false))
			if length < math.MaxInt64-10 {
				if len(events) != 0 || e.Remaining() != length {
					t.Errorf("got %+v, and %d bytes missing", events, e.Remaining())
				}
				return
			}
			limit := limitError(t, events)
			if limit.Limit != "message" || limit.Max != math.MaxInt64 || limit.Seen != math.MaxInt64 {
				t.Errorf("got %+v", limit)
			}
		})
	}
}

// A message of full size may have 65,536 fragments. Many more than that are
// refused with 1008, however small (6455-5.4-k, T-A10).
func TestMessageOfFullSizeInManyFragments(t *testing.T) {
	const fragments, size = 65_536, 16
	for _, partial := range []bool{false, true} {
		eachRole(t, func(t *testing.T, role endpoint.Role) {
			cfg := endpoint.Config{Role: role, Partial: partial, Limits: endpoint.Limits{Message: fragments * size}}
			send := func(e *endpoint.Endpoint, last bool) (got []event) {
				op := wire.Binary
				for i := range fragments {
					got = receive(e, fromPeer(role, op, "0123456789abcdef", last && i == fragments-1))
					op = wire.Continuation
				}
				return got
			}
			e := endpoint.New(io.Discard, cfg)
			for range 2 { // the first message does not count for the second
				if got := send(e, true); len(got) != 1 || got[0].Kind != endpoint.KindMessage && !got[0].Final {
					t.Fatalf("got %+v", got)
				}
			}
			if got := send(e, false); e.Err() != nil {
				t.Fatalf("got %+v", got)
			}
			var got []event
			more := 0
			for ; e.Err() == nil && more < 10; more++ {
				got = receive(e, fromPeer(role, wire.Continuation, "", false))
			}
			limit := limitError(t, got)
			var rule *wire.Error
			if !errors.As(limit, &rule) || rule.Code != wire.PolicyViolation || limit.Limit != "fragments" ||
				limit.Option != "Limits.Message" || limit.Seen != int64(fragments+more) || limit.Max != limit.Seen-1 {
				t.Errorf("after %d more: %+v", more, limit)
			}
		})
	}
}

// Any number of fragments of zero or one byte use no more memory than their bytes,
// or are refused (6455-5.4-k, T-A10).
func TestManyTinyFragments(t *testing.T) {
	const fragments = 250_000
	for name, payload := range map[string]string{"empty": "", "of one byte": "x"} {
		for _, limits := range []endpoint.Limits{{}, {Message: 1 << 20}, {Message: -1}} {
			t.Run(fmt.Sprint(name, limits), func(t *testing.T) {
				e := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Server, Limits: limits})
				receive(e, fromPeer(endpoint.Server, wire.Binary, payload, false))
				fragment := fromPeer(endpoint.Server, wire.Continuation, payload, false)
				in := make([]byte, len(fragment))
				before := heap()
				for range fragments {
					copy(in, fragment)
					e.Receive(time.Time{}, in)
				}
				if growth, most := heap()-before, int64(2*len(payload)*fragments+64<<10); growth > most {
					t.Errorf("the heap grew by %d bytes, want %d at most", growth, most)
				}
				if refused := e.Err() != nil; refused != (limits.Message == 1<<20) {
					t.Errorf("the connection ended with %v", e.Err())
				}
				runtime.KeepAlive(e)
			})
		}
	}
}

// A header allocates no memory for its declared length (T-A06).
func TestDeclaredLengthAllocatesNothing(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		ends := make([]*endpoint.Endpoint, 1000)
		for i := range ends {
			ends[i] = endpoint.New(io.Discard, endpoint.Config{Role: role})
		}
		in := declaring(role, wire.Binary, endpoint.DefaultMessageLimit, true)
		before := heap()
		for _, e := range ends {
			if ev, n := e.Receive(time.Time{}, in); ev.Kind != endpoint.KindNone || n != len(in) {
				t.Fatalf("got %+v, %d", ev, n)
			}
		}
		const each = 128 // for the header and the state of the frame
		if growth := heap() - before; growth > int64(len(ends)*each+16<<10) {
			t.Errorf("a thousand headers use %d bytes", growth)
		}
		runtime.KeepAlive(ends)
	})
}

// A frame that arrives byte by byte takes little more memory than its bytes
// (T-A11).
func TestFrameByteByByte(t *testing.T) {
	const size = 1 << 20
	frame := whole(endpoint.Server, wire.Binary, strings.Repeat("x", size))
	e := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Server})
	one := make([]byte, 1)
	before := heap()
	for _, b := range frame[:len(frame)-1] {
		one[0] = b
		if ev, _ := e.Receive(time.Time{}, one); ev.Kind != endpoint.KindNone {
			t.Fatalf("got %+v", ev)
		}
	}
	if growth := heap() - before; growth > 2*size {
		t.Errorf("the heap grew by %d bytes", growth)
	}
	one[0] = frame[len(frame)-1]
	if ev, _ := e.Receive(time.Time{}, one); len(ev.Payload) != size {
		t.Errorf("got %v of %d bytes", ev.Kind, len(ev.Payload))
	}
}

// No connection keeps large buffers after a message, delivered or refused, and
// pools keep them only as usual (T-A15).
func TestLargeBuffersAreNotKept(t *testing.T) {
	const size, connections = 512 << 10, 40
	first := fromPeer(endpoint.Client, wire.Binary, strings.Repeat("x", size), false)
	tests := map[string]struct {
		last []byte
		want endpoint.Kind
		next []byte // the next input releases the payload
	}{
		"received":                {fromPeer(endpoint.Client, wire.Continuation, "", true), endpoint.KindMessage, nil},
		"received before another": {fromPeer(endpoint.Client, wire.Continuation, "", true), endpoint.KindMessage, whole(endpoint.Client, wire.Text, "next")},
		"refused":                 {fromPeer(endpoint.Client, wire.Continuation, "over", true), endpoint.KindFailed, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := heap()
			ends := make([]*endpoint.Endpoint, connections)
			for i := range ends { // all hold a buffer
				ends[i] = endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Client, Limits: endpoint.Limits{Message: size}})
				ends[i].Receive(time.Time{}, first)
			}
			for _, e := range ends {
				if ev, _ := e.Receive(time.Time{}, tt.last); ev.Kind != tt.want {
					t.Fatalf("got %+v", ev)
				}
				e.Receive(time.Time{}, tt.next)
			}
			if growth := heap() - before; growth > size {
				t.Errorf("after %d messages of %d bytes the heap is larger by %d bytes", connections, size, growth)
			}
			runtime.KeepAlive(ends)
		})
	}
}

// Every error of a limit has the expected text. The limit applies to the sum of
// a message's fragments, at each header (T-A08, T-A09).
func TestTextOfLimits(t *testing.T) {
	limits := endpoint.Limits{Frame: 5, Message: 8}
	tests := []struct {
		in   []byte
		want string
	}{
		{declaring(endpoint.Client, wire.Text, 6, true), "websocket: connection failed with 1009 (message too big): " +
			"frame of 6 bytes exceeds Limits.Frame (5)"},
		{append(fromPeer(endpoint.Client, wire.Text, "Hello", false), declaring(endpoint.Client, wire.Continuation, 4, true)...),
			"websocket: connection failed with 1009 (message too big): message of 9 bytes exceeds Limits.Message (8)"},
	}
	for _, tt := range tests {
		e := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Client, Limits: limits})
		receive(e, tt.in)
		check.Equal(t, fmt.Sprint(e.Err()), tt.want, "got")
	}

	e := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Client, Limits: endpoint.Limits{Message: 1}})
	receive(e, fromPeer(endpoint.Client, wire.Text, "", false))
	for e.Err() == nil {
		receive(e, fromPeer(endpoint.Client, wire.Continuation, "", false))
	}
	const want = "websocket: connection failed with 1008 (policy violation): message of 65538 small fragments exceeds Limits.Message (65537)"
	check.Equal(t, e.Err().Error(), want, "got")
}
