package main

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/panjf2000/gnet/v2"

	"github.com/fibersock/fibersock/bench/internal/serve"
)

const maxRequest = 16 << 10 // bytes of an opening handshake

type server struct {
	gnet.BuiltinEventEngine
	serve.Options
	booted  chan string // the address, once
	group   serve.Group[gnet.Conn]
	outputs sync.Pool // of *bytes.Buffer, for the replies of one event
}

// session is the state of a connection.
type session struct {
	open    bool     // after the opening handshake
	state   ws.State // has StateFragmented within a message
	opcode  ws.OpCode
	message []byte // fragments

	out     *bytes.Buffer // the replies of one event; nil between two
	header  bytes.Reader
	scratch [ws.MaxHeaderSize]byte
}

func (s *server) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	c.SetContext(&session{state: ws.StateServerSide})
	return nil, gnet.None
}

func (s *server) OnClose(c gnet.Conn, _ error) gnet.Action {
	if s.Broadcast {
		s.group.Remove(c)
	}
	return gnet.None
}

// OnTraffic handles the frames that are there, and writes all replies at once.
func (s *server) OnTraffic(c gnet.Conn) gnet.Action {
	k := c.Context().(*session)
	out, ok := s.outputs.Get().(*bytes.Buffer)
	if !ok {
		out = new(bytes.Buffer)
	}
	out.Reset()
	defer s.outputs.Put(out)
	k.out = out
	err := s.frames(c, k)
	if code := closeCode(err); code != 0 {
		k.reply(ws.OpClose, ws.NewCloseFrameBody(code, ""))
	}
	k.out = nil
	if out.Len() > 0 {
		_, _ = c.Write(out.Bytes()) // gnet closes a lost connection
	}
	if !errors.Is(err, errIncomplete) {
		return gnet.Close
	}
	return gnet.None
}

var (
	errIncomplete = errors.New("more bytes must arrive")
	errTooLong    = errors.New("message exceeds the limit")
	errNotUTF8    = errors.New("text is not UTF-8")
)

// closeCode returns the code of the Close for an error; 0 for none.
func closeCode(err error) ws.StatusCode {
	_, protocol := errors.AsType[ws.ProtocolError](err)
	switch {
	case errors.Is(err, errTooLong):
		return ws.StatusMessageTooBig
	case errors.Is(err, errNotUTF8):
		return ws.StatusInvalidFramePayloadData
	case protocol, errors.Is(err, ws.ErrHeaderLengthMSB), errors.Is(err, ws.ErrHeaderLengthUnexpected):
		return ws.StatusProtocolError
	}
	return 0
}

// frames handles the opening handshake and all complete frames. It never
// returns nil.
func (s *server) frames(c gnet.Conn, k *session) error {
	if !k.open {
		if err := k.upgrade(c); err != nil {
			return err
		}
		k.open = true
		if s.Broadcast {
			s.group.Add(c)
		}
	}
	for {
		h, payload, err := s.next(c, k)
		if err != nil {
			return err
		}
		if h.OpCode.IsControl() {
			err = k.control(h.OpCode, payload)
		} else {
			err = s.data(c, k, h, payload)
		}
		if err != nil {
			return err
		}
	}
}

// upgrade answers a whole request.
func (k *session) upgrade(c gnet.Conn) error {
	p, err := c.Peek(-1)
	if err != nil {
		return err
	}
	blank := []byte("\r\n\r\n")
	end := bytes.Index(p, blank)
	if end < 0 {
		if len(p) > maxRequest {
			return errTooLong
		}
		return errIncomplete
	}
	request := p[:end+len(blank)]
	_, err = ws.Upgrade(struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(request), k.out})
	if err != nil {
		return err
	}
	_, err = c.Discard(len(request))
	return err
}

// next returns the next frame with its payload unmasked in gnet's buffer, valid
// until the next call.
func (s *server) next(c gnet.Conn, k *session) (h ws.Header, payload []byte, err error) {
	buffered := c.InboundBuffered()
	if buffered == 0 {
		return h, nil, errIncomplete
	}
	p, err := c.Peek(min(buffered, ws.MaxHeaderSize))
	if err != nil {
		return h, nil, err
	}
	k.header.Reset(p)
	h, err = ws.ReadHeaderBuffer(&k.header, k.scratch[:])
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return h, nil, errIncomplete
	case err != nil:
		return h, nil, err
	}
	if err := ws.CheckHeader(h, k.state); err != nil {
		return h, nil, err
	}
	if h.Length > int64(s.MaxMessage-len(k.message)) {
		return h, nil, errTooLong
	}
	size := len(p) - k.header.Len()
	if buffered < size+int(h.Length) {
		return h, nil, errIncomplete
	}
	p, err = c.Next(size + int(h.Length))
	if err != nil {
		return h, nil, err
	}
	payload = p[size:]
	ws.Cipher(payload, h.Mask, 0)
	return h, payload, nil
}

// control answers a control frame; io.EOF is the end after Close.
func (k *session) control(opcode ws.OpCode, payload []byte) error {
	switch opcode {
	case ws.OpPing:
		k.reply(ws.OpPong, payload)
	case ws.OpClose:
		k.reply(ws.OpClose, payload)
		return io.EOF
	}
	return nil
}

// data collects fragments, and answers a message.
func (s *server) data(c gnet.Conn, k *session, h ws.Header, payload []byte) error {
	if h.OpCode != ws.OpContinuation {
		k.opcode = h.OpCode
	}
	if !h.Fin {
		k.state = k.state.Set(ws.StateFragmented)
		k.message = append(k.message, payload...)
		return nil
	}
	if k.state.Fragmented() {
		payload = append(k.message, payload...)
		k.state, k.message = k.state.Clear(ws.StateFragmented), nil
	}
	if k.opcode == ws.OpText && !utf8.Valid(payload) {
		return errNotUTF8
	}
	serve.BlockIfAsked(k.opcode == ws.OpBinary, payload)
	if s.Broadcast {
		return s.broadcast(c, k.opcode, payload)
	}
	k.reply(k.opcode, payload)
	return nil
}

// broadcast writes to the connections of this loop, and asks the other loops to
// write to theirs.
func (s *server) broadcast(from gnet.Conn, opcode ws.OpCode, payload []byte) error {
	frame, err := ws.CompileFrame(ws.NewFrame(opcode, true, payload))
	if err != nil {
		return err
	}
	for _, to := range s.group.Members() {
		if to.EventLoop() == from.EventLoop() {
			_, _ = to.Write(frame) // gnet closes a lost connection
		} else {
			_ = to.AsyncWrite(frame, nil)
		}
	}
	return nil
}

// reply adds a frame to the output.
func (k *session) reply(opcode ws.OpCode, payload []byte) {
	// Neither fails: the output is memory, and the length is valid.
	_ = ws.WriteHeaderBuffer(k.out, ws.Header{Fin: true, OpCode: opcode, Length: int64(len(payload))}, k.scratch[:])
	_, _ = k.out.Write(payload)
}
