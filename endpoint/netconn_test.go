package endpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
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
// sends to out. Its end is err, with an opcode that does not count.
type messageConn struct {
	in, out chan []byte
	op      wire.Opcode
	ended   chan struct{}
	err     error                 // set before ended is closed
	closes  []endpoint.CloseError // the arguments of Close
	answer  error                 // of Close
	sending chan struct{}         // closed when Send is called; nil: the test does not need it
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
		return m.op, nil, m.err
	case <-ctx.Done():
		return m.op, nil, ctx.Err()
	}
}

func (m *messageConn) Send(_ wire.Opcode, p []byte) error {
	if m.sending != nil {
		close(m.sending)
	}
	select {
	case m.out <- bytes.Clone(p):
		return nil
	case <-m.ended:
		return m.err
	}
}

func (m *messageConn) Close(code wire.StatusCode, reason string) error {
	m.closes = append(m.closes, endpoint.CloseError{Code: code, Reason: reason})
	return m.answer
}

func (m *messageConn) CloseNow() error      { m.end(net.ErrClosed); return nil }
func (m *messageConn) LocalAddr() net.Addr  { return &net.TCPAddr{Port: 1} }
func (m *messageConn) RemoteAddr() net.Addr { return &net.TCPAddr{Port: 2} }

// readErr returns the error of a Read, which returns no byte.
func readErr(t *testing.T, nc net.Conn) error {
	t.Helper()
	n, err := nc.Read(make([]byte, 10))
	check.Equal(t, n, 0, "bytes of the Read")
	return err
}

// writeErr returns the error of a Write, which writes no byte.
func writeErr(t *testing.T, nc net.Conn) error {
	t.Helper()
	n, err := nc.Write([]byte("x"))
	check.Equal(t, n, 0, "bytes of the Write")
	return err
}

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
	b := make([]byte, 3)
	var got []byte
	for len(got) < 6+len(large)+1 {
		n, err := nc.Read(b)
		check.Must(t, err)
		got = append(got, b[:n]...)
	}
	check.Equal(t, string(got) == "abcdef"+large+"g", true, "the bytes are the same")
}

// A Read of no bytes returns at once, and a Read of one byte returns a byte.
func TestNetConnReadsFewBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMessageConn()
		nc := endpoint.NewNetConn(m, wire.Binary)
		n, err := nc.Read(nil)
		check.OK(t, err)
		check.Equal(t, n, 0, "bytes of an empty Read")
		m.in <- []byte("a")
		n, err = nc.Read(make([]byte, 1))
		check.OK(t, err)
		check.Equal(t, n, 1, "bytes of a Read of one byte")
	})
}

// A Close with 1000 or 1001 is io.EOF. Other errors are returned, also again.
func TestNetConnReadErrors(t *testing.T) {
	protocolError := &endpoint.CloseError{Code: wire.ProtocolError}
	for _, tt := range []struct{ end, want error }{
		{&endpoint.CloseError{Code: wire.NormalClosure}, io.EOF},
		{&endpoint.CloseError{Code: wire.GoingAway}, io.EOF},
		{protocolError, protocolError},
		{errOnPurpose, errOnPurpose},
	} {
		m := newMessageConn()
		m.end(tt.end)
		nc := endpoint.NewNetConn(m, wire.Binary)
		for range 2 {
			check.Is(t, readErr(t, nc), tt.want, "Read after %v", tt.end)
		}
	}
}

// A message of up to 64 KiB leaves its buffer for the next one, a larger one
// does not.
func TestNetConnBuffer(t *testing.T) {
	m := &exactConn{messageConn: newMessageConn()}
	nc := endpoint.NewNetConn(m, wire.Binary)
	for _, size := range []int{64 << 10, 64<<10 + 1, 1} {
		m.in <- make([]byte, size)
		check.OK(t, check.Err(io.CopyN(io.Discard, nc, int64(size))))
	}
	check.Slices(t, m.buffers, []int{0, 64 << 10, 0}, "capacities of the buffers")
}

// exactConn is a messageConn whose messages fill their buffers. It records the
// capacities of those it gets.
type exactConn struct {
	*messageConn
	buffers []int
}

func (m *exactConn) ReceiveInto(ctx context.Context, buf []byte) (wire.Opcode, []byte, error) {
	m.buffers = append(m.buffers, cap(buf))
	op, p, err := m.messageConn.ReceiveInto(ctx, nil)
	return op, slices.Clip(p), err
}

// A message of another type fails the connection with 1003.
func TestNetConnOfAnotherType(t *testing.T) {
	m := newMessageConn()
	m.op = wire.Text
	nc := endpoint.NewNetConn(m, wire.Binary)
	m.in <- []byte("text")
	for range 2 {
		failed := check.As[*wire.Error](t, readErr(t, nc), "Read")
		want := wire.Error{Code: wire.UnsupportedData, Reason: "message of another type than that of the NetConn"}
		check.Equal(t, *failed, want, "the error")
	}
	check.Slices(t, m.closes, []endpoint.CloseError{{Code: wire.UnsupportedData}}, "Closes")
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
			go func() { read <- readErr(t, nc) }()
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
			go func() { pending <- readErr(t, nc) }()
			go func() { pending <- writeErr(t, nc) }()
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

// A text of exactly 32 KiB is one message. In one that is not UTF-8 the search
// for a code point is short.
func TestNetConnPieceOfText(t *testing.T) {
	const most = 32 << 10
	for text, want := range map[string]int{
		strings.Repeat("x", most):      most,
		strings.Repeat("\x80", most+1): most - utf8.UTFMax,
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMessageConn()
			nc := endpoint.NewNetConn(m, wire.Text)
			go func() { _, _ = io.WriteString(nc, text) }() // the second message fails
			check.Equal(t, len(<-m.out), want, "bytes of the first message")
			m.end(errOnPurpose)
		})
	}
}

// The error of a Send is that of the Write. A Write that a Close does not
// prevent has none.
func TestNetConnWriteErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMessageConn()
		nc := endpoint.NewNetConn(m, wire.Binary)
		m.out <- nil // a Write blocks
		written := make(chan error, 1)
		go func() { written <- check.Err(nc.Write([]byte("x"))) }()
		synctest.Wait()
		check.OK(t, nc.Close())
		<-m.out
		check.OKf(t, <-written, "a Write during Close")

		nc = endpoint.NewNetConn(m, wire.Binary) // out is full
		m.end(errOnPurpose)
		check.Is(t, writeErr(t, nc), errOnPurpose, "a Write that fails")
	})
}

// A deadline has passed at its time, and not a nanosecond before.
func TestNetConnDeadlineIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMessageConn()
		nc := endpoint.NewNetConn(m, wire.Binary)
		check.OK(t, nc.SetDeadline(time.Now().Add(time.Nanosecond)))
		check.OKf(t, check.Err(nc.Write(nil)), "a Write before the deadline")
		check.OK(t, nc.SetDeadline(time.Now()))
		check.Is(t, writeErr(t, nc), os.ErrDeadlineExceeded, "a Write at the deadline")
	})
}

// The write deadline applies to a Write that is pending when Close returns, as
// that of a server's connection may.
func TestNetConnWriteDeadlineAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMessageConn()
		nc := endpoint.NewNetConn(m, wire.Binary)
		m.out <- nil // a Write blocks
		start := time.Now()
		check.OK(t, nc.SetWriteDeadline(start.Add(time.Second)))
		written := make(chan error, 1)
		go func() { written <- writeErr(t, nc) }()
		synctest.Wait()
		check.OK(t, nc.Close())
		check.Is(t, <-written, os.ErrDeadlineExceeded, "a Write during Close")
		check.Equal(t, time.Since(start), time.Second, "the time of the Write")
	})
}

// A deadline that was replaced, or is that of a closed connection, leaves no
// timer.
func TestNetConnDeadlinesLeaveNoTimers(t *testing.T) {
	nc := endpoint.NewNetConn(newMessageConn(), wire.Binary)
	const changes = 10_000
	before := heap()
	for range changes {
		check.OK(t, nc.SetDeadline(time.Now().Add(time.Hour)))
	}
	if each := (heap() - before) / changes; each > 40 {
		t.Errorf("a change of the deadline leaves %d bytes", each)
	}
	runtime.KeepAlive(nc)

	const conns = 1000
	for _, pending := range []bool{false, true} { // a Write ends after Close
		before = heap()
		for range conns {
			m := newMessageConn()
			nc := endpoint.NewNetConn(m, wire.Binary)
			check.OK(t, nc.SetDeadline(time.Now().Add(time.Hour)))
			if !pending {
				check.OK(t, nc.Close())
				continue
			}
			m.out <- nil // a Write blocks
			m.sending = make(chan struct{})
			written := make(chan error, 1)
			go func() { written <- check.Err(nc.Write([]byte("x"))) }()
			<-m.sending
			check.OK(t, nc.Close())
			<-m.out
			check.OK(t, <-written)
		}
		if each := (heap() - before) / conns; each > 100 {
			t.Errorf("a closed connection leaves %d bytes, with a pending Write: %v", each, pending)
		}
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
			check.Is(t, readErr(t, nc), os.ErrDeadlineExceeded, "Read")
			check.Equal(t, time.Since(start), time.Second, "time")
		}
		m.in <- []byte("a")
		check.OK(t, nc.SetReadDeadline(time.Time{}))
		n, err := nc.Read(b)
		check.OK(t, err)
		check.Equal(t, string(b[:n]), "a", "the bytes")
		time.Sleep(2 * time.Hour) // the write deadline passes
		check.Is(t, writeErr(t, nc), os.ErrDeadlineExceeded, "a late Write")
		check.OK(t, nc.SetWriteDeadline(time.Now().Add(time.Second)))
		n, err = nc.Write(make([]byte, 100<<10)) // nobody reads after the first message
		check.Equal(t, n, 32<<10, "bytes")
		check.Is(t, err, os.ErrDeadlineExceeded, "Write")
		check.Is(t, readErr(t, nc), net.ErrClosed, "Read afterwards")
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
			go func() { pending <- readErr(t, nc) }()
			go func() { pending <- writeErr(t, nc) }()
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
				nc.Close(), readErr(t, nc), writeErr(t, nc),
				nc.SetDeadline(time.Time{}), nc.SetReadDeadline(time.Time{}), nc.SetWriteDeadline(time.Time{}),
			} {
				check.Is(t, err, endpoint.ErrClosed, "a call after Close")
			}
			check.Slices(t, m.closes, []endpoint.CloseError{{Code: wire.NormalClosure}}, "Closes")
		})
	}
}
