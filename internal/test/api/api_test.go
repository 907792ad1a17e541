// Package api holds that client and server have one API: the methods of an
// interface, and the table of them in docs/api.md.
package api

import (
	"context"
	"io"
	"iter"
	"net"
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// conn is the API of both sides. A new method of one side must be added to this
// list, or to the list of the methods that only one side has.
type conn interface {
	Send(op wire.Opcode, p []byte) error
	SendUncompressed(op wire.Opcode, p []byte) error
	SendText(s string) error
	SendBinary(p []byte) error
	SendJSON(v any) error
	Sendf(format string, args ...any) error
	NextWriter(op wire.Opcode) (*endpoint.MessageWriter, error)

	Receive(ctx context.Context) (endpoint.Message, error)
	ReceiveInto(ctx context.Context, buf []byte) (wire.Opcode, []byte, error)
	ReceiveJSON(ctx context.Context, v any) error
	NextReader(ctx context.Context) (wire.Opcode, io.Reader, error)
	Messages(ctx context.Context) iter.Seq2[endpoint.Message, error]

	Ping(ctx context.Context) (time.Duration, error)
	RTT() time.Duration
	SendPing(payload []byte) error
	SendPong(payload []byte) error

	Close(code wire.StatusCode, reason string) error
	CloseNow() error
	State() endpoint.State
	Err() error
	CloseCode() wire.StatusCode
	CloseReason() string

	Subprotocol() string
	Compression() string
	NetConn(op wire.Opcode) net.Conn
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
	Value() any
	SetValue(v any)
	SetLimits(frame, message int64)
}

var (
	_ conn = (*client.Conn)(nil)
	_ conn = (*server.Conn)(nil)
)

// The methods of one side only. docs/api.md says why.
var (
	onlyClient = []string{"Response", "SendClose"}
	onlyServer = []string{"Buffered", "Context", "Header", "Path", "Query", "Request", "SendFragment", "SendPrepared"}
)

// The types with one name on both sides are one type.
func TestTypesAreTheSame(t *testing.T) {
	for name, pair := range map[string][2]any{
		"Message":         {client.Message{}, server.Message{}},
		"MessageWriter":   {client.MessageWriter{}, server.MessageWriter{}},
		"Limits":          {client.Limits{}, server.Limits{}},
		"State":           {client.Open, server.Open},
		"CloseError":      {client.CloseError{}, server.CloseError{}},
		"FailError":       {client.FailError{}, server.FailError{}},
		"LostError":       {client.LostError{}, server.LostError{}},
		"LimitError":      {client.LimitError{}, server.LimitError{}},
		"TimeoutError":    {client.TimeoutError{}, server.TimeoutError{}},
		"PanicError":      {client.PanicError{}, server.PanicError{}},
		"UsageError":      {client.UsageError{}, server.UsageError{}},
		"ErrClosed":       {client.ErrClosed, server.ErrClosed},
		"ErrGoexit":       {client.ErrGoexit, server.ErrGoexit},
		"ErrNotData":      {client.ErrNotData, server.ErrNotData},
		"the states' end": {client.Closed, server.Closed},
	} {
		if a, b := reflect.TypeOf(pair[0]), reflect.TypeOf(pair[1]); a != b {
			t.Errorf("%s: %v and %v", name, a, b)
		}
	}
	if client.ErrClosed != server.ErrClosed || client.ErrGoexit != server.ErrGoexit || client.ErrNotData != server.ErrNotData {
		t.Error("an error of the client is not the error of the server")
	}
}

// methods returns the names of the exported methods of T, sorted.
func methods[T any]() (names []string) {
	typ := reflect.TypeFor[T]()
	for i := range typ.NumMethod() {
		names = append(names, typ.Method(i).Name)
	}
	return names
}

// A side has the methods of both sides, those of its own, and no other.
func TestMethodsOfEachSide(t *testing.T) {
	for name, side := range map[string]struct{ all, own []string }{
		"client": {methods[*client.Conn](), onlyClient},
		"server": {methods[*server.Conn](), onlyServer},
	} {
		want := append(methods[conn](), side.own...)
		slices.Sort(want)
		if !slices.Equal(side.all, want) {
			t.Errorf("%s.Conn has\n%q, want\n%q", name, side.all, want)
		}
	}
}

// row is a row of the table in docs/api.md: a method, and its marks for client
// and server.
var row = regexp.MustCompile("(?m)^\\| `(\\w+)\\([^`]*` \\| (yes|–) \\| (yes|–) \\|")

// start is how each row of a method begins.
var start = regexp.MustCompile("(?m)^\\| `\\w+\\(")

// docs/api.md has each method of each side, and no other.
func TestPageHasAllMethods(t *testing.T) {
	page, err := os.ReadFile("../../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := row.FindAllStringSubmatch(string(page), -1)
	if want := len(start.FindAllString(string(page), -1)); len(rows) != want {
		t.Errorf("%d of %d rows of methods are understood", len(rows), want)
	}
	for column, want := range [][]string{methods[*client.Conn](), methods[*server.Conn]()} {
		var got []string
		for _, r := range rows {
			if r[2+column] == "yes" {
				got = append(got, r[1])
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: the page has\n%q, the code\n%q", []string{"client", "server"}[column], got, want)
		}
	}
}
