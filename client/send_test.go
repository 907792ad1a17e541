package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// Every call that sends a message writes the expected frame.
func TestSend(t *testing.T) {
	c, f := openTCP(t, nil)
	for _, err := range []error{
		c.Send(wire.Text, []byte("grüß dich")), c.Send(wire.Binary, []byte{0, 0xff}), c.SendText("€"), c.SendBinary(nil), c.Send(wire.Text, nil),
	} {
		check.Must(t, err)
	}
	f.want(1, wire.Text, "grüß dich")
	f.want(1, wire.Binary, "\x00\xff")
	f.want(1, wire.Text, "€")
	f.want(1, wire.Binary, "")
	f.want(1, wire.Text, "")
}

// 6455-6.1-c, T-H01, T-H03: the messages of many concurrent senders arrive
// whole, unchanged and in the order of each sender, also while Pings are
// answered.
func TestConcurrentSend(t *testing.T) {
	const writers, messages = 50, 200
	c, f := openTCP(t, nil)
	message := func(w, i int) string {
		return fmt.Sprintf("%d %d %s", w, i, strings.Repeat(string(rune('a'+w%26)), (w*i)%300))
	}
	sends := []func(s string) error{
		c.SendText,
		func(s string) error { return c.Send(wire.Text, []byte(s)) },
		func(s string) error { return errors.Join(c.SendPong([]byte("unasked")), c.SendText(s)) },
		func(s string) error {
			m, err := c.NextWriter(wire.Text)
			if err != nil {
				return err
			}
			return errors.Join(check.Err(io.WriteString(m, s[:3])), m.Flush(), check.Err(io.WriteString(m, s[3:])), m.Close())
		},
	}
	go c.Receive(context.Background()) // to the end of the connection
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range messages {
				check.OKf(t, sends[i%len(sends)](message(w, i)), "writer %d, message %d", w, i)
			}
		})
	}
	for range 20 {
		f.send(pingFrame("ping"))
	}
	next := [writers]int{}
	begun := ""
	for got := 0; got < writers*messages; {
		frame, err := f.next()
		check.Must(t, err)
		if frame.Opcode.IsControl() {
			continue
		}
		if (frame.Opcode == wire.Continuation) != (begun != "") {
			t.Fatalf("a %v frame %q after %q", frame.Opcode, frame.Payload, begun)
		}
		if begun += string(frame.Payload); !frame.Fin {
			continue
		}
		var w, i int
		fmt.Sscanf(begun, "%d %d", &w, &i)
		if begun != message(w, i) || next[w] != i {
			t.Fatalf("got the message %q, want number %d of writer %d", begun, next[w], w)
		}
		next[w]++
		got++
		begun = ""
	}
	all.Wait()
}

// 6455-5.3-e,f, 6455-10.3-a, T-E11: Send does not change the program's buffer,
// and does not read it after it has returned, however slowly the server reads.
func TestBufferOfSend(t *testing.T) {
	for name, size := range map[string]int{"small": 100, "larger than what is masked at once": 200_000} {
		check.Bubble(t, name, func(t *testing.T) {
			c, f := openStalled(t, nil)
			original := bytes.Repeat([]byte("0123456789"), size/10)
			p := bytes.Clone(original)
			sent := make(chan error, 1)
			go func() {
				err := c.SendBinary(p)
				if !bytes.Equal(p, original) {
					t.Error("the buffer has changed")
				}
				clear(p)
				sent <- err
			}()
			if synctest.Wait(); len(sent) > 0 {
				t.Fatal("the message was sent although the server does not read")
			}
			var got []byte
			piece := make([]byte, 7)
			for len(got) < size+4 || len(sent) == 0 {
				n, err := f.nc.Read(piece)
				check.Must(t, err)
				got = append(got, piece[:n]...)
				synctest.Wait()
			}
			frame, n, err := wire.DecodeFrame(got)
			if err != nil || n != len(got) || !bytes.Equal(frame.Payload, original) {
				t.Errorf("something else was sent: %d of %d bytes, %v", n, len(got), err)
			}
			check.OK(t, <-sent)
		})
	}
}

// With a server that does not read, the write ends after WriteTimeout, at most
// a quarter later, and the connection with it. The error names the option.
func TestWriteTimeout(t *testing.T) {
	for name, tt := range map[string]struct {
		option, want time.Duration
	}{
		"default": {0, client.DefaultWriteTimeout},
		"set":     {time.Second, time.Second},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			c, _ := openStalled(t, &client.Config{WriteTimeout: tt.option})
			received := make(chan error)
			go func() {
				_, err := c.Receive(t.Context())
				received <- err
			}()
			start := time.Now()
			err := c.SendText("to nobody")
			if took := time.Since(start); took < tt.want || took > tt.want*5/4 {
				t.Errorf("it took %v", took)
			}
			for name, err := range map[string]error{"the write": err, "Receive": <-received, "the next": c.SendText("more"), "Err": c.Err()} {
				wantWriteTimeout(t, name, err, tt.want)
			}
		})
	}

	t.Run("6455-7.2.1-a: all blocked calls return the error", func(t *testing.T) {
		ours, theirs := tcpPair(t)
		c, _ := openOver(t, ours, theirs, &client.Config{WriteTimeout: 50 * time.Millisecond})
		large := make([]byte, 64<<20) // more than any socket's buffers
		errs := make(chan error)
		for range 3 {
			go func() { errs <- c.SendBinary(large) }()
		}
		go func() {
			_, err := c.Receive(t.Context())
			errs <- err
		}()
		go func() {
			_, err := c.Ping(t.Context())
			errs <- err
		}()
		for range 5 {
			wantWriteTimeout(t, "one of them", <-errs, 50*time.Millisecond)
		}
	})

	check.Bubble(t, "negative: none", func(t *testing.T) {
		c, f := openStalled(t, &client.Config{WriteTimeout: -1})
		sent := make(chan error)
		go func() { sent <- c.SendText("late") }()
		time.Sleep(24 * time.Hour)
		f.read()
		f.want(1, wire.Text, "late")
		check.OK(t, <-sent)
	})

	check.Bubble(t, "a slow reader is no timeout", func(t *testing.T) {
		c, f := openStalled(t, &client.Config{WriteTimeout: time.Second})
		go func() {
			for i := range 100 {
				if err := c.SendText(fmt.Sprint(i)); err != nil {
					t.Errorf("message %d: %v", i, err)
					return
				}
			}
			c.CloseNow()
		}()
		for {
			time.Sleep(900 * time.Millisecond) // for each frame
			if _, err := f.nc.Read(make([]byte, 8)); err != nil {
				break
			}
		}
	})
}

// wantWriteTimeout checks the error and the duration of a call that reached
// WriteTimeout.
func wantWriteTimeout(t *testing.T, what string, err error, after time.Duration) {
	t.Helper()
	var timeout *client.TimeoutError
	var lost *client.LostError
	if !errors.As(err, &timeout) || timeout.After != after || !errors.As(err, &lost) ||
		!errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, net.ErrClosed) {
		t.Errorf("%s: %v", what, err)
		return
	}
	if !strings.Contains(err.Error(), "WriteTimeout") || !strings.Contains(err.Error(), after.String()) {
		t.Errorf("%s: the text does not name the option and its value: %v", what, err)
	}
	checkErrorText(t, err)
}

// A message can be much larger than any buffer, in both directions.
func TestLargeMessage(t *testing.T) {
	c, f := openTCP(t, nil)
	large := bytes.Repeat([]byte("0123456789abcdef"), 10<<16)
	sent := make(chan error, 1)
	go func() { sent <- c.SendBinary(large) }()
	frame, err := f.next()
	if err != nil || !bytes.Equal(frame.Payload, large) {
		t.Errorf("sent %d bytes, %v", len(frame.Payload), err)
	}
	check.OK(t, <-sent)
	f.send(binaryFrame(large))
	r := nextReader(t, c)
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, large) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

// Sendf and SendPing, and the value that an application keeps with a
// connection.
func TestSendfSendPingAndValue(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		check.OK(t, c.Sendf("%d %s", 2, "things"))
		f.want(1, wire.Text, "2 things")
		check.OK(t, c.SendPing([]byte("payload")))
		f.want(1, wire.Ping, "payload")
		check.Is(t, c.SendPing(make([]byte, 126)), wire.ErrControlTooLong, "a Ping of 126 bytes")
		if v := c.Value(); v != nil {
			t.Errorf("the value is %v at first", v)
		}
		c.SetValue(1)
		c.SetValue("two")
		if v := c.Value(); v != "two" {
			t.Errorf("the value is %v", v)
		}
	})
}
