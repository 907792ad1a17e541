package client_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// receiving receives messages until the connection ends, and returns a channel
// for the reason.
func receiving(ctx context.Context, c *client.Conn) <-chan error {
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := c.Receive(ctx); err != nil {
				ended <- err
				return
			}
		}
	}()
	return ended
}

// wantPongTimeout checks the error of a connection whose server is dead.
func wantPongTimeout(t *testing.T, err error, after time.Duration) {
	t.Helper()
	check.As[*client.LostError](t, err, "the end")
	timeout := check.As[*client.TimeoutError](t, err, "the end")
	if timeout == nil || timeout.Option != "PongTimeout" || timeout.After != after || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection ended with %v", err)
	}
}

// Heartbeats are on by default: a silent server gets a Ping, and if it sends
// nothing after it, the connection is lost.
func TestHeartbeatIsOnByDefault(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		start := time.Now()
		ended := receiving(t.Context(), c)
		for range 3 {
			payload := f.nextPing()
			if len(payload) != 1 {
				t.Errorf("the payload of a heartbeat is %q", payload)
			}
			time.Sleep(time.Second)
			f.send(pongFrame(payload))
			synctest.Wait()
			check.Equal(t, c.RTT(), time.Second, "RTT")
		}
		f.nextPing()
		before := time.Now()
		wantPongTimeout(t, <-ended, client.DefaultPongTimeout)
		check.Equal(t, time.Since(before), client.DefaultPongTimeout, "time from the Ping to the end")
		// The first Ping follows after half of PingInterval, the others after
		// PingInterval.
		check.Equal(t, time.Since(start), 15*time.Second+3*(1+15+15)*time.Second+10*time.Second, "time from the first Receive to the end")
		check.Is(t, check.Err(c.Receive(t.Context())), c.Err(), "Receive afterwards")
	})
}

// Any byte is a sign of life: a piece of a header is one. The silence before a
// Ping is between half of PingInterval and PingInterval.
func TestHeartbeatCountsEveryByte(t *testing.T) {
	cfg := &client.Config{PingInterval: 20 * time.Second, PongTimeout: 5 * time.Second, AssemblyTimeout: -1}
	piped(t, cfg, func(t *testing.T, c *client.Conn, f *farEnd) {
		ended := receiving(t.Context(), c)
		bytes := binaryFrame(make([]byte, 1000))
		for i := range 20 { // less than 10 s apart
			time.Sleep(9 * time.Second)
			f.send(bytes[i : i+1])
		}
		last := time.Now()
		f.nextPing()
		if silence := time.Since(last); silence < 10*time.Second || silence > 20*time.Second {
			t.Errorf("the Ping followed a silence of %v", silence)
		}
		time.Sleep(5*time.Second - 1)
		f.send(bytes[20:21]) // in the last moment
		last = time.Now()
		f.nextPing()
		if silence := time.Since(last); silence < 10*time.Second || silence > 20*time.Second {
			t.Errorf("the second Ping followed a silence of %v", silence)
		}
		wantPongTimeout(t, <-ended, 5*time.Second)
	})
}

// Negative values switch heartbeats off, or only the limit.
func TestHeartbeatOff(t *testing.T) {
	piped(t, &client.Config{PingInterval: -1}, func(t *testing.T, c *client.Conn, f *farEnd) {
		ended := receiving(t.Context(), c)
		time.Sleep(1000 * time.Hour)
		check.OK(t, c.SendText("the first frame"))
		f.want(1, wire.Text, "the first frame")
		c.CloseNow()
		check.Is(t, <-ended, client.ErrClosed, "the end")
	})
	piped(t, &client.Config{PingInterval: 10 * time.Second, PongTimeout: -1}, func(t *testing.T, c *client.Conn, f *farEnd) {
		ended := receiving(t.Context(), c)
		for range 100 {
			f.nextPing()
		}
		check.Equal(t, c.State(), client.Open, "state")
		c.CloseNow()
		check.Is(t, <-ended, client.ErrClosed, "the end")
	})
}

// While no call receives, no heartbeat is sent and no time counts. The next
// call reads the bytes that have arrived.
func TestHeartbeatOnlyWhileReceiving(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := receiving(ctx, c)
		payload := f.nextPing()
		time.Sleep(9 * time.Second)
		cancel()
		check.Is(t, <-ended, context.Canceled, "Receive")
		f.send(pongFrame(payload), textFrame("Hello"))
		time.Sleep(1000 * time.Hour)
		receiveWant(t, c, wire.Text, "Hello")
		check.OK(t, c.SendText("no other Ping"))
		f.want(1, wire.Text, "no other Ping")
	})
}

// Calls with short contexts add up: a dead server is found although no call
// waits as long as PongTimeout.
func TestHeartbeatOfPollingApplication(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		start := time.Now()
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err := c.Receive(ctx)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
				wantPongTimeout(t, err, client.DefaultPongTimeout)
				break
			}
			time.Sleep(100 * time.Millisecond) // of other work
			if time.Since(start) > time.Hour {
				t.Fatal("the server is not found dead")
			}
		}
		if took := time.Since(start); took < 25*time.Second || took > 40*time.Second {
			t.Errorf("found after %v", took)
		}
	})
}

// RTT is that of the last heartbeat. Other Pongs do not count, nor a second
// Pong for one Ping.
func TestRTT(t *testing.T) {
	piped(t, &client.Config{PingInterval: time.Minute, PongTimeout: time.Minute}, func(t *testing.T, c *client.Conn, f *farEnd) {
		receiving(t.Context(), c)
		check.Equal(t, c.RTT(), 0, "RTT before a heartbeat")
		f.send(pongFrame([]byte{0}), pongFrame([]byte{1}))
		payload := f.nextPing()
		f.send(pongFrame(nil), pongFrame([]byte{payload[0] + 1}), pongFrame([]byte{payload[0], 0}))
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		check.Equal(t, c.RTT(), 0, "RTT after other Pongs")
		f.send(pongFrame(payload))
		time.Sleep(20 * time.Millisecond)
		f.send(pongFrame(payload))
		synctest.Wait()
		check.Equal(t, c.RTT(), 20*time.Millisecond, "RTT")
		payload = f.nextPing()
		f.send(pongFrame(payload)) // at once
		synctest.Wait()
		check.Equal(t, c.RTT(), time.Microsecond, "RTT of no time")
		c.CloseNow()
	})
}

// A heartbeat does not disturb Ping, and the Pong of Ping is a sign of life.
func TestHeartbeatBesidePing(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		p := startPing(t.Context(), c)
		payload := f.nextPing()
		heartbeat := f.nextPing() // while Ping waits
		if len(payload) != 8 || len(heartbeat) != 1 {
			t.Errorf("Pings with %q and %q", payload, heartbeat)
		}
		f.send(pongFrame(heartbeat))
		if p.over() {
			t.Error("the Pong of the heartbeat answered Ping")
		}
		p2 := startPing(t.Context(), c)
		f.send(pongFrame(f.nextPing()))
		if !p2.over() || !p.over() || p2.err != nil || p.err != nil {
			t.Errorf("Ping: %v, %v", p.err, p2.err)
		}
		p3 := startPing(t.Context(), c)
		<-p3.done
		wantPongTimeout(t, p3.err, client.DefaultPongTimeout)
	})
}

// After our Close no Ping is sent, and CloseTimeout is the limit.
func TestNoHeartbeatAfterClose(t *testing.T) {
	piped(t, &client.Config{CloseTimeout: time.Hour}, func(t *testing.T, c *client.Conn, f *farEnd) {
		check.OK(t, c.SendClose(wire.NormalClosure, ""))
		start := time.Now()
		err := <-receiving(t.Context(), c)
		timeout := check.As[*client.TimeoutError](t, err, "Receive")
		check.Equal(t, timeout.Option, "CloseTimeout", "the option")
		check.Equal(t, time.Since(start), time.Hour, "the time")
		f.want(1, wire.Close, closePayload(wire.NormalClosure, ""))
		if frame, err := f.next(); err == nil {
			t.Errorf("got a %v after the Close", frame.Opcode)
		}
	})
}

// AssemblyTimeout and PongTimeout are limits of the same reads: the earlier one
// decides.
func TestHeartbeatInsideMessage(t *testing.T) {
	for option, cfg := range map[string]*client.Config{
		"AssemblyTimeout": {AssemblyTimeout: 20 * time.Second, PingInterval: 30 * time.Second, PongTimeout: 10 * time.Second},
		"PongTimeout":     {AssemblyTimeout: 45 * time.Second, PingInterval: 30 * time.Second, PongTimeout: 10 * time.Second},
	} {
		subtestPiped(t, option, cfg, func(t *testing.T, c *client.Conn, f *farEnd) {
			f.send(firstFragment(wire.Text, "a"))
			synctest.Wait()
			start := time.Now()
			timeout := check.As[*client.TimeoutError](t, <-receiving(t.Context(), c), "Receive")
			check.Equal(t, timeout.Option, option, "the option")
			want := map[string]time.Duration{"AssemblyTimeout": 20 * time.Second, "PongTimeout": 40 * time.Second}[option]
			check.Equal(t, time.Since(start), want, "the time")
		})
	}
}

// The same over TCP, whose deadlines are those of the kernel's poller.
func TestHeartbeatOverTCP(t *testing.T) {
	c, f := openTCP(t, &client.Config{PingInterval: 10 * time.Millisecond, PongTimeout: time.Minute})
	received := make(chan string)
	go func() {
		for m, err := range c.Messages(t.Context()) {
			if err != nil {
				break
			}
			received <- m.Text()
		}
		close(received)
	}()
	for range 3 {
		f.send(pongFrame(f.nextPing()), textFrame("Hello"))
		check.Equal(t, <-received, "Hello", "received")
		if c.RTT() <= 0 {
			t.Errorf("RTT is %v", c.RTT())
		}
	}
	c.CloseNow()
	<-received
}

// impatientConn is a net.Conn whose Read returns the error of a deadline from a
// time of its own on.
type impatientConn struct {
	net.Conn
	limit time.Time
}

func (c *impatientConn) Read(p []byte) (int, error) {
	c.Conn.SetReadDeadline(c.limit)
	return c.Conn.Read(p)
}

func (c *impatientConn) SetReadDeadline(time.Time) error { return nil }

// A net.Conn that reaches a time limit of its own is lost. It is no deadline of
// a heartbeat: no Ping is sent, and the error does not name PongTimeout.
func TestHeartbeatOfAConnWithATimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		limit := time.Now().Add(5 * time.Second)
		c, f := openOver(t, &impatientConn{ours, limit}, theirs, nil)
		f.read()
		_, err := c.Receive(t.Context())
		check.Is(t, err, os.ErrDeadlineExceeded, "Receive")
		check.As[*client.LostError](t, err, "Receive")
		var timeout *client.TimeoutError
		if errors.As(err, &timeout) {
			t.Errorf("the connection ended with %v", err)
		}
		check.Equal(t, time.Now(), limit, "time of the end")
		f.wantEnd()
	})
}

// A silence of the server frees the read buffer. Messages of all sizes around
// that of the small buffer arrive before and after one, alone and together.
func TestMessagesAfterSilence(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		received := make(chan []byte, 100)
		go func() {
			for m, err := range c.Messages(t.Context()) {
				if err != nil {
					break
				}
				received <- m.Payload
			}
		}()
		for _, size := range []int{0, 1, 61, 62, 63, 64, 125, 126, 4096, 5000, 100_000, 1} {
			for range 2 {
				payload := bytes.Repeat([]byte{byte(size)}, size)
				f.send(binaryFrame(payload), binaryFrame(payload))
				for range 2 {
					check.Equal(t, string(<-received), string(payload), "message")
				}
				f.send(pongFrame(f.nextPing()))
			}
		}
	})
}
