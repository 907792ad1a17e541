package endpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// Every error has the expected text, names the side that closed, and matches
// its sentinels under errors.Is.
func TestTextOfErrors(t *testing.T) {
	tests := []struct {
		err  error
		want string
		is   error
	}{
		{&endpoint.CloseError{Code: wire.NormalClosure}, "websocket: closed by the peer with 1000 (normal closure)", net.ErrClosed},
		{&endpoint.CloseError{Code: wire.NoStatusReceived}, "websocket: closed by the peer with 1005 (no status received)", net.ErrClosed},
		{&endpoint.CloseError{Code: 4000, Reason: "héllo"}, `websocket: closed by the peer with 4000: "héllo"`, net.ErrClosed},
		{&endpoint.FailError{Code: wire.ProtocolError, Err: wire.ErrReservedOpcode},
			"websocket: connection failed with 1002 (protocol error): reserved opcode", wire.ErrReservedOpcode},
		{&endpoint.FailError{Code: wire.InternalError, Err: io.ErrNoProgress},
			"websocket: connection failed with 1011 (internal error): multiple Read calls return no data or error", net.ErrClosed},
		{&endpoint.LostError{Err: io.EOF}, "websocket: connection lost without a closing handshake: EOF", io.EOF},
		{&endpoint.LostError{Err: os.ErrDeadlineExceeded}, "websocket: connection lost without a closing handshake: i/o timeout", net.ErrClosed},
		{endpoint.ErrClosed, "websocket: connection is closed", net.ErrClosed},
		{endpoint.ErrNotData, "websocket: a message is Text or Binary; use Ping, Pong and Close for control frames", endpoint.ErrNotData},
		{endpoint.ErrMessageUnfinished, "websocket: a message in fragments is incomplete; send its last fragment first", endpoint.ErrMessageUnfinished},
		{endpoint.ErrMessageFinished, "websocket: the last fragment of the message is sent; start a new message", endpoint.ErrMessageFinished},
		{endpoint.ErrMessageAbandoned, "websocket: the message was abandoned; start a new message", endpoint.ErrMessageAbandoned},
		{endpoint.ErrConcurrentReceive, "websocket: another call is receiving on this connection; receive from one goroutine at a time", endpoint.ErrConcurrentReceive},
		{endpoint.ErrReaderAbandoned, "websocket: the message was abandoned by a later call; read it to its end first", endpoint.ErrReaderAbandoned},
		{endpoint.ErrGoexit, "runtime.Goexit was called", endpoint.ErrGoexit},
	}
	for _, tt := range tests {
		check.Equal(t, tt.err.Error(), tt.want, "got")
		if !errors.Is(tt.err, tt.is) {
			t.Errorf("%v is not %v", tt.err, tt.is)
		}
	}
	check.Slices(t, (&endpoint.LostError{Err: io.EOF}).Unwrap(), []error{io.EOF, net.ErrClosed}, "Unwrap")
	if errors.Is(endpoint.ErrNotData, net.ErrClosed) {
		t.Error("a call that made no sense counts as the end of the connection")
	}
}

// Every rule that the peer may break ends in a *FailError with the status code
// of the rule, which is a *wire.Error, also if it is a limit (6455-7.1.7-a).
func TestFailureLeadsToItsRule(t *testing.T) {
	const client, server = endpoint.Client, endpoint.Server
	tests := []struct {
		name string
		role endpoint.Role
		in   []byte
		code wire.StatusCode
		text string
	}{
		{"6455-5.2-b", client, []byte{0xc1}, 1002, "reserved bit set without an extension"},
		{"6455-5.2-b on a control frame", client, []byte{0xb9}, 1002, "reserved bit set without an extension"},
		{"6455-5.2-c", client, []byte{0x83}, 1002, "reserved opcode"},
		{"6455-5.1-b", server, []byte{0x81, 0x05}, 1002, "frame from a client is not masked"},
		{"6455-5.1-d", client, []byte{0x81, 0x85}, 1002, "frame from a server is masked"},
		{"6455-5.4-d", client, []byte{0x80}, 1002, "continuation frame without a message"},
		{"6455-5.4-e", client, append(fromPeer(client, wire.Text, "", false), 0x82), 1002, "new message inside a fragmented message"},
		{"6455-8.1-a", client, whole(client, wire.Text, "\xff"), 1007, "invalid UTF-8"},
		{"6455-8.1-c", client, whole(client, wire.Text, "\xe2\x82"), 1007, "invalid UTF-8"},
		{"6455-5.5.1-a", client, whole(client, wire.Close, "\x03"), 1002, "close payload of one byte"},
		{"6455-7.4-a", client, whole(client, wire.Close, "\x03\xed"), 1002, "status code not allowed in a close frame"},
		{"6455-5.5.1-b", client, whole(client, wire.Close, "\x03\xe8\xff"), 1007, "invalid UTF-8"},
		{"6455-10.4-a", client, declaring(client, wire.Binary, 101, true), 1009, "message exceeds the size limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := endpoint.New(io.Discard, endpoint.Config{Role: tt.role, Limits: endpoint.Limits{Message: 100}})
			events := receive(e, tt.in)
			var failed *endpoint.FailError
			var rule *wire.Error
			err := events[len(events)-1].Err
			if !errors.As(err, &failed) || !errors.As(err, &rule) || !errors.Is(err, net.ErrClosed) {
				t.Fatalf("got %+v", events)
			}
			if failed.Code != tt.code || rule.Code != tt.code || rule.Reason != tt.text {
				t.Errorf("failed with %v by the rule %+v", failed.Code, rule)
			}
			cause := tt.text
			if limit := (*endpoint.LimitError)(nil); errors.As(err, &limit) {
				cause = fmt.Sprintf("message of %d bytes exceeds %s (%d)", limit.Seen, limit.Option, limit.Max)
			}
			want := fmt.Sprintf("websocket: connection failed with %v: %s", tt.code, cause)
			if got := err.Error(); !strings.HasPrefix(got, want) || strings.Count(got, "websocket: ") != 1 {
				t.Errorf("got %q, want it to begin with %q", got, want)
			}
		})
	}
}

// The peer is told the rule that it broke, the application the number and the
// limit, or the peer's own words.
func TestTextsOfFailures(t *testing.T) {
	const role = endpoint.Client
	frame := whole(role, wire.Binary, strings.Repeat("a", 11))
	for _, tt := range []struct {
		limits endpoint.Limits
		in     []byte
		reason string // to the peer
		text   string // behind the code
	}{
		{endpoint.Limits{Frame: 10}, frame, "frame exceeds the size limit", "frame of 11 bytes exceeds Limits.Frame (10)"},
		{endpoint.Limits{Message: 10}, frame, "message exceeds the size limit", "message of 11 bytes exceeds Limits.Message (10)"},
		{endpoint.Limits{Message: 10, Frame: 10}, frame, "message exceeds the size limit", "message of 11 bytes exceeds Limits.Message (10)"},
		{endpoint.Limits{MessagesPerSecond: 1}, append(frame, frame...), "rate limit exceeded", "2 messages per second exceeds Limits.MessagesPerSecond (1)"},
		{endpoint.Limits{Message: 16}, append(fromPeer(role, wire.Text, "", false), bytes.Repeat(fromPeer(role, wire.Continuation, "", false), 70_000)...),
			"message has too many small fragments", "message of 65539 small fragments exceeds Limits.Message (65538)"},
		{endpoint.Limits{}, whole(role, wire.Close, "\x03\xed"), "status code not allowed in a close frame",
			"status code not allowed in a close frame: the peer closed with 1005"},
		{endpoint.Limits{}, whole(role, wire.Close, "\x03\xedwhy"), "status code not allowed in a close frame",
			`status code not allowed in a close frame: the peer closed with 1005: "why"`},
	} {
		var out bytes.Buffer
		e := endpoint.New(&out, endpoint.Config{Role: role, Limits: tt.limits})
		receive(e, tt.in)
		frames := written(t, role, out.Bytes())
		if len(frames) != 1 || string(frames[0].Payload[2:]) != tt.reason {
			t.Errorf("%s: wrote %q", tt.text, out.Bytes())
		}
		if err := e.Err(); err == nil || !strings.HasSuffix(err.Error(), "): "+tt.text) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want %s", err, tt.text)
		}
		if limit := (*endpoint.LimitError)(nil); errors.As(e.Err(), &limit) {
			check.Equal(t, limit.Error(), "websocket: "+tt.text, "the limit")
		}
	}
}

// An invalid code of the application is a mistake of its author.
func TestFailWithAnInvalidCode(t *testing.T) {
	defer func() {
		if got, want := recover(), "BUG: websocket: sending a Close with 1005 (no status received): "; !strings.HasPrefix(fmt.Sprint(got), want) {
			t.Errorf("panic with %v, want %s", got, want)
		}
	}()
	endpoint.New(io.Discard, endpoint.Config{}).Fail(wire.NoStatusReceived, "", io.EOF)
}

// The peer's text is quoted in errors: it can neither begin a line nor colour a
// terminal, and it is as short as a Close frame (6455-5.5.1-d, T-H06).
func TestPeersTextIsQuoted(t *testing.T) {
	const reason = "x\n2026-01-01 admin logged in\x1b[31m\u202e\x00"
	e := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Client})
	receive(e, closeFromPeer(endpoint.Client, 4000, reason))
	text := e.Err().Error()
	if strings.ContainsAny(text, "\n\x1b\x00\u202e") {
		t.Errorf("got %q", text)
	}
	if e.CloseReason() != reason {
		t.Errorf("the reason is %q", e.CloseReason())
	}
}

// The caller can fail the connection for a reason of its own, unless it has
// ended before (6455-7.4-i).
func TestFailureByTheShell(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		for _, state := range []string{"open", "closed"} {
			var frames strings.Builder
			e := endpoint.New(&frames, endpoint.Config{Role: role})
			if state == "closed" {
				receive(e, closeFromPeer(role, 4000, ""))
				frames.Reset()
			}
			err := e.Fail(wire.InternalError, "", io.ErrNoProgress)
			var failed *endpoint.FailError
			out := written(t, role, []byte(frames.String()))
			switch {
			case state == "open" && (!errors.As(err, &failed) || failed.Err != io.ErrNoProgress || len(out) != 1 || closeCode(out[0]) != wire.InternalError):
				t.Errorf("got %v and the frames %+v", err, out)
			case state == "closed" && (err != e.Err() || errors.As(err, &failed) || len(out) != 0):
				t.Errorf("after the end: got %v and the frames %+v", err, out)
			}
			if events := receive(e, whole(role, wire.Text, "late")); len(events) > 0 {
				t.Errorf("after the failure: %+v", events)
			}
		}
	})
}

// A TimeoutError names the limit and the option, and is a timeout by every
// convention of the standard library.
func TestTimeoutError(t *testing.T) {
	err := error(&endpoint.TimeoutError{Missing: "Pong", After: 10 * time.Second, Option: "PongTimeout"})
	check.Equal(t, err.Error(), "websocket: no Pong for 10s (PongTimeout)", "the text")
	check.Equal(t, (&endpoint.TimeoutError{Missing: "message", After: time.Second}).Error(), "websocket: no message for 1s", "the text")
	check.Equal(t, endpoint.NewWriteTimeout(time.Minute).Error(), "websocket: no write progress for 1m0s (WriteTimeout)", "the text")
	var timeout interface { // net.Error, whose Temporary is deprecated
		error
		Timeout() bool
		Temporary() bool
	}
	if !errors.As(err, &timeout) || !timeout.Timeout() || timeout.Temporary() {
		t.Errorf("%v is no net.Error that is a timeout", err)
	}
	for _, target := range []error{os.ErrDeadlineExceeded, context.DeadlineExceeded} {
		if !errors.Is(err, target) {
			t.Errorf("it is not %v", target)
		}
	}
	if errors.Is(err, context.Canceled) {
		t.Error("it is context.Canceled")
	}
}

// text is a value with a method String.
type text string

func (t text) String() string { return "the " + string(t) }

// A PanicError has the value and the stack of a function that panicked or
// exited.
func TestPanicError(t *testing.T) {
	cause := errors.New("cause")
	for _, tt := range []struct {
		value any
		want  string // behind the prefix
	}{
		{cause, "cause"},
		{"text", "text"},
		{text("value"), "the value"},
		{1, "(neither an error nor a text)"},
	} {
		err := endpoint.NewPanicError(tt.value)
		if got, want := err.Error(), "websocket: panic in a function of the application: "+tt.want; got != want {
			t.Errorf("the text is %q, want %q", got, want)
		}
		if stack := string(err.Stack); !strings.HasPrefix(stack, "goroutine ") || strings.Contains(stack, "\ngoroutine ") || !strings.Contains(stack, "TestPanicError") {
			t.Errorf("the stack is %s", stack)
		}
	}
	if !errors.Is(endpoint.NewPanicError(cause), cause) {
		t.Error("the error does not unwrap to the value")
	}
	goexit := endpoint.NewPanicError(nil)
	check.Equal(t, goexit.Error(), "websocket: a function of the application did not return: runtime.Goexit was called", "the text")
	if !errors.Is(goexit, endpoint.ErrGoexit) {
		t.Error("the error of a call of runtime.Goexit is not ErrGoexit")
	}
	if errors.Unwrap(endpoint.NewPanicError("text")) != nil {
		t.Error("the error unwraps to a text")
	}
}
