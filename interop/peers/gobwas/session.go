package gobwas

import (
	"bufio"
	"errors"
	"io"
	"net"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/fibersock/fibersock/interop/peers"
)

const bufferSize = 4096

// A Session has the buffers of a connection. Another connection may reuse it.
// The README, "Why" and "Usage": the reader and the writer of wsutil, on
// buffers of the application; Writer.DisableFlush makes a message one frame and
// one write.
type Session struct {
	options peers.Options
	handler peers.Handler
	state   ws.State // the role

	conn     net.Conn
	in       *bufio.Reader
	control  wsutil.FrameHandlerFunc
	reader   wsutil.Reader
	writer   *wsutil.Writer
	deflated *deflated // nil without compression

	message []byte
	text    wsutil.UTF8Reader
}

// NewSession returns a session for connections in one role.
func NewSession(role ws.State, o peers.Options, h peers.Handler) *Session {
	s := &Session{
		options: o,
		handler: h,
		state:   role,
		in:      bufio.NewReaderSize(nil, bufferSize),
		writer:  wsutil.NewWriterSize(nil, role, 0, bufferSize),
	}
	s.control = wsutil.ControlFrameHandler(connOf{s: s}, role)
	s.reader = wsutil.Reader{Source: s.in, OnIntermediate: s.control, MaxMessageSize: int64(o.MaxMessage)}
	return s
}

// connOf writes to the session's connection.
type connOf struct{ s *Session }

func (c connOf) Write(p []byte) (int, error) { return c.s.conn.Write(p) }

// run serves a connection until it ends; its bytes are read from source.
func run(nc net.Conn, source io.Reader, role ws.State, compressed bool, o peers.Options, h peers.Handler) error {
	s := NewSession(role, o, h)
	s.Begin(nc, source, compressed)
	if err := h.Opened(s); err != nil {
		return err
	}
	defer h.Closed(s)
	for {
		if err := s.Next(); err != nil {
			return err
		}
	}
}

// Begin gives the session a connection, between two messages.
func (s *Session) Begin(nc net.Conn, source io.Reader, compressed bool) {
	s.conn = nc
	s.in.Reset(source)
	s.reader.State = s.state
	s.reader.CheckUTF8 = s.handler.Message == nil && !compressed // else payload checks it
	s.reader.Extensions = nil
	s.writer.Reset(nc, s.state, 0)
	s.deflated = nil
	if compressed {
		s.deflated = newDeflated()
		s.reader.State |= ws.StateExtended
		s.reader.Extensions = []wsutil.RecvExtension{&s.deflated.message}
		s.writer.Reset(nc, s.state|ws.StateExtended, 0)
		s.writer.SetExtensions(&s.deflated.message)
	}
	s.writer.DisableFlush()
}

// End releases the connection, after a message. A session whose Next has failed
// must not be reused.
func (s *Session) End() {
	s.conn, s.deflated = nil, nil
	s.in.Reset(nil)
	s.writer.Reset(nil, s.state, 0)
}

// Pending reports whether bytes of the next message are buffered.
func (s *Session) Pending() bool { return s.in.Buffered() > 0 }

// Next handles the next frame or message. After an error the connection must be
// closed; the peer has received a Close frame.
func (s *Session) Next() error {
	header, err := s.reader.NextFrame()
	switch {
	case err != nil:
	case header.OpCode.IsControl():
		return s.control(header, &s.reader) // an error for a Close
	case s.handler.Message == nil && s.deflated == nil:
		err = s.echo(header)
	default:
		var p []byte
		if p, err = s.payload(header); err == nil {
			err = s.handler.Received(s, header.OpCode == ws.OpText, p)
		}
	}
	return s.refuse(err)
}

// echo reads the message, whose first header has been read, straight into the
// writer's buffer.
func (s *Session) echo(header ws.Header) error {
	if header.Fin && s.handler.MayBlock(header.OpCode == ws.OpText, int(header.Length)) {
		if first, err := s.in.Peek(1); err == nil {
			s.handler.Block(first[0] ^ header.Mask[0])
		}
	}
	s.writer.ResetOp(header.OpCode)
	if need := int(header.Length); need > s.writer.Available() && need <= s.options.MaxMessage {
		s.writer.Grow(need)
	}
	if _, err := s.writer.ReadFrom(&s.reader); err != nil {
		return err
	}
	return s.writer.Flush()
}

// Send sends a message.
func (s *Session) Send(text bool, p []byte) error {
	s.writer.ResetOp(opcode(text))
	if s.deflated != nil {
		if err := s.deflated.write(s.writer, p); err != nil {
			return err
		}
	} else if _, err := s.writer.Write(p); err != nil {
		return err
	}
	return s.writer.Flush()
}

func opcode(text bool) ws.OpCode {
	if text {
		return ws.OpText
	}
	return ws.OpBinary
}

// A Frame is an encoded message of a server.
type Frame []byte

// Compile encodes a message, without compression.
func Compile(text bool, p []byte) (Frame, error) {
	return ws.CompileFrame(ws.NewFrame(opcode(text), true, p))
}

// SendTo writes the frame.
func (f Frame) SendTo(c peers.Conn) error {
	_, err := c.(*Session).conn.Write(f)
	return err
}

// Release does nothing.
func (Frame) Release() {}

// payload reads the message, whose first header has been read. The result is
// valid until the next call.
func (s *Session) payload(header ws.Header) ([]byte, error) {
	var r io.Reader = &s.reader
	if s.deflated != nil {
		r = s.deflated.source(r)
	}
	s.text.Reset(r)
	if header.OpCode == ws.OpText {
		r = &s.text
	}
	var err error
	if s.message, err = readInto(s.message[:0], r, s.options.MaxMessage); err != nil {
		return nil, err
	}
	if !s.text.Valid() {
		return nil, wsutil.ErrInvalidUTF8
	}
	return s.message, nil
}

// readInto reads all of r into buf, at most limit bytes.
func readInto(buf []byte, r io.Reader, limit int) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return buf, err
		case len(buf) > limit:
			return buf, wsutil.ErrMessageTooLarge
		}
	}
}

// refuse sends a Close frame for the peer's mistake, which the library leaves
// to the application, and waits until the peer has read it.
func (s *Session) refuse(err error) error {
	var code ws.StatusCode
	_, protocol := errors.AsType[ws.ProtocolError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, wsutil.ErrInvalidUTF8):
		code = ws.StatusInvalidFramePayloadData
	case errors.Is(err, wsutil.ErrMessageTooLarge):
		code = ws.StatusMessageTooBig
	case protocol:
		code = ws.StatusProtocolError
	default:
		return err
	}
	frame := ws.NewCloseFrame(ws.NewCloseFrameBody(code, ""))
	if s.state.ClientSide() {
		frame = ws.MaskFrameInPlace(frame)
	}
	if err := ws.WriteFrame(s.conn, frame); err != nil {
		return err
	}
	if tcp, ok := s.conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
		_ = tcp.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		_, _ = io.Copy(io.Discard, tcp)
	}
	return err
}
