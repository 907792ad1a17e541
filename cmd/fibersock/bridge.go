package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/texts"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

const bridgeUsage = `Usage: fibersock bridge [flags] A B

Connects A with B and moves bytes in both directions. Each is one of

  -                        standard input and output
  tcp:HOST:PORT            a TCP connection
  unix:PATH                a connection to a unix socket
  exec:COMMAND             standard input and output of a command of the shell
  ws://… wss://…           a WebSocket connection; bytes are binary messages
  tcp-listen:HOST:PORT     one of A and B may listen: each connection that it
  unix-listen:PATH         accepts gets its own connection to the other side, or
  ws-listen:HOST:PORT      with -, only the first one is accepted

Bytes are moved as they arrive, at most 32 KiB in a message, and the payload of
text and binary messages is written. If one side does not read, the other one is
not read; the buffers between them are bounded. A write has no timeout.

The end of one direction is passed on, and the other direction continues.
Between two bridges an empty message stands for the end, if the subprotocol
halfclose.fibersock is negotiated, which a bridge offers and accepts. To another
server or client the end is a Close with 1000: messages that arrive until its
Close are delivered. A connection that breaks is passed on: to TCP as a reset,
to WebSocket as 1011.

Examples:
  ssh -o ProxyCommand='fibersock bridge - wss://gate.example.com/ssh' host
  fibersock bridge ws-listen:localhost:8022 tcp:localhost:22
  fibersock bridge tcp-listen:localhost:5432 wss://gate.example.com/db
`

const bridgeExitCodes = `
Exit codes:
  0    both directions ended in order; with a listener: interrupted
  1    wrong use
  2    cannot connect or listen
  3    TLS failed
  4    the server did not accept the opening handshake
  5    the WebSocket peer broke the protocol
  6    a connection broke
  7    timeout
  8    the WebSocket peer closed with another code than 1000 and 1001
  130  interrupted
`

// halfClose is the subprotocol in which an empty message is the end of a
// direction.
const halfClose = "halfclose.fibersock"

// bridgeBacklog bounds the bytes buffered for a client of ws-listen.
const bridgeBacklog = 128 << 10

// defaultBridges bounds the connections of a listener.
const defaultBridges = 1000

// bridgeOptions are the flags of bridge.
type bridgeOptions struct {
	targetOptions
	origins     listFlag
	connections int
	noHalfClose bool
	verbose     bool
	json        bool
}

func bridgeFlags() (*flag.FlagSet, *bridgeOptions) {
	o := new(bridgeOptions)
	o.compression = "off"
	flags := newFlags("bridge", bridgeUsage, bridgeExitCodes)
	flags.BoolVar(&o.noHalfClose, "no-half-close", false, "neither offer nor accept the subprotocol "+halfClose)
	flags.Var(&o.origins, "allow-origin", "with ws-listen: accept pages of other origins, `patterns` as for -origin of serve;\nmay be repeated")
	flags.IntVar(&o.connections, "max-connections", defaultBridges, "with a listener: serve at most `n` connections at the same time; others wait, or\nare closed by ws-listen")
	flags.BoolVar(&o.verbose, "v", false, "log each connection with its bytes on standard error")
	flags.BoolVar(&o.json, "json", false, "write the log as lines of JSON")
	o.add(flags)
	return flags, o
}

// address is a parsed A or B.
type address struct {
	kind   string // -, tcp, unix, exec, ws, tcp-listen, unix-listen, ws-listen
	target string // host and port, path, command or URL
}

// listens reports whether the address is of a listener.
func (a address) listens() bool { return strings.HasSuffix(a.kind, "-listen") }

// String returns the address as it was written.
func (a address) String() string {
	switch a.kind {
	case "-", "ws":
		return a.target
	}
	return a.kind + ":" + a.target
}

// parseAddress parses A or B.
func parseAddress(s string) (address, error) {
	if s == "-" {
		return address{"-", s}, nil
	}
	kind, target, _ := strings.Cut(s, ":")
	switch kind {
	case "ws", "wss", "http", "https":
		if _, err := handshake.ParseURL(s); err != nil {
			return address{}, usagef("%s", texts.WithoutPrefix(err))
		}
		return address{"ws", s}, nil
	case "unix", "unix-listen", "exec":
		if target == "" {
			return address{}, usagef("%s: needs a path or a command", kind)
		}
		return address{kind, target}, nil
	case "tcp", "tcp-listen", "ws-listen":
		if _, _, err := net.SplitHostPort(target); err != nil {
			return address{}, usagef("%q: needs a host and a port, such as %s:localhost:8022", s, kind)
		}
		return address{kind, target}, nil
	}
	return address{}, usagef("%q is not one of -, tcp:, unix:, exec:, ws:, wss:, tcp-listen:, unix-listen:, ws-listen:", s)
}

// bridgeCommand is the subcommand bridge.
func bridgeCommand(ctx context.Context, args []string, std streams) exitCode {
	flags, o := bridgeFlags()
	rest, err := parse(flags, args)
	b := &bridge{options: o, std: std}
	if err == nil {
		err = b.configure(rest)
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	if !b.a.listens() && b.b.listens() {
		b.a, b.b = b.b, b.a
	}
	if b.a.listens() {
		return b.listen(ctx)
	}
	return b.connect(ctx)
}

// bridge is a run of the command.
type bridge struct {
	options *bridgeOptions
	std     streams
	a, b    address // only a may listen
	cfg     *client.Config
	log     *slog.Logger
}

// configure checks the arguments and flags.
func (b *bridge) configure(args []string) (err error) {
	o := b.options
	if len(args) != 2 {
		return usagef("bridge takes two sides, not %d", len(args))
	}
	if b.a, err = parseAddress(args[0]); err != nil {
		return err
	}
	if b.b, err = parseAddress(args[1]); err != nil {
		return err
	}
	switch {
	case b.a.listens() && b.b.listens():
		return usagef("only one side may listen")
	case b.a.kind == "-" && b.b.kind == "-":
		return usagef("only one side may be -")
	case o.connections <= 0:
		return usagef("-max-connections takes a number above 0, not %d", o.connections)
	}
	if malformed := handshake.ValidateOrigins(o.origins); malformed != nil {
		return usagef("-allow-origin: %s", texts.WithoutPrefix(malformed))
	}
	if err := o.check(); err != nil {
		return err
	}
	if !o.noHalfClose && !slices.Contains(o.subprotocols, halfClose) {
		o.subprotocols = append(o.subprotocols, halfClose)
	}
	if b.cfg, err = o.config(); err != nil {
		return err
	}
	b.cfg.WriteTimeout = -1 // a side that does not read for a time is no failure
	b.cfg.AssemblyTimeout = -1
	b.cfg.Limits = client.Limits{Frame: -1, Message: -1} // messages are not assembled
	level := slog.LevelWarn
	if o.verbose {
		level = slog.LevelInfo
	}
	b.log = b.std.newLog(o.json, level)
	return nil
}

// open opens the connection to an address that does not listen. The exit code
// is that of the error.
func (b *bridge) open(ctx context.Context, a address) (bridgeEnd, exitCode, error) {
	switch a.kind {
	case "-":
		return &stdioEnd{std: b.std}, exitOK, nil
	case "exec":
		end, err := startExec(a.target, b.std.err)
		if err != nil {
			return nil, exitUsage, err
		}
		return end, exitOK, nil
	case "ws":
		conn, code, err := dialTarget(ctx, a.target, b.cfg)
		if err != nil {
			return nil, code, err
		}
		return newMessageEnd(clientMessages{conn}, conn.Subprotocol()), exitOK, nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.options.timeout)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, a.kind, a.target)
	if err != nil {
		return nil, dialExitCode(err, false, false), err
	}
	return streamEnd{nc}, exitOK, nil
}

// connect serves one connection between two addresses that do not listen.
func (b *bridge) connect(ctx context.Context) exitCode {
	first, code, err := b.open(ctx, b.a)
	if err == nil {
		var second bridgeEnd
		if second, code, err = b.open(ctx, b.b); err == nil {
			return b.join(ctx, first, second)
		}
		first.Abort(wire.BadGateway, "cannot connect")
	}
	fmt.Fprintf(b.std.err, "fibersock: %s\n", escape(explainDial(err)))
	return code
}

// join moves bytes between two ends until both directions have ended, and
// reports an error.
func (b *bridge) join(ctx context.Context, first, second bridgeEnd) exitCode {
	began := time.Now()
	there, back, err := move(ctx, first, second)
	b.log.Info("bridged", "from", b.a.String(), "to", b.b.String(), "sent", there, "received", back, "time", time.Since(began).Round(time.Millisecond))
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil:
		return exitInterrupted
	}
	b.log.Warn("the connection broke", "from", b.a.String(), "to", b.b.String(), "error", texts.WithoutPrefix(err))
	if isAny[*client.CloseError](err) || isAny[*client.FailError](err) || isAny[*client.TimeoutError](err) {
		return endExitCode(err, 0)
	}
	return exitLost
}

// listen serves the connections of a listener, until it is interrupted or, if
// the other side is -, the first one has ended.
func (b *bridge) listen(ctx context.Context) exitCode {
	var ln net.Listener
	var err error
	if b.a.kind == "unix-listen" {
		ln, err = listenUnix(b.a.target)
	} else {
		ln, err = listenTCP(b.a.target)
	}
	if err != nil {
		b.std.fail(err)
		return exitUnreachable
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	place := ln.Addr().String()
	if b.a.kind == "ws-listen" {
		place = "ws://" + place + "/"
	}
	fmt.Fprintf(b.std.err, "fibersock: listening on %s\n", place)
	once := b.b.kind == "-"
	result := make(chan exitCode, 1)
	serve := func(end bridgeEnd) {
		second, code, err := b.open(ctx, b.b)
		if err != nil {
			b.log.Warn("cannot connect", "to", b.b.String(), "error", explainDial(err))
			end.Abort(wire.BadGateway, "cannot connect")
		} else {
			code = b.join(ctx, end, second)
		}
		if once {
			select {
			case result <- code:
			default:
			}
		}
	}
	if b.a.kind == "ws-listen" {
		return b.serveMessages(ctx, ln, once, serve, result)
	}
	return b.serveStreams(ctx, ln, once, serve, result)
}

// serveStreams accepts connections of TCP or a unix socket.
func (b *bridge) serveStreams(ctx context.Context, ln net.Listener, once bool, serve func(bridgeEnd), result <-chan exitCode) exitCode {
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	var all sync.WaitGroup
	defer all.Wait()
	slots := make(chan struct{}, b.options.connections)
	for {
		select {
		case slots <- struct{}{}: // further clients wait in the queue of the kernel
		case <-ctx.Done():
			return exitOK
		}
		nc, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return exitOK
			}
			b.std.fail(err)
			ln.Close()
			return exitUnreachable
		}
		all.Go(func() {
			defer func() { <-slots }()
			serve(streamEnd{nc})
		})
		if once {
			ln.Close()
			return <-result
		}
	}
}

// serveMessages accepts WebSocket connections.
func (b *bridge) serveMessages(ctx context.Context, ln net.Listener, once bool, serve func(bridgeEnd), result <-chan exitCode) exitCode {
	s := &server.Server{
		Origins:         b.options.origins,
		Subprotocols:    b.options.subprotocols,
		MaxConns:        b.options.connections,
		WriteTimeout:    -1,
		PongTimeout:     -1, // a client that does not read does not answer
		AssemblyTimeout: -1,
		MaxBacklog:      bridgeBacklog,
		Limits:          server.Limits{Frame: -1, Message: -1},
		Log:             func(err error) { b.log.Warn("refused", "error", texts.WithoutPrefix(err)) },
	}
	if once {
		s.MaxConns = 1
	}
	var all callGroup
	defer all.wait()
	s.Handler.Serve = func(c *server.Conn) {
		if !all.begin() {
			return
		}
		defer all.end()
		serve(newMessageEnd(serverMessages{c}, c.Subprotocol()))
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	code := exitOK
	select {
	case err := <-served:
		b.std.fail(err)
		return exitUnreachable
	case code = <-result:
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := s.Shutdown(bounded); err != nil {
		b.log.Warn("not all connections closed in time", "error", err)
	}
	<-served
	return code
}

// move copies in both directions until both have ended, and closes the ends. It
// returns the numbers of bytes and the first error. If a side fails or ctx
// ends, both are aborted.
func move(ctx context.Context, a, b bridgeEnd) (there, back int64, err error) {
	type result struct {
		n     int64
		err   error
		there bool
	}
	results := make(chan result, 2)
	direction := func(dst, src bridgeEnd, there bool) {
		n, err := io.CopyBuffer(onlyWriter{dst}, onlyReader{src}, make([]byte, chunkSize))
		if err == nil {
			err = dst.CloseWrite()
		}
		results <- result{n, err, there}
	}
	go direction(b, a, true)
	go direction(a, b, false)
	note := func(r result) {
		if r.there {
			there = r.n
		} else {
			back = r.n
		}
		if err == nil {
			err = r.err
		}
	}
	for pending := 2; pending > 0; {
		select {
		case r := <-results:
			pending--
			note(r)
			src := a
			if !r.there {
				src = b
			}
			// If the peer behind src has closed the whole connection, the bytes
			// of the other direction have no receiver.
			if err == nil && !src.Over() {
				continue
			}
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		break
	}
	if err != nil {
		code, reason := wire.InternalError, "the other side of the bridge failed"
		if ctx.Err() != nil {
			code, reason = wire.GoingAway, ""
		}
		a.Abort(code, reason)
		b.Abort(code, reason)
		return there, back, err
	}
	// A read from standard input may still block, and is left behind.
	return there, back, errors.Join(a.Close(), b.Close())
}

// chunkSize is the most bytes that are moved at once, and of a message.
const chunkSize = 32 << 10

// onlyReader and onlyWriter hide methods that io.Copy would use in place of its
// buffer.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)
