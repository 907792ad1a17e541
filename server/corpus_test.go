package server_test

import (
	"bytes"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/fuzz/corpus"
	"github.com/fibersock/fibersock/fuzz/corpus/corpustest"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// The server passes the server scripts of the golden corpus over a pipe. Its
// output is compared to the byte. Pings and Pongs are no events of the
// application.
func TestGoldenCorpus(t *testing.T) {
	t.Parallel()
	t.Run("with handlers", func(t *testing.T) { playGolden(t, goldenWithHandlers, nil) })
	t.Run("with Serve", func(t *testing.T) {
		playGolden(t, goldenWithServe, func(s *corpus.Script) string {
			if s.Partial {
				return "Receive returns whole messages"
			}
			return ""
		})
	})
}

func playGolden(t *testing.T, open func(*testing.T, *corpus.Script) corpustest.Subject, unfit func(*corpus.Script) string) {
	corpustest.Runner{
		Open: open,
		Unfit: func(s *corpus.Script) string {
			if s.Role != corpus.Server {
				return "of another role"
			}
			if unfit != nil {
				return unfit(s)
			}
			return ""
		},
		Bubble: true,
		Random: 2,
		Unseen: func(_ *corpus.Script, kind corpus.EventKind) bool {
			return kind == corpus.Ping || kind == corpus.Pong
		},
		Bytewise: 4 << 10,
	}.Run(t)
}

// goldenConn is a server's connection at one end of a pipe.
type goldenConn struct {
	t      *testing.T
	c      *server.Conn
	peer   *corpustest.Peer
	events corpustest.Events
	failed atomic.Bool   // Handler.Error was called
	done   chan struct{} // closed when Run has returned
}

func goldenWithHandlers(t *testing.T, s *corpus.Script) corpustest.Subject {
	p := &goldenConn{t: t}
	h := server.Handler{Message: p.message, Error: p.error, Close: p.closed}
	if s.Partial {
		h.Partial = p.partial
	}
	p.open(s, h)
	return p
}

func goldenWithServe(t *testing.T, s *corpus.Script) corpustest.Subject {
	p := &goldenConn{t: t}
	p.open(s, server.Handler{Serve: p.serve})
	return p
}

// open starts a connection whose opening handshake is complete.
func (p *goldenConn) open(s *corpus.Script, h server.Handler) {
	opened := make(chan *server.Conn, 1)
	h.Open = func(c *server.Conn) { opened <- c }
	srv := &server.Server{
		Handler:      h,
		Limits:       server.Limits{Frame: s.FrameLimit, Message: s.MessageLimit},
		PingInterval: -1,
	}
	ours, theirs := net.Pipe()
	p.peer = corpustest.NewPeer(theirs)
	p.done = make(chan struct{})
	go func() {
		defer close(p.done)
		srv.Run(ours, server.Handshake{}) // the handlers get the same error
	}()
	p.c = <-opened
}

// serve receives until the connection ends.
func (p *goldenConn) serve(c *server.Conn) {
	for {
		m, err := c.Receive(p.t.Context())
		var closed *server.CloseError
		switch {
		case err == nil:
			p.message(c, m.Opcode, m.Payload)
			continue
		case errors.As(err, &closed):
			p.closed(c, closed.Code, closed.Reason)
		default:
			p.error(c, err)
		}
		return
	}
}

func (p *goldenConn) message(_ *server.Conn, op wire.Opcode, payload []byte) {
	p.events.Add(corpus.Event{Kind: corpus.Message, Opcode: op, Payload: bytes.Clone(payload)})
}

func (p *goldenConn) partial(_ *server.Conn, op wire.Opcode, payload []byte, final bool) {
	p.events.Add(corpus.Event{Kind: corpus.Partial, Opcode: op, Final: final, Payload: bytes.Clone(payload)})
}

func (p *goldenConn) error(_ *server.Conn, err error) {
	var failed *server.FailError
	var lost *server.LostError
	switch {
	case errors.As(err, &failed):
		p.events.Add(corpus.Event{Kind: corpus.Fail, Code: failed.Code})
	case errors.As(err, &lost):
		p.events.Add(corpus.Event{Kind: corpus.Lost, Code: wire.AbnormalClosure})
	default:
		p.t.Errorf("Error got %v", err)
	}
	if p.failed.Swap(true) {
		p.t.Error("Error was called twice")
	}
}

// closed is called at every end. Error has recorded the reason before.
func (p *goldenConn) closed(_ *server.Conn, code wire.StatusCode, reason string) {
	if !p.failed.Load() {
		p.events.Add(corpus.Event{Kind: corpus.Close, Code: code, Reason: reason})
	} else if code != wire.AbnormalClosure || reason != "" {
		p.t.Errorf("Close got %v %q after Error", code, reason)
	}
}

func (p *goldenConn) Input(b []byte) { p.peer.Send(b) }
func (p *goldenConn) EOF()           { p.peer.End() }

func (p *goldenConn) Call(a corpus.Action) error {
	switch a.Kind {
	case corpus.SendMessage:
		return p.c.Send(a.Opcode, a.Bytes)
	case corpus.SendFragment:
		return p.c.SendFragment(a.Opcode, a.Bytes, a.Final)
	case corpus.SendPing:
		return p.c.SendPing(a.Bytes)
	case corpus.SendPong:
		return p.c.SendPong(a.Bytes)
	default: // corpus.SendClose; there is no other action
		return p.c.Close(a.Code, a.Reason)
	}
}

func (p *goldenConn) Observe() corpustest.Observation {
	synctest.Wait()
	return corpustest.Observation{Events: p.events.Take(), Out: p.peer.Take(), State: corpustest.State(p.c.State())}
}

func (p *goldenConn) Close() {
	p.peer.End()
	p.peer.Wait()
	<-p.done
}

// The server passes the golden corpus over TCP, read by a client, on each loop,
// with its bytes written as a whole and in pieces.
func TestGoldenCorpusOverTCP(t *testing.T) {
	t.Parallel()
	scripts, err := corpus.Scripts()
	check.Must(t, err)
	writers := map[string]func(nc net.Conn) net.Conn{
		"whole":     func(nc net.Conn) net.Conn { return nc },
		"in pieces": func(nc net.Conn) net.Conn { return piecewise{nc.(*net.TCPConn)} },
	}
	eachLoop(t, func(t *testing.T, start starter) {
		each(t, writers, func(t *testing.T, writer func(net.Conn) net.Conn) {
			servers := map[server.Limits]*running{}
			for _, script := range scripts {
				if script.Role != corpus.Server || needsCalls(script) || len(script.Input()) > 10_000 {
					continue
				}
				limits := server.Limits{Frame: script.FrameLimit, Message: script.MessageLimit}
				if servers[limits] == nil {
					servers[limits] = start(t, &server.Server{Limits: limits})
				}
				nc, err := servers[limits].dialer()
				check.Must(t, err)
				p := wstest.NewClient(writer(nc))
				err = p.Play("open /")
				if err == nil {
					err = p.PlayCorpus(script)
				}
				if err != nil {
					t.Errorf("%q: %v", script.Name, err)
				}
				p.Close()
			}
		})
	})
}

// piecewise is a connection that writes in pieces of 1 to 5 bytes.
type piecewise struct{ *net.TCPConn }

func (c piecewise) Write(p []byte) (n int, err error) {
	for size := 1; n < len(p) && err == nil; size = size%5 + 1 {
		var m int
		m, err = c.TCPConn.Write(p[n:min(len(p), n+size)])
		n += m
	}
	return n, err
}

// needsCalls reports whether a script has an action of the application.
func needsCalls(s *corpus.Script) bool {
	for _, step := range s.Steps {
		if k := step.Action.Kind; k != corpus.Input && k != corpus.EOF {
			return true
		}
	}
	return false
}
