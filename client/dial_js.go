package client

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall/js"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/netloop"
	"github.com/fibersock/fibersock/wire"
)

// This file connects with the WebSocket of the browser (WHATWG WebSockets
// Standard). A browserConn translates between its messages and the frames of
// the engine.

// usesBrowser reports whether Dial uses the WebSocket of the browser.
func usesBrowser(cfg *Config) bool { return cfg.DialContext == nil }

var (
	errBrowserFailed = errors.New("the connection failed; a page does not learn the reason")
	errBrowserClosed = errors.New("the browser has closed the connection")
	errNoWebSocket   = errors.New("the JavaScript environment has no WebSocket")
	errUserInURL     = errors.New("the WebSocket of the browser does not send the user of a URL")
)

// isPermanentBrowser reports whether err is a permanent *BrowserError.
func isPermanentBrowser(err error) bool {
	var e *BrowserError
	return errors.As(err, &e) && e.Err != errBrowserFailed
}

// connectBrowser opens the connection with the WebSocket of the browser.
func (d *dialer) connectBrowser(ctx context.Context) (*Conn, error) {
	if option := unsupportedOption(d.cfg); option != "" {
		return nil, &BrowserError{Option: option}
	}
	if d.url.User != nil {
		return nil, &BrowserError{Err: errUserInURL}
	}
	if ctx.Err() != nil {
		return nil, dialError(ctx, d.url, nil)
	}
	b, err := newBrowserConn(d.url, d.cfg)
	if err != nil {
		return nil, dialError(ctx, d.url, &BrowserError{Err: err})
	}
	select {
	case <-b.opened:
	case <-b.closed:
		if !isClosed(b.opened) {
			return nil, dialError(ctx, d.url, &BrowserError{Err: errBrowserFailed})
		}
	case <-ctx.Done():
		b.Close()
		return nil, dialError(ctx, d.url, nil)
	}
	cfg := *d.cfg
	cfg.WriteTimeout = -1 // browserConn has it: only the browser knows the progress
	cfg.PingInterval = -1 // a page cannot send Pings
	c := newConn(netloop.NewTransport(b, recovered), &cfg, nil, nil, nil)
	c.subprotocol = b.socket.Get("protocol").String()
	return c, nil
}

// unsupportedOption returns the name of a field of cfg that is set and that the
// WebSocket of the browser does not support, "" if there is none.
func unsupportedOption(cfg *Config) string {
	for _, option := range []struct {
		name string
		set  bool
	}{
		{"Header", len(cfg.Header) > 0},
		{"Host", cfg.Host != ""},
		{"TLS", cfg.TLS != nil},
		{"StartTLS", cfg.StartTLS != nil},
		{"Proxy", cfg.Proxy != nil},
		{"ProxyHeader", len(cfg.ProxyHeader) > 0},
		{"ProxyTLS", cfg.ProxyTLS != nil},
		{"Redirects", cfg.Redirects != nil},
		{"Cookies", cfg.Cookies != nil},
		{"Trace", cfg.Trace != nil},
	} {
		if option.set {
			return option.name
		}
	}
	return ""
}

// browserOpen is the value of WebSocket.readyState while messages can be sent.
const browserOpen = 1

// maxBuffered is the number of bytes in the browser's send buffer above which a
// Write blocks.
const maxBuffered = 256 << 10

// drainInterval is the time between two looks at the send buffer while a Write
// is blocked. The browser has no event for it.
const drainInterval = 5 * time.Millisecond

// browserConn is a net.Conn over the WebSocket of the browser. Its bytes are
// the frames of a client and of a server. It has no deadlines: those of the
// transport above it apply. Write belongs to one goroutine at a time, and so
// does Read.
type browserConn struct {
	socket  js.Value
	events  []js.Func // released after the close event
	url     string
	timeout time.Duration // Config.WriteTimeout; 0 or less: none
	encoder js.Value      // TextEncoder
	decoder js.Value      // TextDecoder that keeps a byte order mark

	opened chan struct{} // closed by the open event
	closed chan struct{} // closed by the close event

	// Of the writer:
	out     []byte      // the beginning of a frame
	opcode  wire.Opcode // of the unfinished message
	message []byte      // the fragments of the unfinished message

	arrived chan struct{} // capacity 1: the fields below have changed
	mu      sync.Mutex    // guards the rest
	in      [][]byte      // frames that are not read yet
	end     error         // of the Read after in; nil while the socket is open
}

// newBrowserConn starts to connect. The error is an exception of the browser,
// or errNoWebSocket.
func newBrowserConn(u *handshake.URL, cfg *Config) (*browserConn, error) {
	constructor := js.Global().Get("WebSocket")
	if constructor.Type() != js.TypeFunction {
		return nil, errNoWebSocket
	}
	c := &browserConn{
		url:     u.String(),
		timeout: cfg.WriteTimeout,
		encoder: js.Global().Get("TextEncoder").New(),
		decoder: js.Global().Get("TextDecoder").New("utf-8", map[string]any{"ignoreBOM": true}),
		opened:  make(chan struct{}),
		closed:  make(chan struct{}),
		arrived: make(chan struct{}, 1),
	}
	subprotocols := make([]any, len(cfg.Subprotocols))
	for i, s := range cfg.Subprotocols {
		subprotocols[i] = s
	}
	if err := catch(func() { c.socket = constructor.New(c.url, subprotocols) }); err != nil {
		return nil, err
	}
	c.socket.Set("binaryType", "arraybuffer")
	c.handle("onopen", func(js.Value) { close(c.opened) })
	c.handle("onmessage", func(event js.Value) { c.receiveMessage(event.Get("data")) })
	c.handle("onclose", c.receiveClose)
	return c, nil
}

// handle calls f with the events of a handler. f must not block.
func (c *browserConn) handle(name string, f func(event js.Value)) {
	handler := js.FuncOf(func(_ js.Value, args []js.Value) any {
		f(args[0])
		return nil
	})
	c.events = append(c.events, handler)
	c.socket.Set(name, handler)
}

// catch calls f and returns the JavaScript exception that f panics with.
func catch(f func()) (err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case js.Error:
			err = e
		default:
			panic(e)
		}
	}()
	f()
	return nil
}

// receiveMessage queues a message as a frame of the server.
func (c *browserConn) receiveMessage(data js.Value) {
	h := wire.Header{Fin: true, Opcode: wire.Binary}
	var payload js.Value // a Uint8Array
	if data.Type() == js.TypeString {
		h.Opcode = wire.Text
		payload = c.encoder.Call("encode", data)
	} else {
		payload = js.Global().Get("Uint8Array").New(data)
	}
	size := payload.Length()
	h.Length = int64(size)
	frame := wire.AppendHeader(make([]byte, 0, wire.MaxHeaderSize+size), h)
	start := len(frame)
	frame = frame[:start+size]
	js.CopyBytesToGo(frame[start:], payload)
	c.queue(frame, nil)
}

// receiveClose queues the Close frame of the server, if it sent one, and the
// end of the transport.
func (c *browserConn) receiveClose(event js.Value) {
	var frame []byte
	code := wire.StatusCode(event.Get("code").Int())
	if code == wire.NoStatusReceived {
		code = 0
	}
	// A code that is not valid in a Close frame, such as 1006, is the browser's.
	if payload, err := wire.AppendClosePayload(nil, code, event.Get("reason").String()); err == nil {
		frame = wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Close}, payload)
	}
	c.queue(frame, io.EOF)
	close(c.closed)
	for _, name := range []string{"onopen", "onmessage", "onclose"} {
		c.socket.Set(name, nil)
	}
	for _, handler := range c.events {
		handler.Release()
	}
}

// queue queues a frame, if it is not nil, and the end of the connection, if it
// is not nil. After the end it has no effect.
func (c *browserConn) queue(frame []byte, end error) {
	c.mu.Lock()
	if c.end == nil {
		if frame != nil {
			c.in = append(c.in, frame)
		}
		c.end = end
	}
	c.mu.Unlock()
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

// Read reads frames of the server.
func (c *browserConn) Read(p []byte) (int, error) {
	for {
		c.mu.Lock()
		if len(c.in) > 0 {
			n := copy(p, c.in[0])
			if c.in[0] = c.in[0][n:]; len(c.in[0]) == 0 {
				c.in[0] = nil
				c.in = c.in[1:]
			}
			c.mu.Unlock()
			return n, nil
		}
		end := c.end
		c.mu.Unlock()
		if end != nil {
			return 0, end
		}
		<-c.arrived
	}
}

// Write accepts frames of the client, and sends each message when its last
// frame is complete. It blocks while the browser buffers more than maxBuffered.
func (c *browserConn) Write(p []byte) (int, error) {
	c.out = append(c.out, p...)
	rest := c.out
	for {
		f, n, err := wire.DecodeFrame(rest)
		if err == nil && n > 0 {
			err = c.sendFrame(f)
		}
		if err != nil {
			return 0, err
		}
		if n == 0 {
			break
		}
		rest = rest[n:]
	}
	switch {
	case len(rest) > 0:
		c.out = append(c.out[:0], rest...)
	case cap(c.out) > netloop.LargeBuffer:
		c.out = nil
	default:
		c.out = c.out[:0]
	}
	return len(p), nil
}

// sendFrame sends the message that f completes. A Ping is answered here, and a
// Pong is dropped: a page can send neither.
func (c *browserConn) sendFrame(f wire.Frame) error {
	switch f.Opcode {
	case wire.Close:
		return c.sendClose(f.Payload)
	case wire.Ping:
		c.queue(wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Pong}, f.Payload), nil)
		return nil
	case wire.Pong:
		return nil
	case wire.Text, wire.Binary:
		c.opcode = f.Opcode
	}
	message := f.Payload
	if !f.Fin || len(c.message) > 0 {
		c.message = append(c.message, f.Payload...)
		message = c.message
	}
	if !f.Fin {
		return nil
	}
	c.message = nil
	return c.sendMessage(message)
}

// sendMessage sends a message and waits until the browser buffers at most
// maxBuffered.
func (c *browserConn) sendMessage(p []byte) error {
	if c.socket.Get("readyState").Int() != browserOpen {
		return errBrowserClosed // the browser would discard the message
	}
	data := js.Global().Get("Uint8Array").New(len(p))
	js.CopyBytesToJS(data, p)
	if c.opcode == wire.Text {
		data = c.decoder.Call("decode", data)
	}
	if err := catch(func() { c.socket.Call("send", data) }); err != nil {
		return err
	}
	return c.drain()
}

// drain waits until the browser buffers at most maxBuffered. After WriteTimeout
// without progress it closes the connection.
func (c *browserConn) drain() error {
	progress := time.Now()
	for left := c.buffered(); left > maxBuffered; {
		select {
		case <-c.closed:
			return errBrowserClosed
		case <-time.After(drainInterval):
		}
		before := left
		if left = c.buffered(); left < before {
			progress = time.Now()
		} else if c.timeout > 0 && time.Since(progress) >= c.timeout {
			err := endpoint.NewWriteTimeout(c.timeout)
			c.closeSocket(err)
			return err
		}
	}
	return nil
}

// buffered returns the size of the browser's send buffer, in bytes.
func (c *browserConn) buffered() int { return c.socket.Get("bufferedAmount").Int() }

// sendClose starts the closing handshake. A page can send the codes 1000 and
// 3000 to 4999 only: in place of others the server gets an empty Close.
func (c *browserConn) sendClose(payload []byte) error {
	code, reason, err := wire.ParseClosePayload(payload)
	if err != nil {
		return err
	}
	return catch(func() {
		if code == wire.NormalClosure || 3000 <= code && code <= 4999 {
			c.socket.Call("close", int(code), string(reason))
		} else {
			c.socket.Call("close")
		}
	})
}

// CloseWrite has no effect: the browser ends the connection after the Close
// frame.
func (c *browserConn) CloseWrite() error { return nil }

// Close closes the connection. The browser performs a closing handshake with an
// empty Close in the background.
func (c *browserConn) Close() error {
	c.closeSocket(net.ErrClosed)
	return nil
}

// closeSocket closes the connection. Reads return err.
func (c *browserConn) closeSocket(err error) {
	c.queue(nil, err)
	c.socket.Call("close")
}

func (c *browserConn) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (c *browserConn) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (c *browserConn) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }
func (c *browserConn) LocalAddr() net.Addr              { return browserAddr("browser") }
func (c *browserConn) RemoteAddr() net.Addr             { return browserAddr(c.url) }

// browserAddr is an address of a browserConn: the URL of the server, or
// "browser".
type browserAddr string

func (browserAddr) Network() string  { return "websocket" }
func (a browserAddr) String() string { return string(a) }
