package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// A message larger than Serve's buffer is read as it arrives: its beginning can
// be read before its end is sent.
func TestNextReaderStreamsAMessage(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		p, returned := fiber(t, start, newRecorder(t), func(c *server.Conn) {
			op, r, err := c.NextReader(t.Context())
			if err != nil || op != wire.Binary {
				t.Errorf("NextReader returned %v, %v", op, err)
				return
			}
			for _, want := range []string{"one", "two", "three"} {
				got := make([]byte, len(want))
				if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
					t.Errorf("read %q, %v, want %q", got, err, want)
				}
				c.SendText(want)
			}
			for range 2 {
				if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("the end is %d, %v", n, err)
				}
			}
			receives(t, c, "next")
		})
		p.send(fragment(wire.Binary, "one", false))
		p.want(`text "one"`)
		p.send(fragment(wire.Continuation, "two", false))
		p.want(`text "two"`)
		p.send(fragment(wire.Continuation, "thr", false), frame(wire.Pong, ""), fragment(wire.Continuation, "", false), fragment(wire.Continuation, "ee", true), text("next"))
		p.want(`text "three"`, `close 1000 ""`)
		result(t, returned)
	})
}

// All methods that receive may follow each other within a message. Receive
// skips the rest of a message that a reader has begun. No other message is
// lost.
func TestReaderThatIsNotReadToItsEndIsAbandoned(t *testing.T) {
	large := strings.Repeat("0123456789", 30_000) // arrives in several pieces
	eachLoop(t, func(t *testing.T, start starter) {
		p, returned := fiber(t, start, newRecorder(t), func(c *server.Conn) {
			for i := range 3 {
				_, r, err := c.NextReader(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				got := make([]byte, 5)
				if _, err := io.ReadFull(r, got); err != nil || string(got) != large[:5] {
					t.Errorf("read %q, %v", got, err)
				}
				var after []byte
				switch i {
				case 0:
					m, receiveErr := c.Receive(t.Context())
					after, err = m.Payload, receiveErr
				case 1:
					_, after, err = c.ReceiveInto(t.Context(), nil)
				case 2:
					_, next, nextErr := c.NextReader(t.Context())
					if err = nextErr; err == nil {
						after, err = io.ReadAll(next)
					}
				}
				if err != nil || string(after) != "after" {
					t.Errorf("%d: received %.20q, %v", i, after, err)
				}
				if n, err := r.Read(got); n != 0 || err != server.ErrReaderAbandoned {
					t.Errorf("%d: the reader returned %d, %v", i, n, err)
				}
			}
		})
		for range 3 {
			p.send(fragment(wire.Binary, large, false), fragment(wire.Continuation, large, true), text("after"))
		}
		p.want(`close 1000 ""`)
		result(t, returned)
	})
}

// A Receive whose context ends keeps the beginning of a message for the next
// call that receives, also if it lies in a buffer of the caller.
func TestBeginningOfAMessageIsNotLost(t *testing.T) {
	receivers := map[string]func(c *server.Conn) ([]byte, error){
		"Receive": func(c *server.Conn) ([]byte, error) {
			m, err := c.Receive(context.Background())
			return m.Payload, err
		},
		"ReceiveInto": func(c *server.Conn) ([]byte, error) {
			_, p, err := c.ReceiveInto(context.Background(), []byte("buf "))
			return bytes.TrimPrefix(p, []byte("buf ")), err
		},
		"NextReader": func(c *server.Conn) ([]byte, error) {
			_, r, err := c.NextReader(context.Background())
			if err != nil {
				return nil, err
			}
			return io.ReadAll(r)
		},
	}
	eachBubble(t, receivers, func(t *testing.T, receive func(c *server.Conn) ([]byte, error)) {
		p, done := fiber(t, served, newRecorder(t), func(c *server.Conn) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			same(t, check.Err(c.Receive(ctx)), context.DeadlineExceeded, "Receive")
			buf := make([]byte, 3, 100)
			copy(buf, "mine")
			ctx, cancel = context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			op, got, err := c.ReceiveInto(ctx, buf)
			if op != 0 || string(got) != "min" || err != context.DeadlineExceeded {
				t.Errorf("ReceiveInto returned %v, %q, %v", op, got, err)
			}
			clear(buf[:cap(buf)]) // the caller owns it again
			c.SendText("go on")
			if got, err := receive(c); err != nil || string(got) != "one two three" {
				t.Errorf("received %q, %v", got, err)
			}
		})
		p.send(fragment(wire.Text, "one", false))
		time.Sleep(1500 * time.Millisecond)
		p.send(fragment(wire.Continuation, " two", false))
		p.want(`text "go on"`)
		p.send(fragment(wire.Continuation, " three", true))
		p.want(`close 1000 ""`)
		<-done
	})
}

// A Read whose context ends abandons the message. The connection stays open.
func TestReadEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, done := fiber(t, served, newRecorder(t), func(c *server.Conn) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, r, err := c.NextReader(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := io.ReadAll(r); string(got) != "one" || err != context.DeadlineExceeded {
				t.Errorf("read %q, %v", got, err)
			}
			same(t, check.Err(r.Read(make([]byte, 1))), context.DeadlineExceeded, "then")
			c.SendText("go on")
			receives(t, c, "next")
		})
		p.send(fragment(wire.Text, "one", false))
		p.want(`text "go on"`)
		p.send(fragment(wire.Continuation, "two", true), text("next"))
		p.want(`close 1000 ""`)
		<-done
	})
}

// A message cut off by the end of the connection is not delivered as complete:
// the reader returns the reason.
func TestReaderReturnsWhyTheConnectionEnded(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		rec := newRecorder(t)
		p, returned := fiber(t, start, rec, func(c *server.Conn) {
			_, r, err := c.NextReader(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			c.SendText("go on")
			got, err := io.ReadAll(r)
			var lost *server.LostError
			if string(got) != "one" || !errors.As(err, &lost) || err != c.Err() {
				t.Errorf("read %q, %v", got, err)
			}
			if _, err := c.Receive(t.Context()); err != c.Err() {
				t.Errorf("then %v", err)
			}
			if _, _, err := c.NextReader(t.Context()); err != c.Err() {
				t.Errorf("then %v", err)
			}
		})
		p.send(fragment(wire.Text, "one", false))
		p.want(`text "go on"`)
		p.nc.Close()
		result(t, returned)
		rec.want("open", "lost", `close 1006 ""`)
	})
}

// One goroutine receives at a time, a reader included.
func TestNextReaderIsForOneGoroutineThatServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, done := fiber(t, served, newRecorder(t), func(c *server.Conn) {
			_, r, err := c.NextReader(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				_, err := c.Receive(ctx)
				ended <- err
			}()
			synctest.Wait() // until that call blocks
			_, readErr := r.Read(make([]byte, 1))
			_, _, nextErr := c.NextReader(ctx)
			_, _, intoErr := c.ReceiveInto(ctx, nil)
			for _, err := range []error{readErr, nextErr, intoErr} {
				if err != server.ErrConcurrentReceive {
					t.Errorf("beside Receive: %v", err)
				}
			}
			cancel()
			if err := <-ended; err != context.Canceled {
				t.Error(err)
			}
			same(t, check.Err(r.Read(make([]byte, 1))), server.ErrReaderAbandoned, "after Receive")
		})
		p.send(fragment(wire.Binary, "x", false))
		p.want(`close 1000 ""`)
		<-done
	})
}

// NextWriter sends fragments of 4 KiB or of the size of a larger Write, and at
// a Flush. Control frames are sent between them, other messages wait
// (6455-5.4-a, -b).
func TestNextWriterSendsAMessageInFragments(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		c, p, _ := opened(t, start, &server.Server{})
		w, err := c.NextWriter(wire.Text)
		check.Must(t, err)
		io.WriteString(w, "one ")
		io.WriteString(w, "two")
		check.Must(t, w.Flush())
		p.want(`text "one two" +`)
		check.Must(t, c.SendPing([]byte("?")))
		sent := begin(func() error { return c.SendBinary([]byte("later")) })
		check.Must(t, server.Broadcast(only(c), wire.Text, []byte("to all")))
		io.WriteString(w, strings.Repeat("x", 5000))
		check.Must(t, w.Close())
		p.want(`ping "?"`, "continuation 5000 bytes +", `continuation ""`)
		check.OK(t, result(t, sent))
		got := map[string]bool{}
		for range 2 {
			f, err := p.next()
			check.Must(t, err)
			got[show(f)] = true
		}
		if !got[`binary "later"`] || !got[`text "to all"`] {
			t.Errorf("then received %v", got)
		}
		same(t, check.Err(w.Write([]byte("x"))), server.ErrMessageFinished, "Write after Close")
		same(t, check.Err(c.NextWriter(wire.Ping)), server.ErrNotData, "a writer of a Ping")
	})
}

// A Close waits neither for an unfinished message nor for broadcasts that wait
// for that message.
func TestCloseDoesNotWaitForAnUnfinishedWriter(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		p, returned := fiber(t, start, newRecorder(t), func(c *server.Conn) {
			w, err := c.NextWriter(wire.Text)
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(w, "unfinished")
			w.Flush()
			server.Broadcast(only(c), wire.Text, []byte("to all"))
		})
		p.want(`text "unfinished" +`, `close 1000 ""`)
		result(t, returned)
		p.send(closing(1000, ""))
		p.wantEnd()
	})
}

// Each fragment of a message counts against the backlog. A message cannot be
// dropped once the client has a part of it.
func TestFragmentsCountAgainstTheBacklog(t *testing.T) {
	const limit = 256 << 10
	each(t, map[string]server.SlowPolicy{"close": server.SlowClose, "drop newest": server.SlowDropNewest, "drop oldest": server.SlowDropOldest}, func(t *testing.T, policy server.SlowPolicy) {
		eachLoop(t, func(t *testing.T, start starter) {
			rec := newRecorder(t)
			start(t, &server.Server{Handler: rec.handler(), SlowPolicy: policy, MaxBacklog: limit}).open(t) // does not read
			c := rec.conn()
			w, err := c.NextWriter(wire.Binary)
			check.Must(t, err)
			part := make([]byte, 64<<10)
			for err = nil; err == nil; {
				_, err = w.Write(part)
				if n := c.Buffered(); n > limit+len(part)+1000 {
					t.Fatalf("%d bytes are buffered", n)
				}
			}
			var full *server.BacklogError
			var lost *server.LostError
			if !errors.As(err, &full) || !errors.As(err, &lost) || full.Max != limit || full.Size != len(part) || full.Dropped {
				t.Errorf("Write returned %v", err)
			}
			rec.want("open", "lost", `close 1006 ""`)
		})
	})
}

// With SlowBlock the writer blocks until the client reads.
func TestNextWriterWaitsWithSlowBlock(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		const parts = 64
		part := strings.Repeat("x", 64<<10)
		p, returned := fiber(t, start, newRecorder(t), func(c *server.Conn) {
			w, err := c.NextWriter(wire.Binary)
			if err != nil {
				t.Error(err)
				return
			}
			for range parts {
				if _, err := io.WriteString(w, part); err != nil {
					t.Error(err)
					return
				}
			}
			check.OK(t, w.Close())
		})
		total := 0
		for {
			f, err := p.next()
			check.Must(t, err)
			if f.Opcode == wire.Ping {
				continue
			}
			if total += len(f.Payload); f.Fin {
				break
			}
		}
		if total != parts*len(part) {
			t.Errorf("received %d bytes", total)
		}
		p.want(`close 1000 ""`)
		result(t, returned)
	})
}
