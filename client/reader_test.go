package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// A reader reads one message, in frames and pieces of any size, and ends with
// it. The type is that of the first fragment (6455-5.4-f, 6455-6.2-b).
func TestReaderReadsOneMessage(t *testing.T) {
	large := bytes.Repeat([]byte("large and larger "), 50_000)
	for name, tt := range map[string]struct {
		frames [][]byte
		op     wire.Opcode
		want   string
	}{
		"one frame":            {[][]byte{textFrame("Hello")}, wire.Text, "Hello"},
		"empty":                {[][]byte{binaryFrame(nil)}, wire.Binary, ""},
		"fragments":            {[][]byte{firstFragment(wire.Binary, "a"), middleFragment("b"), lastFragment("c")}, wire.Binary, "abc"},
		"empty fragments":      {[][]byte{firstFragment(wire.Text, ""), middleFragment(""), lastFragment("")}, wire.Text, ""},
		"empty last fragment":  {[][]byte{firstFragment(wire.Text, "a"), lastFragment("")}, wire.Text, "a"},
		"pings inside":         {[][]byte{pingFrame("1"), firstFragment(wire.Text, "a"), pingFrame("2"), lastFragment("b")}, wire.Text, "ab"},
		"larger than a buffer": {[][]byte{binaryFrame(large)}, wire.Binary, string(large)},
		"a code point in two":  {[][]byte{firstFragment(wire.Text, "\xe2\x82"), lastFragment("\xac")}, wire.Text, "€"},
	} {
		t.Run(name, func(t *testing.T) {
			c, f := openTCP(t, nil)
			f.send(tt.frames...)
			f.send(textFrame("next"))
			op, r, err := c.NextReader(t.Context())
			if err != nil || op != tt.op {
				t.Fatalf("NextReader: %v, %v", op, err)
			}
			check.OK(t, iotest.TestReader(r, []byte(tt.want)))
			if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("behind the message's end: %d, %v", n, err)
			}
			receiveWant(t, c, wire.Text, "next")
			if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("after the next message: %d, %v", n, err)
			}
		})
	}
}

// A reader returns the received bytes of a frame before the rest has arrived.
func TestReaderStreams(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		frame := textFrame("streamed")
		f.send(frame[:2+3])
		r := nextReader(t, c)
		buf := make([]byte, 100)
		if n, err := r.Read(buf); err != nil || string(buf[:n]) != "str" {
			t.Errorf("the first read: %q, %v", buf[:n], err)
		}
		f.send(frame[5:])
		wantRead(t, r, "eamed")
	})
}

// 6455-6.2-c: the unread rest of a message is skipped by the next call that
// receives. Its reader never returns bytes of another message.
func TestAbandonedReader(t *testing.T) {
	abandoned := [][]byte{firstFragment(wire.Binary, "abandoned"), middleFragment(" and"), lastFragment(" forgotten")}
	for name, receive := range receives {
		for read, bytes := range map[string]int{"unread": 0, "half read": 11, "all but its end": len("abandoned and forgotten")} {
			t.Run(name+" after one "+read, func(t *testing.T) {
				c, f := openTCP(t, nil)
				f.send(abandoned...)
				f.send(textFrame("next"))
				op, r, err := c.NextReader(t.Context())
				if err != nil || op != wire.Binary {
					t.Fatal(op, err)
				}
				check.Must(t, check.Err(io.ReadFull(r, make([]byte, bytes))))
				got, err := receive(t.Context(), c)
				check.OKf(t, err, "the next message")
				check.Equal(t, got, "next", "the next message")
				n, err := r.Read(make([]byte, 100))
				var usage *client.UsageError
				if n != 0 || !errors.Is(err, client.ErrReaderAbandoned) || !errors.As(err, &usage) {
					t.Errorf("the abandoned reader read %d, %v", n, err)
				}
			})
		}
	}
}

// A reader of a message that was received whole behaves like any other.
func TestAbandonedReaderOfWholeMessage(t *testing.T) {
	c, f := openTCP(t, nil)
	f.send(append(textFrame("one"), textFrame("two")...))
	r := nextReader(t, c)
	receiveWant(t, c, wire.Text, "two")
	if n, err := r.Read(make([]byte, 100)); n != 0 || !errors.Is(err, client.ErrReaderAbandoned) {
		t.Errorf("the abandoned reader read %d, %v", n, err)
	}
}

// A reader whose context has ended is closed; the rest of its message is
// skipped. The connection stays usable.
func TestReaderWhoseContextEnds(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		ctx := check.Within(t, time.Second)
		f.send(firstFragment(wire.Text, "half of it"))
		_, r, err := c.NextReader(ctx)
		check.Must(t, err)
		b, err := io.ReadAll(r)
		if string(b) != "half of it" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("read %q, %v", b, err)
		}
		if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("read again: %d, %v", n, err)
		}
		f.send(middleFragment("and then"), pingFrame("ping"), lastFragment("the other"), textFrame("next"))
		receiveWant(t, c, wire.Text, "next")
		f.want(1, wire.Pong, "ping")
	})
}

// A message that a Receive began and gave up is begun from its start by a
// reader.
func TestReaderOfMessageThatReceiveGaveUp(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		f.send(firstFragment(wire.Binary, "from the"))
		receiveNothing(t, c)
		op, r, err := c.NextReader(t.Context())
		if err != nil || op != wire.Binary {
			t.Fatal(op, err)
		}
		f.send(lastFragment(" start"))
		wantRead(t, r, "from the start")
	})
}

// A reader of an incomplete message does not end with io.EOF (6455-5.2-m,
// 6455-8.1-c, 6455-7.1.7-a).
func TestReaderOfMessageThatIsCutOff(t *testing.T) {
	for name, tt := range map[string]struct {
		send [][]byte
		end  bool // of the transport
		want any
	}{
		"by the transport": {[][]byte{firstFragment(wire.Text, "half")}, true, new(*client.LostError)},
		"by a Close":       {[][]byte{firstFragment(wire.Text, "half"), closeFrame(1001, "")}, false, new(*client.CloseError)},
		"by bad UTF-8":     {[][]byte{firstFragment(wire.Text, "half"), lastFragment("\xff")}, false, new(*client.FailError)},
		"by a broken rule": {[][]byte{firstFragment(wire.Text, "half"), textFrame("another")}, false, new(*client.FailError)},
	} {
		t.Run(name, func(t *testing.T) {
			c, f := openTCP(t, nil)
			f.send(tt.send...)
			r := nextReader(t, c)
			got := make([]byte, 4)
			if _, err := io.ReadFull(r, got); err != nil || string(got) != "half" {
				t.Fatalf("read %q, %v", got, err)
			}
			if tt.end {
				f.nc.Close()
			}
			if n, err := r.Read(got); n != 0 || !errors.As(err, tt.want) {
				t.Errorf("then read %d, %v; want a %T", n, err, tt.want)
			}
			if lost := new(client.LostError); tt.end && !errors.As(c.Err(), &lost) || tt.end && !errors.Is(c.Err(), io.ErrUnexpectedEOF) {
				t.Errorf("6455-5.2-m: the connection ended with %v", c.Err())
			}
			if _, err := c.Receive(t.Context()); !errors.As(err, tt.want) {
				t.Errorf("Receive: %v", err)
			}
		})
	}
}

// A read is a call that receives: another one at the same time is refused.
func TestReadWhileAnotherReceives(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		f.send(firstFragment(wire.Text, "a"))
		r := nextReader(t, c)
		rest := make(chan string)
		go func() {
			b, _ := io.ReadAll(r)
			rest <- string(b)
		}()
		synctest.Wait()
		check.Is(t, check.Err(r.Read(make([]byte, 1))), client.ErrConcurrentReceive, "a second read")
		check.Is(t, check.Err(c.Receive(t.Context())), client.ErrConcurrentReceive, "a Receive")
		f.send(lastFragment("b"))
		if got := <-rest; got != "ab" {
			t.Errorf("the reader read %q", got)
		}
	})
}

// NextReader returns when its context ends, and the next call continues.
func TestNextReaderThatTimesOut(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		ctx := check.Within(t, time.Second)
		f.send(textFrame("")[:1])
		if _, r, err := c.NextReader(ctx); r != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, %v", r, err)
		}
		f.send(textFrame("late")[1:])
		r := nextReader(t, c)
		wantRead(t, r, "late")
	})
}

// A message that a Ping received and kept is read like any other.
func TestReaderOfKeptMessage(t *testing.T) {
	piped(t, &client.Config{Control: true}, func(t *testing.T, c *client.Conn, f *farEnd) {
		f.send(textFrame("kept"), pingFrame("kept too"), firstFragment(wire.Text, "begun"))
		ctx := check.Within(t, time.Second)
		if _, err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		f.send(lastFragment(", ended"))
		var got []string
		for range 2 {
			r := nextReader(t, c)
			b, err := io.ReadAll(iotest.OneByteReader(r))
			check.Must(t, err)
			got = append(got, string(b))
		}
		if strings.Join(got, "; ") != "kept; begun, ended" {
			t.Errorf("read %q", got)
		}
	})
}
