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
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

var errOnPurpose = errors.New("on purpose")

// messageConn is a MessageConn of the test, which receives the messages of in and
// sends to out. Its end is err.
type messageConn struct {
	in, out chan []byte
	op      wire.Opcode
	ended   chan struct{}
	err     error // set before ended is closed
	closed  []wire.StatusCode
	answer  error // of Close
}

func newMessageConn() *messageConn {
	return &messageConn{in: make(chan []byte, 10), out: make(chan []byte, 1), op: wire.Binary, ended: make(chan struct{})}
}

func (m *messageConn) end(err error) {
	m.err = err
	close(m.ended)
}

func (m *messageConn) ReceiveInto(ctx context.Context, buf []byte) (wire.Opcode, []byte, error) {
	select {
	case p := <-m.in: // also if the other cases are ready
		return m.op, append(buf, p...), nil
	default:
	}
	select {
	case p := <-m.in:
		return m.op, append(buf, p...), nil
	case <-m.ended:
		return 0, nil, m.err
	case <-ctx.Done():
		return 0, nil, ctx.Err()
	}
}

func (m *messageConn) Send(_ wire.Opcode, p []byte) error {
	select {
	case m.out <- bytes.Clone(p):
		return nil
	case <-m.ended:
		return m.err
	}
}

func (m *messageConn) Close(code wire.StatusCode, _ string) error {
	m.closed = append(m.closed, code)
	return m.answer
}

func (m *messageConn) CloseNow() error      { m.end(net.ErrClosed); return nil }
func (m *messageConn) LocalAddr() net.Addr  { return &net.TCPAddr{Port: 1} }
func (m *messageConn) RemoteAddr() net.Addr { return &net.TCPAddr{Port: 2} }

// NewNetConn is over any connection with messages, not only over those of client
// and server.
func TestNetConnReads(t *testing.T) {
	m := newMessageConn()
	nc := endpoint.NewNetConn(m, wire.Binary)
	check.Equal(t, nc.LocalAddr().String()+nc.RemoteAddr().String(), ":1:2", "addresses")
	large := strings.Repeat("x", 100<<10)
	for _, text := range []string{"ab", "", "cdef", large, "g"} {
		m.in <- []byte(text)
	}
	m.end(&endpoint.CloseError{Code: wire.GoingAway})
	b := make([]byte, 3)
	n, err := nc.Read(b[:0])
	check.Equal(t, n, 0, "bytes of an empty Read")
	check.OK(t, err)
	var got []byte
	for err == nil && len(got) < 6+len(large)+1 {
		n, err = nc.Read(b)
		got = append(got, b[:n]...)
	}
	check.OK(t, err)
	check.Equal(t, string(got) == "abcdef"+large+"g", true, "the bytes are the same")
	for range 2 {
		check.Is(t, check.Err(nc.Read(b)), io.EOF, "after a Close with 1001")
	}

	m = newMessageConn()
	m.end(errOnPurpose)
	check.Is(t, check.Err(endpoint.NewNetConn(m, wire.Binary).Read(b)), errOnPurpose, "after a failure")
}

// A message of another type fails the connection with 1003.
func TestNetConnOfAnotherType(t *testing.T) {
	m := newMessageConn()
	m.op = wire.Text
	nc := endpoint.NewNetConn(m, wire.Binary)
	m.in <- []byte("text")
	for range 2 {
		failed := check.As[*wire.Error](t, check.Err(nc.Read(make([]byte, 10))), "Read")
		check.Equal(t, failed.Code, wire.UnsupportedData, "code")
	}
	check.Slices(t, m.closed, []wire.StatusCode{wire.UnsupportedData}, "Closes")
}

// The Close after a message of another type may wait for the peer. The read
// deadline, or a Close of the net.Conn, ends that.
func TestNetConnOfAnotherTypeWhosePeerDoesNotClose(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(nc net.Conn) error
		want error
	}{
		"deadline":                     {func(nc net.Conn) error { return nc.SetReadDeadline(time.Now().Add(time.Second)) }, nil},
		"deadline that is in the past": {func(nc net.Conn) error { return nc.SetDeadline(time.Unix(1, 0)) }, nil},
		"Close":                        {net.Conn.Close, endpoint.ErrClosed},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			m := waitingConn{newMessageConn()}
			m.op = wire.Text
			nc := endpoint.NewNetConn(m, wire.Binary)
			m.in <- []byte("text")
			read := make(chan error, 1)
			go func() { read <- check.Err(nc.Read(make([]byte, 10))) }()
			synctest.Wait()
			check.OK(t, tt.end(nc))
			err := <-read
			if tt.want != nil {
				check.Is(t, err, tt.want, "Read")
			} else {
				check.As[*wire.Error](t, err, "Read")
			}
		})
	}
}

// waitingConn is a messageConn whose peer does not answer a Close.
type waitingConn struct{ *messageConn }

func (m waitingConn) Close(wire.StatusCode, string) error {
	<-m.ended
	return nil
}

// Both deadlines of SetDeadline are the error of the calls that wait, although
// the write deadline ends the connection. So are the wrapped errors of a
// MessageConn of the application.
func TestNetConnDeadlineOfPendingCalls(t *testing.T) {
	for range 20 { // the order of the calls' ends differs
		synctest.Test(t, func(t *testing.T) {
			m := newMessageConn()
			m.out <- nil // a Write blocks
			nc := endpoint.NewNetConn(wrappingConn{m}, wire.Binary)
			pending := make(chan error, 2)
			go func() { pending <- check.Err(nc.Read(make([]byte, 10))) }()
			go func() { pending <- check.Err(nc.Write([]byte("x"))) }()
			synctest.Wait()
			check.OK(t, nc.SetDeadline(time.Unix(1, 0)))
			for range 2 {
				check.Is(t, <-pending, os.ErrDeadlineExceeded, "a call")
			}
		})
	}
}

// wrappingConn is a messageConn that wraps errors.
type wrappingConn struct{ *messageConn }

func (m wrappingConn) ReceiveInto(ctx context.Context, buf []byte) (wire.Opcode, []byte, error) {
	op, p, err := m.messageConn.ReceiveInto(ctx, buf)
	if err != nil {
		err = fmt.Errorf("wrapped: %w", err)
	}
	return op, p, err
}

// A Write is cut into messages of up to 32 KiB, a text not inside of a code
// point.
func TestNetConnWrites(t *testing.T) {
	const most = 32 << 10
	for op, text := range map[wire.Opcode]string{wire.Binary: strings.Repeat("b", 2*most+1), wire.Text: "x" + strings.Repeat("€", most)} {
		m := newMessageConn()
		nc := endpoint.NewNetConn(m, op)
		written := make(chan error, 1)
		go func() {
			_, err := io.WriteString(nc, text)
			written <- err
		}()
		var got []byte
		for len(got) < len(text) {
			p := <-m.out
			if len(p) > most || len(p) < most-utf8.UTFMax && len(got)+len(p) < len(text) || op == wire.Text && !utf8.Valid(p) {
				t.Errorf("%v: a message of %d bytes", op, len(p))
			}
			got = append(got, p...)
		}
		check.OK(t, <-written)
		check.Equal(t, string(got) == text, true, "the bytes are the same")
	}
}

// Deadlines apply to pending and later calls. A read deadline loses nothing, a
// write deadline ends the connection.
func TestNetConnDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMessageConn()
		nc := endpoint.NewNetConn(m, wire.Binary)
		b := make([]byte, 10)
		start := time.Now()
		check.OK(t, nc.SetDeadline(start.Add(time.Hour)))
		check.OK(t, nc.SetReadDeadline(start.Add(time.Second)))
		for range 2 {
			check.Is(t, check.Err(nc.Read(b)), os.ErrDeadlineExceeded, "Read")
			check.Equal(t, time.Since(start), time.Second, "time")
		}
		m.in <- []byte("a")
		check.OK(t, nc.SetReadDeadline(time.Time{}))
		n, err := nc.Read(b)
		check.OK(t, err)
		check.Equal(t, string(b[:n]), "a", "the bytes")
		time.Sleep(2 * time.Hour) // the write deadline passes
		check.Is(t, check.Err(nc.Write(b)), os.ErrDeadlineExceeded, "a late Write")
		check.OK(t, nc.SetWriteDeadline(time.Now().Add(time.Second)))
		n, err = nc.Write(make([]byte, 100<<10)) // nobody reads after the first message
		check.Equal(t, n, 32<<10, "bytes")
		check.Is(t, err, os.ErrDeadlineExceeded, "Write")
		check.Is(t, check.Err(nc.Read(b)), net.ErrClosed, "Read afterwards")
	})
}

// Close ends pending calls. All methods fail after it.
func TestNetConnCloses(t *testing.T) {
	for _, answer := range []error{nil, &endpoint.CloseError{Code: wire.NormalClosure}, errOnPurpose} {
		synctest.Test(t, func(t *testing.T) {
			m := newMessageConn()
			m.answer = answer
			m.out <- nil // a Write blocks
			nc := endpoint.NewNetConn(m, wire.Binary)
			pending := make(chan error, 2)
			go func() { pending <- check.Err(nc.Read(make([]byte, 10))) }()
			go func() { pending <- check.Err(nc.Write([]byte("x"))) }()
			synctest.Wait()
			want := answer
			if answer != errOnPurpose {
				want = nil // a Close of the peer is a good end
			}
			check.Is(t, nc.Close(), want, "Close")
			check.Is(t, <-pending, endpoint.ErrClosed, "Read")
			m.end(errors.New("closed by the test"))
			check.Is(t, <-pending, endpoint.ErrClosed, "Write")
			for _, err := range []error{
				nc.Close(), check.Err(nc.Read(make([]byte, 10))), check.Err(nc.Write([]byte("x"))),
				nc.SetDeadline(time.Time{}), nc.SetReadDeadline(time.Time{}), nc.SetWriteDeadline(time.Time{}),
			} {
				check.Is(t, err, endpoint.ErrClosed, "a call after Close")
			}
			check.Slices(t, m.closed, []wire.StatusCode{wire.NormalClosure}, "Closes")
		})
	}
}
