package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// pingCall is a call of Ping in progress.
type pingCall struct {
	took time.Duration
	err  error
	done chan struct{}
}

func startPing(ctx context.Context, c *client.Conn) *pingCall {
	p := &pingCall{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.took, p.err = c.Ping(ctx)
	}()
	return p
}

// over reports whether the call has returned. All other goroutines of the
// bubble must be blocked.
func (p *pingCall) over() bool {
	synctest.Wait()
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// nextPing waits for a Ping and returns its payload.
func (f *farEnd) nextPing() []byte {
	f.t.Helper()
	frame, err := f.next()
	if err != nil || frame.Opcode != wire.Ping || !frame.Fin {
		f.t.Fatalf("got %v %q, %v; want a Ping", frame.Opcode, frame.Payload, err)
	}
	return frame.Payload
}

// Ping returns the time until its Pong was read, with or without another call
// that receives. Messages before the Pong are kept for Receive, in order.
func TestPing(t *testing.T) {
	for name, receiver := range map[string]bool{"nobody receives": false, "another receives": true} {
		subtestPiped(t, name, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
			received := make(chan string, 10)
			if receiver {
				go func() {
					for m, err := range c.Messages(t.Context()) {
						if err == nil {
							received <- m.Text()
						}
					}
					close(received)
				}()
			}
			p := startPing(t.Context(), c)
			payload := f.nextPing()
			time.Sleep(30 * time.Millisecond)
			f.send(textFrame("one"), firstFragment(wire.Text, "t"), pingFrame("server's"), middleFragment("w"), pongFrame(payload), lastFragment("o"))
			if !p.over() || p.err != nil || p.took != 30*time.Millisecond {
				t.Fatalf("Ping returned %v, %v", p.took, p.err)
			}
			f.want(1, wire.Pong, "server's")
			for _, want := range []string{"one", "two"} {
				if receiver {
					check.Equal(t, <-received, want, "received")
				} else {
					receiveWant(t, c, wire.Text, want)
				}
			}
			c.CloseNow() // and so ends the receiver
		})
	}
}

// 6455-5.5.3-c,d, T-C04: only a Pong with the payload of a pending Ping
// completes that Ping. Unsolicited and repeated Pongs have no effect.
func TestPongThatAnswersNothing(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		f.send(pongFrame(nil), pongFrame([]byte("12345678")), textFrame("before"))
		receiveWant(t, c, wire.Text, "before")

		p := startPing(t.Context(), c)
		payload := f.nextPing()
		wrong := slices.Clone(payload)
		wrong[0] ^= 1
		f.send(pongFrame(nil), pongFrame(wrong), pongFrame(payload[:7]), pongFrame(append(slices.Clone(payload), 0)))
		if p.over() {
			t.Errorf("another Pong answered the Ping: %v, %v", p.took, p.err)
		}
		f.send(pongFrame(payload), pongFrame(payload))
		if !p.over() || p.err != nil {
			t.Errorf("its own Pong did not: %v", p.err)
		}

		again := startPing(t.Context(), c)
		f.send(pongFrame(payload))
		second := f.nextPing()
		if again.over() {
			t.Errorf("the first Ping's Pong answered the second: %v, %v", again.took, again.err)
		}
		if slices.Equal(second, payload) {
			t.Error("two Pings have one payload")
		}
		f.send(pongFrame(second), pongFrame(payload), textFrame("after"))
		if !again.over() || again.err != nil {
			t.Errorf("the second Ping: %v", again.err)
		}
		receiveWant(t, c, wire.Text, "after")
	})
}

// A Ping that times out does not end the connection, and its late Pong has no
// effect. The timeout detects a server that has disappeared (T-C13).
func TestPingWithoutPong(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if took, err := c.Ping(ctx); took != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ping returned %v, %v", took, err)
		}
		f.send(pongFrame(f.nextPing()), textFrame("later"))
		receiveWant(t, c, wire.Text, "later")

		// The same holds if another call receives.
		p := startPing(ctx, c)
		if !p.over() || !errors.Is(p.err, context.DeadlineExceeded) {
			t.Errorf("a Ping whose context is over returned %v", p.err)
		}
		received := make(chan error)
		go func() {
			_, err := c.Receive(t.Context())
			received <- err
		}()
		synctest.Wait()
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		check.Is(t, check.Err(c.Ping(ctx)), context.DeadlineExceeded, "Ping returned")
		f.send(textFrame("later still"))
		check.OK(t, <-received)
	})
}

// Many concurrent Pings each get their own Pong, in any order.
func TestManyPings(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		const many = 50
		var calls []*pingCall
		var payloads [][]byte
		for range many {
			calls = append(calls, startPing(t.Context(), c))
			payloads = append(payloads, f.nextPing())
		}
		f.send(textFrame("between"))
		for i := range many { // upwards, so that each Pong answers one Ping
			if calls[i].over() {
				t.Fatalf("Ping %d is answered: %v", i, calls[i].err)
			}
			time.Sleep(time.Millisecond)
			f.send(pongFrame(payloads[i]))
			if !calls[i].over() || calls[i].err != nil || calls[i].took != time.Duration(i+1)*time.Millisecond {
				t.Fatalf("Ping %d took %v, %v", i, calls[i].took, calls[i].err)
			}
		}
		receiveWant(t, c, wire.Text, "between")
	})
}

// 6455-5.5.3-b: a server may answer only the last of several Pings. Its Pong
// completes that Ping and the earlier ones, but no later one.
func TestPongForTheLastPing(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		var calls []*pingCall
		var payloads [][]byte
		for range 20 {
			calls = append(calls, startPing(t.Context(), c))
			payloads = append(payloads, f.nextPing())
			synctest.Wait() // until it waits for the Pong
		}
		f.send(pongFrame(payloads[14]))
		for i, p := range calls {
			if over := p.over(); over != (i <= 14) || p.err != nil {
				t.Errorf("Ping %d: returned: %t, %v", i, over, p.err)
			}
		}
		f.send(pongFrame(payloads[3]), pongFrame(payloads[19]))
		for i, p := range calls {
			if !p.over() || p.err != nil {
				t.Errorf("Ping %d has not returned, or with %v", i, p.err)
			}
		}
	})
}

// Ping keeps at most 1 MiB for Receive. Then it stops reading, so that the
// server blocks until a call receives. An empty message counts too (T-A12).
func TestPingKeepsSoMuch(t *testing.T) {
	for name, tt := range map[string]struct {
		frame    []byte
		min, max int // how many of them are read
	}{
		"16 KiB":            {binaryFrame(make([]byte, 16<<10)), 60, 70},
		"empty":             {binaryFrame(nil), 10_000, 30_000},
		"fragments of one":  {firstFragment(wire.Binary, strings.Repeat("x", 1000)), 1000, 1200},
		"empty with Pings":  {append(pingFrame(""), textFrame("")...), 10_000, 30_000},
		"with control only": {pingFrame("1234567890"), 10_000, 20_000},
	} {
		subtestPiped(t, name, &client.Config{Control: name == "with control only"}, func(t *testing.T, c *client.Conn, f *farEnd) {
			p := startPing(t.Context(), c)
			payload := f.nextPing()
			stop := make(chan struct{})
			sent := make(chan int)
			go func() {
				n := 0
				defer func() { sent <- n }()
				for ; ; n++ {
					frame := tt.frame
					if name == "fragments of one" && n > 0 {
						frame = middleFragment(strings.Repeat("x", 1000))
					}
					select {
					case <-stop:
						return
					default:
					}
					if _, err := f.nc.Write(frame); err != nil {
						return
					}
				}
			}()
			if p.over() {
				t.Fatalf("Ping returned %v", p.err)
			}
			// Everything is blocked: the writer waits for a reader. One
			// Receive returns the kept messages, reads the rest, and the
			// Pong with it.
			close(stop)
			received := make(chan int)
			go func() {
				n := 0
				for _, err := range c.Messages(t.Context()) {
					if err != nil {
						break
					}
					n++
				}
				received <- n
			}()
			n := <-sent
			if n < tt.min || n > tt.max {
				t.Errorf("%d frames were read, want %d to %d", n, tt.min, tt.max)
			}
			f.send(pongFrame(payload))
			if !p.over() || p.err != nil {
				t.Errorf("Ping has not returned, or with %v", p.err)
			}
			c.CloseNow()
			if got := <-received; name != "fragments of one" && got < n {
				t.Errorf("%d messages were received of %d", got, n)
			}
		})
	}
}

// ReceiveInto returns the messages that a Ping has kept, but no control
// messages.
func TestReceiveIntoOfKeptMessage(t *testing.T) {
	piped(t, &client.Config{Control: true}, func(t *testing.T, c *client.Conn, f *farEnd) {
		p := startPing(t.Context(), c)
		f.send(pingFrame("not for it"), textFrame("kept"), pongFrame(f.nextPing()))
		if !p.over() || p.err != nil {
			t.Fatal(p.err)
		}
		if op, b, err := c.ReceiveInto(t.Context(), []byte(">")); err != nil || op != wire.Text || string(b) != ">kept" {
			t.Errorf("received %v %q, %v", op, b, err)
		}
	})
}

// An open reader excludes other calls that receive; its reads find the Pong.
func TestPingWhileReaderIsOpen(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		f.send(firstFragment(wire.Text, "a"))
		r := nextReader(t, c)
		p := startPing(t.Context(), c)
		f.send(pongFrame(f.nextPing()), middleFragment("b"))
		if p.over() {
			t.Error("Ping read in a message that another reads")
		}
		buf := make([]byte, 10)
		for range 2 {
			check.Must(t, check.Err(r.Read(buf)))
		}
		if !p.over() || p.err != nil {
			t.Errorf("Ping has not returned, or with %v", p.err)
		}
	})
}

// The end of the connection ends a Ping, whether the Ping itself receives or
// another call.
func TestPingWhenConnectionEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		end    func(c *client.Conn, f *farEnd)
		target any
	}{
		"the server closes": {func(_ *client.Conn, f *farEnd) { f.send(closeFrame(4000, "enough")) }, new(*client.CloseError)},
		"a broken rule":     {func(_ *client.Conn, f *farEnd) { f.send([]byte{0x83, 0}) }, new(*client.FailError)},
		"the transport":     {func(_ *client.Conn, f *farEnd) { f.nc.Close() }, new(*client.LostError)},
		"CloseNow":          {func(c *client.Conn, _ *farEnd) { c.CloseNow() }, nil},
	} {
		for _, receiver := range []string{"", " while another receives"} {
			subtestPiped(t, name+receiver, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
				received := make(chan error, 1)
				if receiver != "" {
					go func() {
						_, err := c.Receive(t.Context())
						received <- err
					}()
					synctest.Wait()
				}
				calls := []*pingCall{startPing(t.Context(), c), startPing(t.Context(), c)}
				for range calls {
					f.nextPing()
				}
				tt.end(c, f)
				synctest.Wait()
				f.nc.Close() // or the end would wait for it
				for _, p := range calls {
					<-p.done
					if tt.target != nil && !errors.As(p.err, tt.target) || tt.target == nil && !errors.Is(p.err, client.ErrClosed) {
						t.Errorf("Ping returned %v", p.err)
					}
				}
				if receiver != "" {
					if err := <-received; tt.target != nil && !errors.As(err, tt.target) || tt.target == nil && !errors.Is(err, client.ErrClosed) {
						t.Errorf("Receive returned %v", err)
					}
				}
				if _, err := c.Ping(t.Context()); !errors.Is(err, c.Err()) {
					t.Errorf("another Ping: %v, want %v", err, c.Err())
				}
			})
		}
	}
}

// endedContext is a context whose Done is closed a moment after Err is set.
type endedContext struct {
	context.Context
	ended atomic.Bool
}

func (c *endedContext) Err() error {
	if c.ended.Load() {
		return context.DeadlineExceeded
	}
	return c.Context.Err()
}

// A Ping returns the error of its context, also if a call that receives
// interrupts it at the same time. It used to return context.Canceled.
func TestPingEndsWhenItIsInterrupted(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		ctx := &endedContext{Context: t.Context()}
		p := startPing(ctx, c)
		f.nextPing()
		synctest.Wait()
		ctx.ended.Store(true)
		go c.Receive(t.Context())
		if !p.over() || p.err != context.DeadlineExceeded {
			t.Errorf("Ping has not returned, or with %v", p.err)
		}
		c.CloseNow()
	})
}

// mute is a net.Conn whose writes fail from a moment on.
type mute struct {
	net.Conn
	now atomic.Bool
}

func (m *mute) Write(p []byte) (int, error) {
	if m.now.Load() {
		return 0, io.ErrClosedPipe
	}
	return m.Conn.Write(p)
}

// A Ping that cannot be sent returns the server's Close, which another call
// reads. It leaves the message alone that the other call assembles: the race
// detector found that it did not.
func TestPingFailsWhileAnotherReceives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		transport := &mute{Conn: ours}
		c, f := openOver(t, transport, theirs, nil)
		f.read()
		received := make(chan string, 1)
		go func() {
			m, _ := c.Receive(t.Context())
			received <- m.Text()
			c.Receive(t.Context())
		}()
		const pieces = 500
		f.send(firstFragment(wire.Text, ""))
		synctest.Wait()
		transport.now.Store(true)
		p := startPing(t.Context(), c)
		for range pieces {
			f.send(middleFragment("x"))
		}
		f.send(lastFragment(""), closeFrame(4000, ""))
		check.Equal(t, <-received, strings.Repeat("x", pieces), "received")
		f.hangUp()
		<-p.done
		var closed *client.CloseError
		if !errors.As(p.err, &closed) || closed.Code != 4000 {
			t.Errorf("Ping returned %v", p.err)
		}
	})
}

// A call that receives returns at once, although a Ping or a Close reads from
// the connection: with a kept message, with the first piece of one, or with one
// that arrives later.
func TestReceiveWhilePingOrCloseReads(t *testing.T) {
	calls := map[string]func(ctx context.Context, c *client.Conn){
		"one Ping": func(ctx context.Context, c *client.Conn) { c.Ping(ctx) },
		"Pings": func(ctx context.Context, c *client.Conn) {
			done := make(chan struct{})
			for range 3 {
				go func() { c.Ping(ctx); done <- struct{}{} }()
			}
			for range 3 {
				<-done
			}
		},
		"Close": func(ctx context.Context, c *client.Conn) { c.Close(wire.NormalClosure, "") },
	}
	arrivals := map[string]struct{ before, after []byte }{
		"a message before":     {before: textFrame("message")},
		"a message after":      {after: textFrame("message")},
		"a first piece before": {before: firstFragment(wire.Text, "mess"), after: lastFragment("age")},
		"two messages before":  {before: append(textFrame("message"), textFrame("other")...)},
	}
	for callName, call := range calls {
		for arrivalName, arrival := range arrivals {
			for receiveName, receive := range receives {
				subtestPiped(t, callName+"/"+arrivalName+"/"+receiveName, &client.Config{CloseTimeout: -1}, func(t *testing.T, c *client.Conn, f *farEnd) {
					over := make(chan struct{})
					go func() {
						defer close(over)
						call(t.Context(), c)
					}()
					synctest.Wait()
					if arrival.before != nil {
						f.send(arrival.before)
					}
					synctest.Wait()
					received := make(chan struct{})
					go func() {
						defer close(received)
						if got, err := receive(t.Context(), c); got != "message" || err != nil {
							t.Errorf("received %q, %v", got, err)
						}
					}()
					synctest.Wait()
					if arrival.after != nil {
						f.send(arrival.after)
					}
					synctest.Wait()
					select {
					case <-received:
					default:
						t.Error("the call still waits")
					}
					select {
					case <-over:
						t.Error("the Ping or Close has returned")
					default:
					}
					c.CloseNow()
					<-over
					<-received
				})
			}
		}
	}
}

// NextReader returns at once if Ping has read the first piece of a message.
func TestNextReaderOfPieceThatPingRead(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		p := startPing(t.Context(), c)
		payload := f.nextPing()
		f.send(firstFragment(wire.Text, "first"))
		synctest.Wait()
		r := nextReader(t, c)
		buf := make([]byte, 10)
		if n, err := r.Read(buf); string(buf[:n]) != "first" || err != nil {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		f.send(pongFrame(payload), lastFragment("last"))
		wantRead(t, r, "last")
		if !p.over() || p.err != nil {
			t.Errorf("Ping has not returned, or with %v", p.err)
		}
	})
}

// When a call stops receiving, the Ping reads again.
func TestPingReadsAfterReceiveGaveUp(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		p := startPing(t.Context(), c)
		payload := f.nextPing()
		ctx := check.Within(t, time.Second)
		check.Is(t, check.Err(c.Receive(ctx)), context.DeadlineExceeded, "Receive returned")
		ended, end := context.WithCancel(t.Context())
		end()
		check.Is(t, check.Err(c.Receive(ended)), context.Canceled, "Receive returned")
		f.send(textFrame("kept"), pongFrame(payload))
		if !p.over() || p.err != nil {
			t.Errorf("Ping has not returned, or with %v", p.err)
		}
		receiveWant(t, c, wire.Text, "kept")
	})
}
