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

// Peer is the peer of an endpoint under test. It follows a script, and sends
// nothing else: no Pong and no Close. Its methods must not be called
// concurrently.
type Peer struct {
	// Timeout is the limit of each line of a script other than wait, 10 seconds
	// by default. A negative Timeout is no limit.
	Timeout time.Duration

	role    corpus.Role // of the peer
	nc      net.Conn
	in      []byte          // received and unread
	written corpus.Written  // by the endpoint under test
	keys    wire.MaskingKey // the number of used ones
	key     string          // the Sec-WebSocket-Key of the request
	refused bool            // a response refused the handshake; its body follows
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

// ScriptError reports a line of a script that is invalid, or that the endpoint
// under test did not follow.
type ScriptError struct {
	Line int    // counted from 1
	Text string // of the line
	Err  error
}

// Error returns a text with the line.
func (e *ScriptError) Error() string {
	return fmt.Sprintf("wstest: line %d, %s: %v", e.Line, e.Text, e.Err)
}

// Unwrap returns e.Err.
func (e *ScriptError) Unwrap() error { return e.Err }

// Play plays a script in the language of the package documentation. The error
// is a *ScriptError. The next call of Play continues the conversation.
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

// PlayCorpus plays the peer of a script of the golden corpus: it sends the
// input of the endpoint under test, and compares the output with the expected
// output. It does not check the events of the application, and the application
// must not send by itself. The opening handshake must be complete, by a script
// with the line open. Scripts with calls of the application are an error.
func (p *Peer) PlayCorpus(s *corpus.Script) error {
	if s.Role == p.role {
		return fmt.Errorf("wstest: %s: the script is for testing a %v, which is what the peer is", s.Position(s.Line), s.Role)
	}
	for _, step := range s.Steps {
		switch step.Action.Kind {
		case corpus.Input:
			// An endpoint that has failed the connection need not read it.
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

// deadline returns the deadline of an operation that begins now.
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
		return fmt.Errorf("wrote %d of %d bytes in time: %w", n, len(b), err)
	}
	return err
}

// end closes the direction that the peer writes.
func (p *Peer) end() error {
	if half, ok := p.nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return p.nc.Close()
}

// reset resets the connection, or closes it if the transport has no reset.
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

// more reads once, up to a deadline.
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

// frame returns the next frame, unmasked.
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
			return nil, fmt.Errorf("got a part of a frame, %s, and then %w", corpus.Hex(rest), err)
		default:
			return nil, fmt.Errorf("got %w", nameEnd(err))
		}
	}
}

// expect reads the next frame and compares it with the expected one.
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

// expectSilence reads for a time. Any input is an error.
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

// errNothing reports a timeout without input.
var errNothing = fmt.Errorf("nothing in time: %w", os.ErrDeadlineExceeded)

// nameEnd describes the error of a read.
func nameEnd(err error) error {
	switch {
	case isEnd(err):
		return fmt.Errorf("the end of the connection: %w", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errNothing
	}
	return err
}

// show returns a frame in the language of scripts.
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

// shown is the number of bytes of a payload in an error.
const shown = 60
