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

// 6455-5.6-c: a text that is not UTF-8 is not sent, and the connection stays
// open.
func TestSendOfTextThatIsNotUTF8(t *testing.T) {
	c, f := openTCP(t, nil)
	for _, s := range []string{"\xff", "cut off \xe2\x82", "\xed\xa0\x80"} {
		for name, err := range map[string]error{"Send": c.Send(wire.Text, []byte(s)), "SendText": c.SendText(s)} {
			check.Is(t, err, wire.ErrInvalidUTF8, "%s of %q", name, s)
			checkErrorText(t, err)
		}
	}
	check.Must(t, c.SendText("next"))
	f.want(1, wire.Text, "next")
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
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		check.Is(t, check.Err(c.Receive(ctx)), context.Canceled, "Receive")
	})
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range messages {
				var err error
				switch s := message(w, i); i % 4 {
				case 0:
					err = c.SendText(s)
				case 1:
					err = c.Send(wire.Text, []byte(s))
				case 2:
					err = c.SendPong([]byte("unasked"))
					if err == nil {
						err = c.SendText(s)
					}
				case 3:
					m, _ := c.NextWriter(wire.Text)
					m.Write([]byte(s[:3]))
					m.Flush()
					m.Write([]byte(s[3:]))
					err = m.Close()
				}
				if err != nil {
					t.Errorf("writer %d, message %d: %v", w, i, err)
					return
				}
			}
		})
	}
	all.Go(func() {
		writing.Wait()
		cancel()
	})
	for range 20 {
		f.send(pingFrame("ping"))
	}
	next := [writers]int{}
	message1 := ""
	for got := 0; got < writers*messages; {
		frame, err := f.next()
		check.Must(t, err)
		if frame.Opcode.IsControl() {
			continue
		}
		if (frame.Opcode == wire.Continuation) != (message1 != "") {
			t.Fatalf("a %v frame %q after %q", frame.Opcode, frame.Payload, message1)
		}
		message1 += string(frame.Payload)
		if !frame.Fin {
			continue
		}
		var w, i int
		fmt.Sscanf(message1, "%d %d", &w, &i)
		if message1 != message(w, i) || next[w] != i {
			t.Fatalf("got the message %q, want number %d of writer %d", message1, next[w], w)
		}
		next[w]++
		got++
		message1 = ""
	}
	all.Wait()
}

// 6455-5.3-a,b, 6455-10.3-a, T-E09, T-E10: every frame has a masking key of its
// own, fragments and control frames too, and equal messages look different.
func TestMaskingKeys(t *testing.T) {
	c, f := openTCP(t, nil)
	w := nextWriter(t, c, wire.Binary)
	for range 250 {
		check.Must(t, c.SendText("same"))
		check.Must(t, c.SendPong([]byte("same")))
	}
	for range 499 {
		write(t, w, "same")
		check.Must(t, w.Flush())
	}
	check.Must(t, w.Close())
	keys := map[wire.MaskingKey]bool{}
	equal := 0
	for range 1000 {
		frame, err := f.next()
		if err != nil || !frame.Masked {
			t.Fatalf("%+v, %v", frame, err)
		}
		if keys[frame.Key] {
			equal++
		}
		keys[frame.Key] = true
	}
	// One equal pair among 1000 keys of 32 bits is expected once in 8600 runs.
	if equal > 1 {
		t.Errorf("%d of 1000 keys were used twice", equal)
	}
}

// T-E07: a payload is not readable on the wire, so that no proxy can mistake it
// for a request.
func TestPayloadIsNotOnTheWire(t *testing.T) {
	c, f := openTCP(t, nil)
	const request = "GET /script.js HTTP/1.1\r\nHost: victim.example\r\n\r\n"
	large := strings.Repeat(request, 2000)
	check.Must(t, c.SendText(request))
	check.Must(t, c.SendText(large))
	f.want(1, wire.Text, request)
	f.want(1, wire.Text, large)
	for _, s := range []string{request, "GET /", "HTTP/1.1", "victim"} {
		if bytes.Contains(f.bytes(), []byte(s)) {
			t.Errorf("%q is on the wire", s)
		}
	}
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

// brokenWriter is a transport whose writes fail, the last one after half of its
// bytes.
type brokenWriter struct {
	net.Conn
	mu    sync.Mutex
	left  int // writes that succeed, from now on; negative: all
	after int // writes after the one that failed
}

var errBroken = errors.New("the cable is cut")

func (b *brokenWriter) breakAfter(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = n
}

func (b *brokenWriter) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left != 0 {
		b.left--
		return b.Conn.Write(p)
	}
	b.after++
	if b.after > 1 {
		return b.Conn.Write(p)
	}
	n, _ := b.Conn.Write(p[:len(p)/2])
	return n, errBroken
}

// 6455-6.1-d: after a write that failed in the middle of a frame the client
// writes nothing more. All calls that send return the error of that write.
func TestNothingIsSentAfterHalfFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		broken := &brokenWriter{Conn: ours, left: -1}
		c, f := openOver(t, broken, theirs, nil)
		f.read()
		w := nextWriter(t, c, wire.Text)
		broken.breakAfter(0)
		_, ping := c.Ping(t.Context())
		for name, err := range map[string]error{
			"the write that failed": ping,
			"SendText":              c.SendText("more"),
			"SendPong":              c.SendPong(nil),
			"a message's Close":     w.Close(),
			"SendJSON":              c.SendJSON(1),
			"Close":                 c.Close(wire.NormalClosure, ""),
		} {
			var lost *client.LostError
			if !errors.Is(err, errBroken) || !errors.As(err, &lost) || !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if c.State() != client.Closed || broken.after != 1 {
			t.Errorf("the connection is %v, and there were %d more writes", c.State(), broken.after-1)
		}
		f.nc.Close()
		check.Is(t, check.Err(c.Receive(t.Context())), errBroken, "Receive")
		if !errors.Is(c.Err(), errBroken) {
			t.Errorf("Err: %v", c.Err())
		}
	})
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

// slowWriter is a transport that writes k bytes at a time.
type slowWriter struct {
	net.Conn
	k int
}

func (s *slowWriter) Write(p []byte) (n int, err error) {
	for len(p) > n && err == nil {
		var m int
		m, err = s.Conn.Write(p[n:min(n+s.k, len(p))])
		n += m
	}
	return n, err
}

// T-G11, T-H03: the frames are the same on a transport that writes them in
// pieces, also with several senders and Pings to answer.
func TestTransportThatWritesInPieces(t *testing.T) {
	for _, k := range []int{1, 2, 3, 13} {
		ours, theirs := net.Pipe()
		c, f := openOver(t, &slowWriter{ours, k}, theirs, nil)
		f.read()
		large := strings.Repeat("large ", 1000)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				check.OK(t, c.SendText(large))
			})
		}
		f.send(pingFrame("1"), pingFrame("2"), textFrame("done"))
		receiveWant(t, c, wire.Text, "done")
		all.Wait()
		check.Must(t, c.SendText("end"))
		messages, pongs := 0, 0
		for {
			frame, err := f.next()
			check.Must(t, err)
			if frame.Opcode == wire.Pong {
				pongs++
				continue
			}
			if string(frame.Payload) == "end" {
				break
			}
			if string(frame.Payload) != large {
				t.Errorf("got the message %.50q", frame.Payload)
			}
			messages++
		}
		if messages != 3 || pongs > 2 {
			t.Errorf("%d bytes at a time: %d messages and %d pongs", k, messages, pongs)
		}
	}
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
	_, r, err := c.NextReader(t.Context())
	check.Must(t, err)
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, large) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

// Sendf and SendPing, and the value that an application keeps with a
// connection.
func TestSendfSendPingAndValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := openPipe(t, nil)
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
