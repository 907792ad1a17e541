package wstest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/fibersock/fibersock/fuzz/corpus"
	"github.com/fibersock/fibersock/wire"
)

// Peer is one end of a conversation that follows a script: what an endpoint under
// test talks to. It does what the script says and nothing by itself: it answers
// no Ping and no Close. Its methods are for one goroutine at a time.
type Peer struct {
	// Timeout bounds each line of a script but wait. Zero means 10 seconds,
	// negative means none.
	Timeout time.Duration

	role    corpus.Role // the peer's own
	nc      net.Conn
	in      []byte          // has come and was not looked at
	written corpus.Written  // by the endpoint under test
	keys    wire.MaskingKey // how many have been used
	key     string          // the Sec-WebSocket-Key that the peer has been sent
	refused bool            // a response refused the handshake; what follows is its body
}

// DefaultTimeout is the default of Peer.Timeout.
const DefaultTimeout = 10 * time.Second

// NewClient returns a client at its end of a connection, to test a server.
func NewClient(nc net.Conn) *Peer {
	return &Peer{nc: nc, role: corpus.Client, written: corpus.Written{Role: corpus.Server}}
}

// NewServer returns a server at its end of a connection, to test a client.
func NewServer(nc net.Conn) *Peer {
	return &Peer{nc: nc, role: corpus.Server, written: corpus.Written{Role: corpus.Client}}
}

// Close closes the connection.
func (p *Peer) Close() error { return p.nc.Close() }

// ScriptError says which line of a script cannot be read, or was not followed.
type ScriptError struct {
	Line int    // counted from 1
	Text string // what it says
	Err  error  // what is wrong
}

// Error returns a text with the line.
func (e *ScriptError) Error() string {
	return fmt.Sprintf("wstest: line %d, %s: %v", e.Line, e.Text, e.Err)
}

// Unwrap returns what is wrong.
func (e *ScriptError) Unwrap() error { return e.Err }

// Play plays a script, line by line; see the package documentation for what may
// stand in one. The error is a *ScriptError. After a script another can be
// played, which goes on where this one has stopped.
func (p *Peer) Play(script string) error {
	steps, err := parse(script, p.role)
	if err != nil {
		return err
	}
	for _, s := range steps {
		if err := s.do(p); err != nil {
			return &ScriptError{s.line, s.text, err}
		}
	}
	return nil
}

// PlayCorpus plays the peer of a script of the golden corpus: it sends what the
// endpoint under test is to receive and compares what comes with what it is to
// write. What its application is told is not seen here, and the application must
// not send anything by itself. The opening handshake comes before: by a script
// with the line open. Scripts in which the application makes calls cannot be
// played.
func (p *Peer) PlayCorpus(s *corpus.Script) error {
	if s.Role == p.role {
		return fmt.Errorf("wstest: %s: the script is for testing a %v, which is what the peer is", s.Position(s.Line), s.Role)
	}
	for _, step := range s.Steps {
		switch step.Action.Kind {
		case corpus.Input:
			// An endpoint that has failed the connection need not take it.
			_ = p.send(step.Action.Bytes)
		case corpus.EOF:
			_ = p.end()
		default:
			return fmt.Errorf("wstest: %s: %v is a call of the application", s.Position(step.Line), step.Action.Kind)
		}
		for _, want := range step.Out {
			if err := p.expect(want); err != nil {
				return fmt.Errorf("wstest: %s: %w", s.Position(want.Line), err)
			}
		}
	}
	return nil
}

// deadline returns when what begins now is to be done.
func (p *Peer) deadline() time.Time {
	switch {
	case p.Timeout < 0:
		return time.Time{}
	case p.Timeout == 0:
		return time.Now().Add(DefaultTimeout)
	}
	return time.Now().Add(p.Timeout)
}

// send sends b.
func (p *Peer) send(b []byte) error {
	if err := p.nc.SetDeadline(p.deadline()); err != nil { // TLS also reads, in its handshake
		return err
	}
	n, err := p.nc.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%d of %d bytes were taken in time: %w", n, len(b), err)
	}
	return err
}

// end says that nothing more will be sent.
func (p *Peer) end() error {
	if half, ok := p.nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return p.nc.Close()
}

// reset cuts the connection in the rudest way that its transport has.
func (p *Peer) reset() error {
	nc := p.nc
	if secure, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = secure.NetConn()
	}
	switch nc := nc.(type) {
	case interface{ Reset() }:
		nc.Reset()
		return nil
	case interface{ SetLinger(sec int) error }:
		if err := nc.SetLinger(0); err != nil {
			return err
		}
	}
	return nc.Close()
}

// more reads once, until a time.
func (p *Peer) more(until time.Time) error {
	if err := p.nc.SetReadDeadline(until); err != nil {
		return err
	}
	buf := make([]byte, 32<<10)
	n, err := p.nc.Read(buf)
	p.in = append(p.in, buf[:n]...)
	if n > 0 {
		return nil
	}
	return err
}

// frame returns the next frame, as scripts spell it.
func (p *Peer) frame() ([]byte, error) {
	for until := p.deadline(); ; {
		frames, rest := corpus.SplitFrames(p.in)
		if len(frames) > 0 {
			p.in = p.in[len(frames[0]):]
			return p.written.Plain(frames[0])
		}
		switch err := p.more(until); {
		case err == nil:
		case len(rest) > 0:
			return nil, fmt.Errorf("got the beginning of a frame, %s, and then %w", corpus.Hex(rest), err)
		default:
			return nil, fmt.Errorf("got %w", nameEnd(err))
		}
	}
}

// expect reads the next frame, which must be the one wanted.
func (p *Peer) expect(want corpus.Frame) error {
	got, err := p.frame()
	switch {
	case err != nil:
		return err
	case !want.Matches(got):
		return fmt.Errorf("got %s", show(got))
	}
	return nil
}

// expectEnd reads the end of the connection, with nothing before it.
func (p *Peer) expectEnd(wanted func(error) bool) error {
	for until := p.deadline(); ; {
		frames, rest := corpus.SplitFrames(p.in)
		switch {
		case p.refused:
			p.in = nil
		case len(frames) > 0:
			return fmt.Errorf("got %s", show(frames[0]))
		case len(rest) > 1<<20:
			return fmt.Errorf("got %s", corpus.Hex(rest))
		}
		err := p.more(until)
		switch {
		case err == nil:
		case wanted(err) && len(p.in) > 0:
			return fmt.Errorf("got %s before it", corpus.Hex(p.in))
		case wanted(err):
			return nil
		default:
			return fmt.Errorf("got %w", nameEnd(err))
		}
	}
}

// expectSilence reads for a time, in which nothing may come.
func (p *Peer) expectSilence(d time.Duration) error {
	if len(p.in) == 0 {
		err := p.more(time.Now().Add(d))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("got %w", nameEnd(err))
		}
	}
	if frames, _ := corpus.SplitFrames(p.in); len(frames) > 0 {
		return fmt.Errorf("got %s", show(frames[0]))
	}
	return fmt.Errorf("got %s", corpus.Hex(p.in))
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) }

func isReset(err error) bool {
	return !isEnd(err) && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed)
}

// errNothing is the end of a wait in which nothing came.
var errNothing = fmt.Errorf("nothing in time: %w", os.ErrDeadlineExceeded)

// nameEnd says what err is for who waited for something.
func nameEnd(err error) error {
	switch {
	case isEnd(err):
		return fmt.Errorf("the end of the connection: %w", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errNothing
	}
	return err
}

// show returns a frame in the words of a script.
func show(frame []byte) string {
	plain, _, _ := corpus.Unmasked(frame)
	f, _, err := wire.DecodeFrame(plain)
	if err != nil || f.RSV != 0 {
		return corpus.Hex(plain)
	}
	for _, k := range kinds {
		if k.opcode != f.Opcode {
			continue
		}
		s := k.word
		if !f.Fin {
			s += " more"
		}
		if code, reason, err := wire.ParseClosePayload(f.Payload); f.Opcode == wire.Close && err == nil {
			if len(f.Payload) == 0 {
				return s
			}
			return fmt.Sprintf("%s %d %q", s, int(code), reason)
		}
		if len(f.Payload) > shown {
			return fmt.Sprintf("%s %q… (%d bytes)", s, f.Payload[:shown], len(f.Payload))
		}
		return fmt.Sprintf("%s %q", s, f.Payload)
	}
	return corpus.Hex(plain)
}

// shown is how many bytes of a payload an error shows.
const shown = 60
