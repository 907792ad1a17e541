// Package gobwasecho is what the two servers over github.com/gobwas/ws share.
package gobwasecho

import (
	"bufio"
	"errors"
	"io"
	"net"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/fibersock/fibersock/bench/internal/serve"
)

const bufferSize = 4096

// A Session has the buffers for echoing on one connection at a time. The README,
// "Why" and "Usage": wsutil's reader and writer, on buffers that the application
// reuses; Writer.DisableFlush makes the reply one frame and one write, and it is
// read straight into the writer's buffer.
type Session struct {
	serve.Options
	room *serve.Room[net.Conn] // where broadcasts go

	conn     net.Conn
	in       *bufio.Reader
	control  wsutil.FrameHandlerFunc
	reader   wsutil.Reader
	writer   *wsutil.Writer
	deflated *deflated // nil if the connection does not compress

	// For messages that are not read straight into the writer.
	message []byte
	text    wsutil.UTF8Reader
}

// NewSession returns a session for connections of one server and room.
func NewSession(o serve.Options, room *serve.Room[net.Conn]) *Session {
	s := &Session{
		Options: o,
		room:    room,
		in:      bufio.NewReaderSize(nil, bufferSize),
		writer:  wsutil.NewWriterSize(nil, ws.StateServerSide, 0, bufferSize),
	}
	s.control = wsutil.ControlFrameHandler(connOf{s: s}, ws.StateServerSide)
	s.reader = wsutil.Reader{Source: s.in, OnIntermediate: s.control, MaxMessageSize: int64(o.MaxMessage)}
	return s
}

// connOf writes to the connection that the session has at the time.
type connOf struct{ s *Session }

func (c connOf) Write(p []byte) (int, error) { return c.s.conn.Write(p) }

// Begin makes the session that of conn, between two messages. compress says that
// permessage-deflate was agreed on.
func (s *Session) Begin(conn net.Conn, compress bool) {
	s.conn = conn
	s.in.Reset(conn)
	s.reader.State = ws.StateServerSide
	s.reader.CheckUTF8 = !s.Broadcast && !compress // else it is checked by payload
	s.reader.Extensions = nil
	s.writer.Reset(conn, ws.StateServerSide, 0)
	s.deflated = nil
	if compress {
		s.deflated = newDeflated()
		s.reader.State |= ws.StateExtended
		s.reader.Extensions = []wsutil.RecvExtension{&s.deflated.message}
		s.writer.Reset(conn, ws.StateServerSide|ws.StateExtended, 0)
		s.writer.SetExtensions(&s.deflated.message)
	}
	s.writer.DisableFlush()
}

// End lets go of the connection, after a message: a session whose Next has failed
// is not to be used again.
func (s *Session) End() {
	s.conn, s.deflated = nil, nil
	s.in.Reset(nil)
	s.writer.Reset(nil, ws.StateServerSide, 0)
}

// Pending reports whether bytes of the next message have been read already.
func (s *Session) Pending() bool { return s.in.Buffered() > 0 }

// Next answers the next frame or message. The error is why the connection cannot
// go on; the client has been told.
func (s *Session) Next() error {
	header, err := s.reader.NextFrame()
	switch {
	case err != nil:
	case header.OpCode.IsControl():
		return s.control(header, &s.reader) // for a Close, an error
	case s.Broadcast || s.deflated != nil:
		err = s.answer(header)
	default:
		err = s.echo(header)
	}
	return s.refuse(err)
}

// echo copies the message, whose first frame's header has been read.
func (s *Session) echo(header ws.Header) error {
	if blocks(header, s.in) {
		serve.Block()
	}
	s.writer.ResetOp(header.OpCode)
	if need := int(header.Length); need > s.writer.Available() {
		s.writer.Grow(need)
	}
	if _, err := s.writer.ReadFrom(&s.reader); err != nil {
		return err
	}
	return s.writer.Flush()
}

// blocks looks at the message's first byte where it stands, still masked.
func blocks(header ws.Header, in *bufio.Reader) bool {
	if header.OpCode != ws.OpBinary || !header.Fin || header.Length != serve.BlockingSize {
		return false
	}
	first, err := in.Peek(1)
	return err == nil && first[0]^header.Mask[0] == serve.BlockingFirst
}

// answer reads the message, whose first frame's header has been read, and sends
// it to whom it is for.
func (s *Session) answer(header ws.Header) error {
	p, err := s.payload(header)
	if err != nil {
		return err
	}
	serve.Work(header.OpCode == ws.OpBinary, p)
	if !s.Broadcast {
		return s.deflated.send(s.writer, header.OpCode, p)
	}
	frame, err := ws.CompileFrame(ws.NewFrame(header.OpCode, true, p))
	if err != nil {
		return err
	}
	for _, conn := range s.room.Members() {
		// One that is lost ends where it is read.
		_, _ = conn.Write(frame)
	}
	return nil
}

// payload reads the message's payload; it is valid until the next call.
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
	if s.message, err = readInto(s.message[:0], r, s.MaxMessage); err != nil {
		return nil, err
	}
	if !s.text.Valid() {
		return nil, wsutil.ErrInvalidUTF8
	}
	return s.message, nil
}

// readInto appends what r has to buf, which may then have limit bytes.
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

// refuse tells the client what it did wrong, which the library leaves to the
// application.
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
	return errors.Join(err, ws.WriteFrame(s.conn, ws.NewCloseFrame(ws.NewCloseFrameBody(code, ""))))
}
