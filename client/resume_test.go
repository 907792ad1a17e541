package client_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// retained is a server's transport that buffers writes from the call of retain
// until the test delivers them.
type retained struct {
	net.Conn

	mu   sync.Mutex // guards the rest
	on   bool
	kept []byte
}

func (r *retained) retain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = true
}

func (r *retained) take() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.kept
	r.kept = nil
	return kept
}

func (r *retained) Write(p []byte) (int, error) {
	r.mu.Lock()
	if r.on {
		defer r.mu.Unlock()
		r.kept = append(r.kept, p...)
		return len(p), nil
	}
	r.mu.Unlock()
	return r.Conn.Write(p)
}

// open returns a client and its server's end, over a pipe that wrap may change.
// From now on r retains the bytes of the server.
func (r *retained) open(t *testing.T, wrap func(ours, theirs net.Conn) (net.Conn, net.Conn)) (*client.Conn, *farEnd) {
	ours, theirs := net.Pipe()
	r.Conn = theirs
	ours, theirs = wrap(ours, r)
	c, f := openOver(t, ours, theirs, nil)
	f.read()
	r.retain()
	return c, f
}

func plainTransport(ours, theirs net.Conn) (net.Conn, net.Conn) { return ours, theirs }

// receivers are the calls that receive a whole message. Those with a buffer get
// the same one in every call.
var receivers = map[string]func(c *client.Conn) func(ctx context.Context) (string, error){
	"Receive": func(c *client.Conn) func(ctx context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			m, err := c.Receive(ctx)
			return m.Opcode.String() + " " + m.Text(), err
		}
	},
	"ReceiveInto": func(c *client.Conn) func(ctx context.Context) (string, error) {
		buf := make([]byte, 0, 16)
		return func(ctx context.Context) (string, error) {
			op, p, err := c.ReceiveInto(ctx, buf)
			s := op.String() + " " + string(p)
			buf = p[:0]
			clear(buf[:cap(buf)])
			return s, err
		}
	},
	"both in turn": func(c *client.Conn) func(ctx context.Context) (string, error) {
		buf, turn := make([]byte, 4, 100), 0
		return func(ctx context.Context) (string, error) {
			if turn++; turn%2 == 0 {
				m, err := c.Receive(ctx)
				return m.Opcode.String() + " " + m.Text(), err
			}
			op, p, err := c.ReceiveInto(ctx, buf)
			s := op.String() + " " + string(p[4:])
			clear(buf[:cap(buf)])
			return s, err
		}
	},
}

// A Receive that times out leaves the connection usable, also in the middle of
// a frame (6455-6.2-d, T-H14): bytes that arrive one by one, with a timeout
// between every two of them, give the same messages as one delivery.
func TestReceiveContinuesAfterTimeout(t *testing.T) {
	testReceiveGoesOn(t, plainTransport)
}

func testReceiveGoesOn(t *testing.T, transport func(ours, theirs net.Conn) (net.Conn, net.Conn)) {
	stream := slices.Concat(
		textFrame("Hello"), pingFrame("in between"), textFrame(""),
		firstFragment(wire.Text, "one \xe2"), middleFragment(""), pingFrame("inside"), middleFragment("\x82"), lastFragment("\xac"),
		binaryFrame([]byte(strings.Repeat("\x00\xff", 100))), firstFragment(wire.Binary, ""), lastFragment(""),
	)
	want := []string{"text Hello", "text ", "text one €", "binary " + strings.Repeat("\x00\xff", 100), "binary "}
	for name, receiver := range receivers {
		for _, delivery := range []string{"at once", "byte by byte"} {
			check.Bubble(t, name+", "+delivery, func(t *testing.T) {
				var wireTap retained
				c, f := wireTap.open(t, transport)
				check.Must(t, check.Err(f.nc.Write(stream)))
				pieces := slices.Collect(slices.Chunk(wireTap.take(), 1))
				if delivery == "at once" {
					pieces = [][]byte{slices.Concat(pieces...)}
				}
				check.Slices(t, receiveDripped(t, receiver(c), wireTap.Conn, pieces), want, "received")
				f.want(1, wire.Pong, "in between")
				f.want(1, wire.Pong, "inside")
			})
		}
	}
}

// receiveDripped delivers one piece after the other, receives until a timeout
// after each, and returns the messages.
func receiveDripped(t *testing.T, receive func(context.Context) (string, error), to net.Conn, pieces [][]byte) []string {
	t.Helper()
	var got []string
	for _, piece := range pieces {
		delivered := make(chan struct{})
		go func() {
			defer close(delivered)
			to.Write(piece)
		}()
		for {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			s, err := receive(ctx)
			cancel()
			if errors.Is(err, context.DeadlineExceeded) {
				break
			}
			check.Mustf(t, err, "after %q", got)
			got = append(got, s)
		}
		<-delivered
	}
	return got
}

// With an expired context, Receive returns a message that has arrived and reads
// nothing else.
func TestReceiveWithContextThatIsOver(t *testing.T) {
	c, f := openTCP(t, nil)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	f.send(slices.Concat(textFrame("one"), textFrame("two"), textFrame("three")))
	receiveWant(t, c, wire.Text, "one")
	for {
		m, err := c.Receive(over)
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil || m.Opcode != wire.Text {
			t.Fatalf("received %v %q, %v", m.Opcode, m.Payload, err)
		}
	}
	f.send(textFrame("four"))
	for {
		m, err := c.Receive(t.Context())
		check.Must(t, err)
		if m.Text() == "four" {
			break
		}
	}
}

// A Receive whose context ends at random moments, over a real socket, loses,
// repeats and changes no message.
func TestReceiveContinuesAfterCancellation(t *testing.T) {
	c, f := openTCP(t, nil)
	const messages = 500
	go func() {
		for i := range messages {
			s := strings.Repeat(string(rune('a'+i%26)), i*7)
			b := slices.Concat(firstFragment(wire.Text, s[:len(s)/3]), lastFragment(s[len(s)/3:]))
			for piece := range slices.Chunk(b, 1+i%911) {
				f.send(piece)
			}
		}
	}()
	for i := range messages {
		want := strings.Repeat(string(rune('a'+i%26)), i*7)
		for pause := time.Microsecond; ; pause *= 2 {
			ctx, cancel := context.WithTimeout(t.Context(), pause)
			m, err := c.Receive(ctx)
			cancel()
			if errors.Is(err, context.DeadlineExceeded) {
				continue
			}
			if err != nil || m.Text() != want {
				t.Fatalf("message %d: received %v %.50q, %v", i, m.Opcode, m.Payload, err)
			}
			break
		}
	}
}
