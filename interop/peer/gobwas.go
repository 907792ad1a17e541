package peer

import (
	"compress/flate"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
)

var gobwas = Peer{
	Name:    "gobwas",
	Title:   "gobwas/ws",
	Package: "github.com/gobwas/ws",
	Serve:   serving(serveGobwas),
	Drive:   driving(library{echo: echoToGobwasURL, receive: receiveGobwas}),
}

func serveGobwas(ln net.Listener) error {
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		extension := wsflate.Extension{Parameters: wsflate.DefaultParameters}
		upgrader := ws.HTTPUpgrader{Negotiate: extension.Negotiate}
		conn, buffered, _, err := upgrader.Upgrade(r, w)
		if err != nil {
			return
		}
		_, compressed := extension.Accepted()
		newGobwasConn(conn, buffered, ws.StateServerSide, compressed).echo()
	}))
}

func dialGobwas(ctx context.Context, url string) (*gobwasConn, error) {
	dialer := ws.Dialer{Extensions: []httphead.Option{wsflate.DefaultParameters.Option()}}
	conn, buffered, agreed, err := dialer.Dial(ctx, url)
	if err != nil {
		return nil, err
	}
	var source io.Reader = conn
	if buffered != nil { // the server was quick
		source = buffered
	}
	return newGobwasConn(conn, source, ws.StateClientSide, len(agreed.Extensions) > 0), nil
}

func echoToGobwasURL(ctx context.Context, url string) {
	conn, err := dialGobwas(ctx, url)
	if err != nil {
		return
	}
	over := context.AfterFunc(ctx, func() { conn.Close() })
	defer over()
	conn.echo()
}

func receiveGobwas(ctx context.Context, url string) (string, error) {
	conn, err := dialGobwas(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_, r, err := conn.next()
	if err != nil {
		return "", err
	}
	payload, err := io.ReadAll(r)
	return string(payload), err
}

// A gobwasConn is what the library's examples make of a connection: wsutil's reader and writer, and wsflate's around them for messages that are
// compressed.
type gobwasConn struct {
	net.Conn
	reader     *wsutil.Reader
	writer     *wsutil.Writer
	control    wsutil.FrameHandlerFunc
	compressed wsflate.MessageState // of the message that is read, and so of its echo
	inflater   *wsflate.Reader
	deflater   *wsflate.Writer
}

func newGobwasConn(conn net.Conn, source io.Reader, state ws.State, compressed bool) *gobwasConn {
	c := &gobwasConn{Conn: conn, control: wsutil.ControlFrameHandler(conn, state)}
	c.reader = &wsutil.Reader{Source: source, State: state, OnIntermediate: c.control, MaxMessageSize: MaxMessage}
	if !compressed {
		c.writer = wsutil.NewWriter(conn, state, 0)
		return c
	}
	c.reader.State |= ws.StateExtended
	c.reader.Extensions = []wsutil.RecvExtension{&c.compressed}
	c.writer = wsutil.NewWriter(conn, state|ws.StateExtended, 0)
	c.writer.SetExtensions(&c.compressed)
	c.inflater = wsflate.NewReader(nil, func(r io.Reader) wsflate.Decompressor { return flate.NewReader(r) })
	c.deflater = wsflate.NewWriter(nil, func(w io.Writer) wsflate.Compressor {
		f, _ := flate.NewWriter(w, flate.BestCompression) // fails for a wrong level only
		return f
	})
	return c
}

// next returns the next data message, and answers the control frames before it.
func (c *gobwasConn) next() (ws.OpCode, io.Reader, error) {
	for {
		header, err := c.reader.NextFrame()
		if err != nil {
			return 0, nil, err
		}
		if header.OpCode.IsControl() {
			if c.control(header, c.reader) != nil {
				return 0, nil, io.EOF // it was a Close, and is answered
			}
			continue
		}
		var r io.Reader = c.reader
		if c.compressed.IsCompressed() {
			c.inflater.Reset(r)
			r = c.inflater
		}
		return header.OpCode, r, nil
	}
}

func (c *gobwasConn) echo() {
	defer c.Close()
	for {
		opcode, r, err := c.next()
		if err == nil {
			err = c.copy(opcode, r)
		}
		if err != nil {
			c.fail(err)
			return
		}
	}
}

// copy sends a message back. The check of a text is here, not in wsutil.Reader, which would see it compressed.
func (c *gobwasConn) copy(opcode ws.OpCode, r io.Reader) error {
	text := wsutil.NewUTF8Reader(r)
	if opcode == ws.OpText {
		r = text
	}
	c.writer.ResetOp(opcode)
	var w io.Writer = c.writer
	if c.compressed.IsCompressed() {
		c.deflater.Reset(w)
		w = c.deflater
	}
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	if !text.Valid() {
		return wsutil.ErrInvalidUTF8
	}
	if c.compressed.IsCompressed() {
		if err := c.deflater.Close(); err != nil {
			return err
		}
	}
	return c.writer.Flush()
}

// fail tells the peer what it did wrong, and lets it read that: the library leaves this to the application, and its example of an Autobahn
// server does so.
func (c *gobwasConn) fail(err error) {
	var protocol ws.ProtocolError
	code := ws.StatusProtocolError
	switch {
	case errors.Is(err, wsutil.ErrInvalidUTF8):
		code = ws.StatusInvalidFramePayloadData
	case !errors.As(err, &protocol):
		return
	}
	frame := ws.NewCloseFrame(ws.NewCloseFrameBody(code, ""))
	if c.reader.State.ClientSide() {
		frame = ws.MaskFrameInPlace(frame)
	}
	if ws.WriteFrame(c.Conn, frame) != nil {
		return
	}
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		tcp.CloseWrite()
	}
	c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	io.Copy(io.Discard, c.Conn)
}
