package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

const serveUsage = `Usage: fibersock serve [flags]

Serves until it is interrupted:

  /       a page to try WebSocket with, for a browser
  /echo   sends every message back
  /chat   sends every message to everybody who is connected to it

Pages from elsewhere may not connect, unless -origin lets them. Whoever comes and
goes is logged on standard error. When interrupted, connections are closed with
1001.
`

const serveExitCodes = `
Exit codes: 0 interrupted, 1 wrong use, 2 cannot listen or accept.
`

// shutdownTime bounds how long clients have to answer the Close at the end.
const shutdownTime = 3 * time.Second

// serveOptions are the flags of serve.
type serveOptions struct {
	addr              string
	certFile, keyFile string
	origins           listFlag
	subprotocols      listFlag
	maxMessage        sizeFlag
	compression       compressionFlag
}

func serveFlags() (*flag.FlagSet, *serveOptions) {
	o := new(serveOptions)
	flags := newFlags("serve", serveUsage, serveExitCodes)
	flags.StringVar(&o.addr, "addr", "localhost:8080", "listen on this `address`; with port 0 the system chooses one, and localhost is\nboth 127.0.0.1 and ::1")
	flags.StringVar(&o.certFile, "tls-cert", "", "serve https and wss with the certificates in this PEM `file`")
	flags.StringVar(&o.keyFile, "tls-key", "", "the certificate's key, a PEM `file`")
	flags.Var(&o.origins, "origin", "let pages of other origins connect too: `patterns` such as https://app.example,\nlocalhost:*, *.example.com or * for all; may be repeated")
	flags.Var(&o.subprotocols, "subprotocol", "speak these subprotocols, `names` separated by commas, besides echo; may be repeated")
	flags.Var(&o.maxMessage, "max-message", "accept messages up to this `size`: bytes, 64K, 16M, or none")
	flags.Var(&o.compression, "compression", compressionUsage)
	return flags, o
}

// serve is the subcommand.
func serve(ctx context.Context, args []string, std streams) exitCode {
	flags, o := serveFlags()
	rest, err := parse(flags, args)
	switch {
	case err != nil:
	case len(rest) > 0:
		err = usagef("serve takes no arguments but flags, not %q", rest[0])
	case (o.certFile == "") != (o.keyFile == ""):
		err = usagef("-tls-cert and -tls-key go together")
	default:
		if malformed := handshake.ValidateOrigins(o.origins); malformed != nil {
			err = usagef("-origin: %s", withoutPrefix(malformed))
		}
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	ln, code, err := o.listen()
	if err == nil {
		fmt.Fprintf(std.err, "fibersock: serving %s\n", o.pageURL(ln.Addr()))
		d := &demo{log: slog.New(slog.NewTextHandler(std.err, nil)), options: o}
		code, err = exitUnreachable, d.serve(ctx, ln)
	}
	if err != nil {
		fmt.Fprintf(std.err, "fibersock: %s\n", err)
		return code
	}
	return exitOK
}

// listen returns the listener, or an error and the exit code.
func (o *serveOptions) listen() (net.Listener, exitCode, error) {
	var config *tls.Config
	if o.certFile != "" {
		cert, err := tls.LoadX509KeyPair(o.certFile, o.keyFile)
		if err != nil {
			return nil, exitUsage, err
		}
		config = &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}
	}
	ln, err := listenTCP(o.addr)
	if err != nil {
		return nil, exitUnreachable, err
	}
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	return ln, exitOK, nil
}

// pageURL returns the URL of the page if the listener is bound to addr: the
// configured name and the bound port.
func (o *serveOptions) pageURL(addr net.Addr) string {
	scheme := "http"
	if o.certFile != "" {
		scheme = "https"
	}
	host, _, _ := net.SplitHostPort(o.addr)
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return scheme + "://" + addr.String() + "/"
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/"
}

// demo is the server of serve.
type demo struct {
	log     *slog.Logger
	options *serveOptions
}

// serve serves until ctx is over or ln fails, and then closes all connections.
func (d *demo) serve(ctx context.Context, ln net.Listener) error {
	echo, chat := d.echo(), d.chat()
	mux := http.NewServeMux()
	page := newPage(d.options)
	mux.Handle("/", page)
	mux.Handle("/echo", page.frames.tap(httpupgrade.Handler(echo)))
	mux.Handle("/chat", httpupgrade.Handler(chat))
	mux.Handle("/echo/compression", savedStats(echo))
	web := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(ln) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		d.log.Info("closing all connections")
	}

	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	var all sync.WaitGroup
	for _, shutdown := range []func(context.Context) error{web.Shutdown, echo.Shutdown, chat.Shutdown} {
		all.Go(func() {
			if err := shutdown(bounded); err != nil {
				d.log.Warn("not all connections closed in time", "error", err)
			}
		})
	}
	all.Wait()
	return err
}

// echo returns the server that sends every message back.
func (d *demo) echo() *server.Server {
	s := d.server()
	s.Subprotocols = append([]string{"echo"}, d.options.subprotocols...)
	s.Handler.Message = func(c *server.Conn, op wire.Opcode, p []byte) {
		c.Send(op, p) // how a connection ends is told by its Error and Close
	}
	return s
}

// chat returns the server that sends every message to all its connections.
func (d *demo) chat() *server.Server {
	s := d.server()
	s.Subprotocols = d.options.subprotocols
	s.Handler.Message = func(c *server.Conn, op wire.Opcode, p []byte) {
		if err := s.Broadcast(op, p); err != nil {
			d.log.Warn("broadcast", "peer", c.RemoteAddr(), "error", err)
		}
	}
	return s
}

// server returns a server that logs its connections. The log quotes text of
// clients.
func (d *demo) server() *server.Server {
	s := &server.Server{
		Origins: d.options.origins,
		Authorize: func(_ *handshake.Request, a *handshake.ServerAnswer) error {
			a.Header = map[string][]string{"Server": {"fibersock"}} // the name in reports of a judge
			return nil
		},
		Limits: server.Limits{Message: int64(d.options.maxMessage)},
		Log:    d.refused,
		Handler: server.Handler{
			Open: func(c *server.Conn) {
				d.log.Info("open", "path", c.Path(), "peer", c.RemoteAddr(), "subprotocol", c.Subprotocol(), "compression", c.Compression(), "agent", fmt.Sprintf("%.100s", c.Header().Get("User-Agent")))
			},
			Error: func(c *server.Conn, err error) {
				d.log.Warn("failed", "path", c.Path(), "peer", c.RemoteAddr(), "error", withoutPrefix(err))
			},
			Close: func(c *server.Conn, code wire.StatusCode, reason string) {
				d.log.Info("closed", "path", c.Path(), "peer", c.RemoteAddr(), "code", int(code), "reason", reason)
			},
		},
	}
	if deflate := d.options.compression.deflate(); deflate != nil {
		s.Compression = deflate
	}
	return s
}

// refused logs errors without a connection: refused handshakes, and panics.
func (d *demo) refused(err error) {
	if isAny[*server.RefusedError](err) {
		d.log.Info("refused", "error", withoutPrefix(err))
		return
	}
	d.log.Error("server", "error", withoutPrefix(err))
}
