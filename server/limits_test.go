package server_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// A frame or message above a limit is refused at its header, before the payload
// arrives, with an error that names the option. One at the limit is accepted
// (6455-10.4-a, -b, 6455-5.2-i, 6455-7.4-g, T-A07, T-A08).
func TestLimitsAreCheckedAtTheHeader(t *testing.T) {
	const kib = 1 << 10
	whole := text(strings.Repeat("a", kib))
	half := fragment(wire.Text, strings.Repeat("a", kib), false)
	more := func(final bool) string { return fragment(wire.Continuation, strings.Repeat("a", kib), final) }
	tests := []struct {
		name   string
		limits server.Limits
		passes string // delivered before
		bad    string
		err    server.LimitError
	}{
		{"a frame", server.Limits{Frame: kib, Message: 4 * kib}, whole, declaring(wire.Text, kib+1, true),
			server.LimitError{Limit: "frame", Option: "Limits.Frame", Max: kib, Seen: kib + 1}},
		{"a message in one frame", server.Limits{Message: kib}, whole, declaring(wire.Binary, kib+1, true),
			server.LimitError{Limit: "message", Option: "Limits.Message", Max: kib, Seen: kib + 1}},
		{"a message in fragments", server.Limits{Frame: kib, Message: 2 * kib}, half + more(true), half + more(false) + declaring(wire.Continuation, 1, false),
			server.LimitError{Limit: "message", Option: "Limits.Message", Max: 2 * kib, Seen: 2*kib + 1}},
		{"256 MiB, with the default", server.Limits{}, "", declaring(wire.Binary, 256<<20, true),
			server.LimitError{Limit: "message", Option: "Limits.Message", Max: 16 << 20, Seen: 256 << 20}},
		{"all that a header can say", server.Limits{}, "", declaring(wire.Binary, 1<<63-1, true),
			server.LimitError{Limit: "message", Option: "Limits.Message", Max: 16 << 20, Seen: 1<<63 - 1}},
	}
	eachLoop(t, func(t *testing.T, start starter) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				var told *server.LimitError
				c, p, rec := opened(t, start, &server.Server{Limits: tt.limits})
				rec.want("open")
				if tt.passes != "" {
					p.send(tt.passes)
					if line := result(t, rec.lines); !strings.HasPrefix(line, "text ") {
						t.Errorf("the handler got %s", line)
					}
				}
				p.send(tt.bad)
				p.want(fmt.Sprintf("close 1009 %q", tt.err.Limit+" exceeds the size limit"))
				p.wantEnd()
				rec.want("failed 1009", `close 1006 ""`)
				if err := c.Err(); !errors.As(err, &told) || told.Limit != tt.err.Limit || told.Option != tt.err.Option || told.Max != tt.err.Max || told.Seen != tt.err.Seen ||
					!strings.Contains(err.Error(), fmt.Sprintf("exceeds %s (%d)", tt.err.Option, tt.err.Max)) {
					t.Errorf("%v, want %+v", err, tt.err)
				}
			})
		}
	})
}

// A negative limit means no limit. Handler.Partial has the same limits.
func TestLimitsOfMessagesInPieces(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		for _, limit := range []int64{1000, -1} {
			rec := newRecorder(t)
			h := rec.handler()
			h.Partial = rec.partial
			p := start(t, &server.Server{Handler: h, Limits: server.Limits{Message: limit}}).open(t)
			p.send(fragment(wire.Binary, strings.Repeat("a", 600), false))
			rec.want("open", "partial binary 600 bytes +")
			p.send(declaring(wire.Continuation, 1<<40, false), "V") // "a", masked
			if limit < 0 {
				rec.want(`partial binary "a" +`)
				continue
			}
			rec.want("failed 1009", `close 1006 ""`)
		}
	})
}

// SetLimits changes the limits of one open connection, and of no other.
func TestSetLimitsOfOneConnection(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{Limits: server.Limits{Message: 10}})
		p := s.open(t)
		c := rec.conn()
		rec.want("open")
		c.SetLimits(0, 20)
		p.send(text(strings.Repeat("x", 20)))
		rec.want(`text "xxxxxxxxxxxxxxxxxxxx"`)
		c.SetLimits(15, -1)
		p.send(text(strings.Repeat("x", 15)), fragment(wire.Text, strings.Repeat("x", 15), false), fragment(wire.Continuation, strings.Repeat("x", 15), true))
		rec.want(`text "xxxxxxxxxxxxxxx"`, `text "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"`)
		p.send(declaring(wire.Text, 16, true))
		p.want(`close 1009 "frame exceeds the size limit"`)
		p.nc.Close()
		rec.want("failed 1009", `close 1006 ""`)

		other := s.open(t)
		rec.conn()
		rec.want("open")
		other.send(declaring(wire.Text, 11, true))
		other.want(`close 1009 "message exceeds the size limit"`)
		other.nc.Close()
		rec.want("failed 1009", `close 1006 ""`)
	})
}

// wantCut reads until the end of a connection, which must be without a byte.
func (p *peer) wantCut() {
	p.t.Helper()
	if err := p.more(); err == nil || len(p.in) > 0 {
		p.t.Errorf("answered with %q, %v", p.in, err)
	}
	p.nc.Close()
}

// wantFull returns the CapacityError that Log received for a connection above a
// limit.
func (r *running) wantFull(t *testing.T, option string, max int) *server.CapacityError {
	t.Helper()
	var reported []error
	eventually(t, "a report", func() bool {
		reported = r.log.take()
		return len(reported) > 0
	})
	var full *server.CapacityError
	if err := reported[0]; len(reported) != 1 || !isA[*server.RefusedError](err) || !errors.As(err, &full) || full.Option != option || full.Max != max ||
		!strings.HasSuffix(err.Error(), fmt.Sprintf("limit is %d (%s)", max, option)) {
		t.Fatalf("reported: %v", reported)
	}
	return full
}

// A connection above the limit is aborted, and the others stay open. The end of
// one admits another (T-C17, 6455-10.4-a).
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	const max = 5
	tests := map[string]struct {
		limit func(s *server.Server)
		begin func(t *testing.T, r *running) *peer // opens one connection that counts
		end   func(p *peer)
	}{
		"MaxConns":        {func(s *server.Server) { s.MaxConns = max }, func(t *testing.T, r *running) *peer { return r.open(t) }, func(p *peer) { p.goodbye(1000) }},
		"MaxConnsPerAddr": {func(s *server.Server) { s.MaxConnsPerAddr = max }, func(t *testing.T, r *running) *peer { return r.open(t) }, func(p *peer) { p.reset() }},
		"MaxHandshakes": {func(s *server.Server) { s.MaxHandshakes = max }, func(t *testing.T, r *running) *peer {
			before := r.Stats().Opening
			p := r.dial(t)
			eventually(t, "a connection in the opening handshake", func() bool { return r.Stats().Opening > before })
			return p
		}, func(p *peer) {
			p.send(request("/"))
			p.response()
		}},
	}
	for option, tt := range tests {
		t.Run(option, func(t *testing.T) {
			eachLoop(t, func(t *testing.T, start starter) {
				s := &server.Server{Handler: server.Handler{Message: echo}}
				tt.limit(s)
				r := start(t, s)
				var peers []*peer
				for range max {
					peers = append(peers, tt.begin(t, r))
				}
				for i := range 3 {
					r.dial(t).wantCut()
					full := r.wantFull(t, option, max)
					if from := netip.MustParsePrefix("127.0.0.1/32"); option == "MaxConnsPerAddr" && full.From != from {
						t.Errorf("too many from %v", full.From)
					}
					if st := r.Stats(); st.Full != uint64(i+1) || st.Unfinished != uint64(i+1) {
						t.Errorf("%+v", st)
					}
				}
				tt.end(peers[0])
				var p *peer
				eventually(t, "an admitted connection", func() bool { // the server may not have noticed the end
					p = r.dial(t)
					return p.trySend(request("/"), text("Hello")) == nil && p.more() == nil
				})
				r.log.take()
				p.response()
				p.want(`text "Hello"`)
				if option == "MaxHandshakes" {
					peers = peers[1:]
				}
				for _, p := range peers[1:] {
					if option == "MaxHandshakes" {
						p.send(request("/"))
						p.response()
					}
					p.echo("still there")
				}
			})
		})
	}
}

// Upgrade refuses a handshake above the connection limit before the 101
// response.
func TestUpgradeWithTooManyConnections(t *testing.T) {
	s := &server.Server{MaxConns: 1}
	r := parse(t, request("/"))
	up, err := s.AcceptHandshake(r)
	check.Must(t, err)
	up.Response = nil
	p, returned := run(t, s, up)
	eventually(t, "an open connection", func() bool { return s.Stats().Open == 1 })
	refused, err := s.AcceptHandshake(r)
	wantRefusal(t, "a second one", refused, err, 503)
	ours, theirs := net.Pipe() // without Upgrade the connection is aborted
	go io.Copy(io.Discard, theirs)
	if err := s.Run(ours, up); !isA[*server.CapacityError](err) {
		t.Errorf("%v", err)
	}
	p.nc.Close()
	<-returned
	check.OK(t, check.Err(s.AcceptHandshake(r)))
}

// lateListener's first connection does not know its client's address before the
// client has sent a byte, as with the PROXY protocol.
type lateListener struct {
	net.Listener
	known    chan struct{}
	accepted int
}

type lateConn struct {
	net.Conn
	known chan struct{}
}

func (c lateConn) RemoteAddr() net.Addr {
	<-c.known
	return c.Conn.RemoteAddr()
}

func (l *lateListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if l.accepted++; err == nil && l.accepted == 1 {
		nc = lateConn{nc, l.known}
	}
	return nc, err
}

// A RemoteAddr that blocks delays no other connection. It used to be called
// with the server's lock held.
func TestRemoteAddrThatBlocks(t *testing.T) {
	ln := &lateListener{Listener: listenTCP(t), known: make(chan struct{})}
	r := serve(t, &server.Server{MaxConnsPerAddr: 10}, ln)
	first := r.dial(t)
	second := r.open(t)
	second.close(1000)
	close(ln.known)
	first.send(request("/"))
	first.wantStatus(101)
}
