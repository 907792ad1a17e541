package client

import (
	"context"
	"net"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/netloop"
)

// Trace reports the steps of Dial; see NewTrace and Config.Trace.
type Trace interface {
	// report reports the step d.step, which ended with err.
	report(ctx context.Context, d *dialer, err error) error
}

// Step is a step of Dial that has ended. A function of NewTrace must not
// change, use or keep the Conn, Request and Response.
type Step struct {
	Kind StepKind
	Took time.Duration // since the end of the previous step
	Err  error         // nil if the step succeeded

	Address   string              // host and port of the server or proxy; the IP address and port of StepAddress
	Addresses []string            // of StepResolve: the IP addresses
	Conn      net.Conn            // of StepConnect, StepProxy and StepTLS: the connection; a *tls.Conn for StepTLS
	Request   []byte              // the request, which may contain secrets
	Response  *handshake.Response // of StepResponse; nil if there was none
}

// StepKind is the kind of a Step. Its text is a name for people.
type StepKind string

// The steps of Dial, in order. A redirect begins again with StepConnect.
const (
	StepResolve   StepKind = "resolve"    // the resolution of the host's name; from package dialtrace
	StepAddress   StepKind = "address"    // an attempt to connect to one address; from package dialtrace
	StepConnect   StepKind = "connect"    // the connection to the server or proxy, with its name's resolution
	StepProxy     StepKind = "proxy"      // the tunnel through the proxy; only with a proxy
	StepTLS       StepKind = "tls"        // the TLS handshake with the server; only for wss
	StepRequest   StepKind = "request"    // the request has been written
	StepFirstByte StepKind = "first byte" // the first byte of the response has been read
	StepResponse  StepKind = "response"   // the head of the response has been read

	stepStart StepKind = "" // before StepConnect; not reported
)

// NewTrace returns a Trace that calls f with each step when it has ended, one
// call after another, on other goroutines than Dial, which waits for it. If a
// Config with the Trace is used by several Dials at the same time, so are the
// calls of f.
func NewTrace(f func(Step)) Trace { return traceFunc(f) }

// traceFunc is the Trace of NewTrace.
type traceFunc func(Step)

func (f traceFunc) report(_ context.Context, d *dialer, err error) error {
	if d.step != stepStart {
		s := Step{Kind: d.step, Took: time.Since(d.stepEnded), Err: err, Address: d.address, Request: d.request, Response: d.response}
		switch d.step {
		case StepConnect:
			s.Conn = d.transport
		case StepProxy:
			s.Conn = d.tunneled
		case StepTLS:
			s.Conn = d.secured
		}
		traced := <-netloop.Detach(func() error {
			f(s)
			return nil
		}, recovered)
		if traced != nil {
			return traced
		}
	}
	d.stepEnded = time.Now()
	return nil
}

// TraceDialer returns a ContextDialer that calls dialer, or the default of
// Config.DialContext if that is nil, with the context that start returns for
// ctx and the address to connect to. It calls end when dialer has returned.
// start and end must not block. Package dialtrace is made of it.
func TraceDialer(dialer ContextDialer, start func(ctx context.Context, addr string) (traced context.Context, end func())) ContextDialer {
	return &traceDialer{dialer, start}
}

type traceDialer struct {
	dialer ContextDialer
	start  func(ctx context.Context, addr string) (context.Context, func())
}

func (t *traceDialer) dial(ctx context.Context, address string) (netloop.Transport, error) {
	ctx, end := t.start(ctx, address)
	defer end()
	if t.dialer == nil {
		return dialSocket(ctx, "tcp", address)
	}
	return t.dialer.dial(ctx, address)
}
