package server_test

import (
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
		check.Must(t, server.Broadcast(func(yield func(*server.Conn) bool) { yield(c) }, wire.Text, []byte("to all")))
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
			server.Broadcast(func(yield func(*server.Conn) bool) { yield(c) }, wire.Text, []byte("to all"))
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

// A fragmented message counts as traffic for IdleTimeout, like any other.
func TestFragmentsKeepAConnectionFromBeingIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		p, _ := run(t, &server.Server{IdleTimeout: 10 * time.Second, PingInterval: -1, Handler: server.Handler{Serve: func(c *server.Conn) {
			defer close(done)
			w, err := c.NextWriter(wire.Text)
			if err != nil {
				t.Error(err)
				return
			}
			for range 10 {
				time.Sleep(8 * time.Second)
				check.OK(t, check.Err(io.WriteString(w, "x")))
				check.OK(t, w.Flush())
			}
			w.Close()
		}}}, server.Handshake{})
		p.want(`text "x" +`)
		for range 9 {
			p.want(`continuation "x" +`)
		}
		p.want(`continuation ""`, `close 1000 ""`)
		<-done
	})
}
