// Package peers gives other WebSocket libraries one interface, each in a
// package below this one: the benchmark, the interoperability tests and the
// differential fuzzer run the same code. Each library is used as its own
// documentation advises for a program that has to be fast and correct.
package peers

import (
	"context"
	"io"
	"net"
)

// A Library is a WebSocket library in both roles.
type Library struct {
	Name   string // a word for command lines and file names
	Title  string
	Module string

	// Serve serves the connections of ln. It returns when ln fails.
	Serve func(ln net.Listener, o Options, h Handler) error

	// Dial connects to url and serves the connection until it ends. The error
	// is never nil. A canceled ctx closes the connection. It is nil for a
	// library whose server alone is wrapped.
	Dial func(ctx context.Context, url string, o Options, h Handler) error

	// Prepare encodes a message for many connections. p is valid until Release.
	Prepare func(text bool, p []byte) (Prepared, error)
}

// Options configure a connection.
type Options struct {
	MaxMessage int  // bytes; a longer message fails the connection
	Deflate    bool // negotiate permessage-deflate
	Takeover   bool // keep its context between messages, where the library can
	WindowBits int  // of permessage-deflate in both directions, where the library can; 0: its default
	CheckText  bool // check that text is UTF-8 also where the library does not
	Parallel   bool // handle messages of a connection in parallel, where the library can

	// PEM files of a certificate and its key, for a library that has a TLS of
	// its own: its Serve expects a listener of TCP then. Others get one of TLS.
	Cert, Key string
}

// A Handler reacts to the events of a connection. The library's goroutine calls
// it. The zero value echoes.
type Handler struct {
	Open  func(c Conn) error // may be nil
	Close func(c Conn)       // called after Open; may be nil

	// Message is called with each message; p is valid until it returns. An
	// error closes the connection. nil: the message is sent back in the
	// library's fastest way.
	Message func(c Conn, text bool, p []byte) error

	// Block is called with the first byte of a binary message of BlockSize
	// bytes, before its echo. It may be nil.
	Block     func(first byte)
	BlockSize int
}

// A Conn is an open connection.
type Conn interface {
	// Send sends a message of one frame. Only the handler of the connection may
	// call it.
	Send(text bool, p []byte) error
}

// Prepared is an encoded message.
type Prepared interface {
	SendTo(c Conn) error // for any goroutine
	Release()
}

// Opened calls Open.
func (h Handler) Opened(c Conn) error {
	if h.Open == nil {
		return nil
	}
	return h.Open(c)
}

// Closed calls Close.
func (h Handler) Closed(c Conn) {
	if h.Close != nil {
		h.Close(c)
	}
}

// Received calls Message, or echoes.
func (h Handler) Received(c Conn, text bool, p []byte) error {
	if h.Message != nil {
		return h.Message(c, text, p)
	}
	if h.MayBlock(text, len(p)) {
		h.Block(p[0])
	}
	return c.Send(text, p)
}

// MayBlock reports whether Block is to be called before an echo.
func (h Handler) MayBlock(text bool, size int) bool {
	return h.Block != nil && !text && size == h.BlockSize
}

// CloseAfter closes c when ctx ends, until stop is called.
func CloseAfter(ctx context.Context, c io.Closer) (stop func() bool) {
	return context.AfterFunc(ctx, func() { c.Close() })
}
