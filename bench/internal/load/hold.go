package load

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/wire"
)

const (
	holders     = 16 // goroutines that open, verify and close connections
	holdPayload = "still here?"

	// holdReach is the largest distance in a compressed message, in bytes, so
	// that the server may limit the client's window to 9 bits.
	holdReach = 512
)

// Held is a set of idle connections. It has no goroutines; only Verify reads.
// One goroutine may call its methods at a time.
type Held struct {
	holders []*holder
}

// holder has a share of the connections and opens and verifies them.
type holder struct {
	run   *run
	conns []net.Conn // by the place of their sessions in run.sessions
	buf   []byte
}

// silent is the scenario of connections that are driven by hand.
type silent struct{}

func (silent) opened(*session, time.Duration)       {}
func (silent) replied(*session, int, time.Duration) {}
func (silent) ended(*session, time.Duration)        {}
func (silent) tick(time.Duration)                   {}

// Hold opens connections and has their opening handshakes. After that they are
// idle. Each Verify sends the next of c.Payloads, compressed with c.Deflate;
// without any a short text that is not compressed. Of a connection's replies the
// first one after each whole turn of the Payloads is compared byte by byte. The
// error is a *Fault or ctx's cause.
func Hold(ctx context.Context, c Config) (*Held, error) {
	c.Opcode, c.Payload, c.reach = wire.Text, []byte(holdPayload), holdReach
	c.VerifyEvery = max(len(c.Payloads), 1)
	if err := c.check(); err != nil {
		return nil, err
	}
	sent := Config{Opcode: c.Opcode, Payload: c.Payload, Payloads: c.Payloads, Fragments: 1, InFlight: 1, Conns: 1, reach: c.reach}
	if len(c.Payloads) > 0 {
		sent.Deflate, sent.Takeover = c.Deflate, c.Takeover
	}
	s := newScript(sent, 0)
	s.deflate = c.Deflate
	h := new(Held)
	for i := range holders {
		from, to := c.Conns*i/holders, c.Conns*(i+1)/holders
		some := c
		some.Conns = to - from
		part := &holder{run: newRun(some, silent{}, s), buf: make([]byte, 16<<10)}
		part.run.toOpen = to - from // none is opened by another
		for j := range part.run.sessions {
			part.run.sessions[j].index = from + j
		}
		h.holders = append(h.holders, part)
	}
	if err := h.all(ctx, "open", (*holder).open); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// Conns is how many connections there are.
func (h *Held) Conns() int {
	n := 0
	for _, part := range h.holders {
		n += len(part.conns)
	}
	return n
}

// Verify has one message echoed on each connection, and so finds out whether
// all are still there. The error is a *Fault or ctx's cause.
func (h *Held) Verify(ctx context.Context) error { return h.all(ctx, "verified", (*holder).verify) }

// Close ends all connections with TCP only.
func (h *Held) Close() error {
	for _, part := range h.holders {
		for _, conn := range part.conns {
			conn.Close()
		}
		part.conns = nil
	}
	return nil
}

// all calls do for each connection, on one goroutine for each holder, and
// returns the first error. The error of a ctx that ends has the number of
// connections that are done, which is their state in a word.
func (h *Held) all(ctx context.Context, state string, do func(*holder, context.Context, *session, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var working sync.WaitGroup
	var done atomic.Int64
	conns := 0
	for _, part := range h.holders {
		conns += len(part.run.sessions)
		working.Go(func() {
			for i := range part.run.sessions {
				if ctx.Err() != nil {
					return
				}
				if err := do(part, ctx, &part.run.sessions[i], i); err != nil {
					cancel(err)
					return
				}
				done.Add(1)
			}
		})
	}
	working.Wait()
	if ctx.Err() == nil {
		return nil
	}
	cause := context.Cause(ctx)
	if _, ok := cause.(*Fault); ok {
		return cause
	}
	return fmt.Errorf("load: %d of %d connections are %s: %w", done.Load(), conns, state, cause)
}

func (h *holder) open(ctx context.Context, s *session, _ int) error {
	ctx, cancel := context.WithTimeout(ctx, h.run.Timeout)
	defer cancel()
	conn, err := dial(ctx, h.run.Addr, h.run.TLS)
	if err != nil {
		return s.unconnected(err)
	}
	h.conns = append(h.conns, conn)
	s.open(h.run.now())
	return h.drive(conn, s)
}

func (h *holder) verify(_ context.Context, s *session, i int) error {
	s.issue(1, h.run.now())
	return h.drive(h.conns[i], s)
}

// drive moves the session's bytes until it waits for nothing more.
func (h *holder) drive(conn net.Conn, s *session) error {
	conn.SetDeadline(time.Now().Add(h.run.Timeout))
	defer conn.SetDeadline(time.Time{})
	for s.state == opening || s.received < s.due {
		for p := s.output(); len(p) > 0; p = s.output() {
			n, err := conn.Write(p)
			s.wrote(n)
			if err != nil {
				break // the reader reports the cause
			}
		}
		n, err := conn.Read(h.buf)
		if n > 0 {
			if err := s.receive(h.buf[:n], h.run.now()); err != nil {
				return err
			}
		}
		if err != nil {
			now := h.run.now()
			if fault := s.overdue(now); fault != nil {
				return fault
			}
			return s.lost(orderly(err), now)
		}
	}
	return nil
}
