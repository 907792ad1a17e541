package endpoint

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"

	"github.com/fibersock/fibersock/internal/entropy"
	"github.com/fibersock/fibersock/wire"
)

// Endpoint is one side of an open connection. Receive, ReadBuffer, Progress,
// Remaining, Fail and TransportClosed are for one goroutine at a time, the
// receiving one; all other methods are safe for concurrent use.
//
// An idle Endpoint owns no buffer. It borrows one for an incomplete frame or
// message, and allocates rarely used fields when they are first used.
type Endpoint struct {
	receiver receiver
	sender   sender
}

// VectorWriter is a writer that takes a frame in two slices. With a
// VectorWriter a server does not copy payloads and can collect frames: see
// Endpoint.Cork.
type VectorWriter interface {
	io.Writer

	// Writev writes head and then payload, under the rules of New. head may be
	// empty.
	Writev(head, payload []byte) error
}

// New returns an open endpoint that writes frames to w. A Write must take all
// of p or return an error, and must not retain p. After an error the endpoint
// writes nothing more, because the peer may have half a frame.
func New(w io.Writer, cfg Config) *Endpoint {
	e := new(Endpoint)
	e.Init(w, NewSharedConfig(cfg))
	return e
}

// Init opens e, which is a zero Endpoint, like New. It is for an Endpoint that
// is a field of a larger struct.
func (e *Endpoint) Init(w io.Writer, cfg *SharedConfig) {
	e.receiver.cfg.Store(cfg)
	e.sender.w = w
	if cfg.role == Client {
		e.sender.ensureExt().keys = newKeys()
	} else if _, ok := w.(VectorWriter); ok {
		e.sender.vectored = true
	}
}

// newKeys returns a source of masking keys (RFC 6455, Section 5.3). They are
// unpredictable, because the seed of the ChaCha8 generator is the operating
// system's, and cheap enough for a new key with each frame.
func newKeys() *rand.ChaCha8 {
	var seed [32]byte
	entropy.Read(seed[:])
	return rand.NewChaCha8(seed)
}

// TransportClosed reports the end of the transport to the endpoint. cause is
// io.EOF if the peer closed it, and otherwise the transport's error.
// closeTransport, which may be nil, closes this side of the transport, so that
// a blocked write returns; TransportClosed returns when no write is in
// progress.
//
// The error is that of all later calls: the one that Receive has reported, or a
// *LostError if the closing handshake was not complete. The caller is the
// receiving goroutine.
func (e *Endpoint) TransportClosed(cause error, closeTransport func() error) error {
	e.receiver.flushCount(e.sender.counters)
	if cause == io.EOF && e.receiver.unfinished() {
		cause = io.ErrUnexpectedEOF
	}
	end := lost(cause)
	s := &e.sender
	ext := s.ensureExt()
	ext.lost.Store(end)
	_ = s.closeTransport(closeTransport) // cause is the reported error
	if failed := ext.failed.Load(); failed != nil {
		// The system may give the error to the writer and an EOF to the reader.
		end.err = &failed.lost
	}
	s.transition(transportClosed, end, closeFrame{})
	s.unlock()
	return e.Err()
}

// Abort ends the connection without a closing handshake: nothing more is sent.
// It records why, or ErrClosed if why is nil, and reports whether it is the
// first reason. If closeTransport is not nil, Abort then calls it, waits until
// no write is in progress, and returns its error. Otherwise Abort does not
// wait.
func (e *Endpoint) Abort(why error, closeTransport func() error) (first bool, err error) {
	end := lost(why)
	if why == nil {
		end.err = ErrClosed
	}
	first = e.sender.transition(aborted, end, closeFrame{})
	if closeTransport != nil {
		err = e.sender.closeTransport(closeTransport)
		e.sender.unlock()
	} else {
		e.sender.flushSoon(nil) // to wake waiting senders; config may be nil before Init
	}
	return first, err
}

// closedByUs reports whether err is the error of a transport that this side
// closed.
func closedByUs(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}

// outcome returns how the connection ended, nil if it has not.
func (e *Endpoint) outcome() *outcome {
	if ext := e.sender.ext(); ext != nil {
		return ext.outcome.Load()
	}
	return nil
}

// Err returns why the connection ended: a *CloseError, a *FailError, a
// *LostError or ErrClosed. It is nil until the peer's Close arrives, the
// connection fails, the transport ends or Abort is called.
//
//go:noinline
func (e *Endpoint) Err() error {
	if end := e.outcome(); end != nil {
		return end.err
	}
	return nil
}

// CloseCode returns the status code of the connection's end (RFC 6455, Section
// 7.1.5): the one in the peer's Close, NoStatusReceived if that has none, and
// AbnormalClosure without a Close. It is 0 as long as Err is nil.
func (e *Endpoint) CloseCode() wire.StatusCode {
	if end := e.outcome(); end != nil {
		return end.code
	}
	return 0
}

// CloseReason returns the reason in the peer's Close (Section 7.1.6). It is
// UTF-8 and otherwise untrusted.
func (e *Endpoint) CloseReason() string {
	if end := e.outcome(); end != nil {
		return end.reason
	}
	return ""
}
