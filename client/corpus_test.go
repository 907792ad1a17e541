package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/fuzz/corpus"
	"github.com/fibersock/fibersock/fuzz/corpus/corpustest"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// The client plays the client's scripts of the golden corpus over a pipe. The
// output is compared byte by byte. A script that asks for pieces is received
// with NextReader, which shows no control frames, and any other with Receive.
func TestGoldenCorpus(t *testing.T) {
	corpustest.Runner{
		Open:   openGolden,
		Unfit:  unfitForClient,
		Bubble: true,
		Random: 2,
		Unseen: func(s *corpus.Script, kind corpus.EventKind) bool {
			return s.Partial && (kind == corpus.Ping || kind == corpus.Pong)
		},
		Bytewise: 4 << 10,
	}.Run(t)
}

// unfitForClient returns why the client's API cannot play s, or "".
func unfitForClient(s *corpus.Script) string {
	if s.Role != corpus.Client {
		return "of another role"
	}
	begun := false // a message is being written
	for _, step := range s.Steps {
		a := step.Action
		switch a.Kind {
		case corpus.SendPing:
			if !a.Refused || len(a.Bytes) > wire.MaxControlPayload {
				return "Ping has a payload of its own"
			}
		case corpus.SendFragment:
			switch {
			case begun && a.Refused:
				return "a MessageWriter gives up after an error, and the connection with it"
			case len(a.Bytes) == 0 && !a.Final:
				return "a MessageWriter flushes nothing if there is nothing"
			case len(a.Bytes) >= 4<<10:
				return "a MessageWriter does not wait with a large Write"
			}
			begun = !a.Refused && !a.Final
		}
	}
	return ""
}

// goldenConn is a client at one end of a pipe.
type goldenConn struct {
	c      *client.Conn
	peer   *corpustest.Peer
	events corpustest.Events
	writer *client.MessageWriter // of the incomplete message
}

func openGolden(t *testing.T, s *corpus.Script) corpustest.Subject {
	ours, theirs := net.Pipe()
	go acceptHandshake(t, theirs)
	c, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
		DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return ours, nil }),
		Limits:      client.Limits{Frame: s.FrameLimit, Message: s.MessageLimit},
		Control:     true,
	})
	check.Must(t, err)
	p := &goldenConn{c: c, peer: corpustest.NewPeer(theirs)}
	if s.Partial {
		go p.receivePieces(t)
	} else {
		go p.receive(t)
	}
	synctest.Wait() // until it receives: without a receiver Close drops messages
	return p
}

// acceptHandshake performs the server's part of an opening handshake.
func acceptHandshake(t *testing.T, nc net.Conn) {
	p := wstest.NewServer(nc)
	p.Timeout = -1
	check.OK(t, p.Play("open"))
}

// receive receives until the connection ends.
func (p *goldenConn) receive(t *testing.T) {
	for {
		m, err := p.c.Receive(context.Background())
		if err != nil {
			p.end(t, err)
			return
		}
		e := corpus.Event{Payload: m.Payload, Code: m.Code, Reason: m.Reason}
		switch m.Opcode {
		case wire.Text, wire.Binary:
			e.Kind, e.Opcode = corpus.Message, m.Opcode
		case wire.Ping:
			e.Kind = corpus.Ping
		case wire.Pong:
			e.Kind = corpus.Pong
		case wire.Close:
			e.Kind = corpus.Close
		default:
			t.Errorf("received a message of opcode %v", m.Opcode)
		}
		p.events.Add(e)
	}
}

// receivePieces receives piece by piece until the connection ends.
func (p *goldenConn) receivePieces(t *testing.T) {
	for {
		op, r, err := p.c.NextReader(context.Background())
		buf := make([]byte, 100)
		for err == nil {
			var n int
			n, err = r.Read(buf)
			final := errors.Is(err, io.EOF)
			if n > 0 || final {
				p.events.Add(corpus.Event{Kind: corpus.Partial, Opcode: op, Final: final, Payload: append([]byte(nil), buf[:n]...)})
			}
			if final {
				break
			}
		}
		if err != io.EOF {
			var closed *client.CloseError
			if errors.As(err, &closed) {
				p.events.Add(corpus.Event{Kind: corpus.Close, Code: closed.Code, Reason: closed.Reason})
			}
			p.end(t, err)
			return
		}
	}
}

// end records the error that ended receiving.
func (p *goldenConn) end(t *testing.T, err error) {
	var failed *client.FailError
	var lost *client.LostError
	var closed *client.CloseError
	switch {
	case errors.As(err, &failed):
		p.events.Add(corpus.Event{Kind: corpus.Fail, Code: failed.Code})
	case errors.As(err, &lost):
		p.events.Add(corpus.Event{Kind: corpus.Lost, Code: wire.AbnormalClosure})
	case errors.As(err, &closed), errors.Is(err, client.ErrClosed):
		// The Close was reported as an event; ErrClosed is this test's
		// CloseNow.
	default:
		t.Errorf("receiving ended with %v", err)
	}
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("receiving ended with %v, which is not net.ErrClosed", err)
	}
}

func (p *goldenConn) Input(b []byte) { p.peer.Send(b) }
func (p *goldenConn) EOF()           { p.peer.End() }

func (p *goldenConn) Call(a corpus.Action) error {
	switch a.Kind {
	case corpus.SendMessage:
		return p.c.Send(a.Opcode, a.Bytes)
	case corpus.SendFragment:
		return p.fragment(a)
	case corpus.SendPing:
		_, err := p.c.Ping(context.Background())
		return err
	case corpus.SendPong:
		return p.c.SendPong(a.Bytes)
	default: // corpus.SendClose; the runner calls no other action
		return p.close(a)
	}
}

// fragment writes one fragment.
func (p *goldenConn) fragment(a corpus.Action) (err error) {
	if p.writer == nil {
		if p.writer, err = p.c.NextWriter(a.Opcode); err != nil {
			return err
		}
	}
	w := p.writer
	if a.Final {
		p.writer = nil
	}
	if _, err := w.Write(a.Bytes); err != nil {
		return err
	}
	if a.Final {
		return w.Close()
	}
	return w.Flush()
}

// close calls Close. A Close that has not returned waits for the next step of
// the script and has no error yet.
func (p *goldenConn) close(a corpus.Action) error {
	result := make(chan error, 1)
	go func() { result <- p.c.Close(a.Code, a.Reason) }()
	synctest.Wait()
	select {
	case err := <-result:
		return err
	default:
		return nil
	}
}

func (p *goldenConn) Observe() corpustest.Observation {
	synctest.Wait()
	return corpustest.Observation{Events: p.events.Take(), Out: p.peer.Take(), State: corpustest.State(p.c.State())}
}

func (p *goldenConn) Close() {
	p.c.CloseNow()
	p.peer.End()
	p.peer.Wait()
}
