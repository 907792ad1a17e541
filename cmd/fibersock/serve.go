package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/texts"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

const serveUsage = `Usage: fibersock serve [flags] [PORT | ADDRESS]

Serves until it is interrupted:

  /         a page to try WebSocket with, for a browser; with -static, files in
            its place
  /echo     sends every message back
  /chat     sends every message to everybody who is connected to it
  /exec     with -exec: runs a command for each connection
  /metrics  with -metrics: statistics in the text format of Prometheus

Pages of other origins may not connect, unless -origin allows them. Connections
are logged on standard error. When interrupted, connections are closed with
1001. A server on the loopback interface also connects for its page, to explain
why a connection of the browser does not open.

With -exec, a process of the shell is started for each connection. Each message
is a line of its standard input, and each line of its standard output a text
message, or a binary one if it is not UTF-8. Lines of standard error go to the
log, up to 64 KiB. A line of more than 1 MiB ends the connection. When the
process exits, the connection is closed: with 1000, or with 1011 if its exit
code is not 0. When the connection ends, standard input is closed and the
process group gets SIGTERM and, after 2 seconds, SIGKILL. The environment has
REMOTE_ADDR, REMOTE_PORT, REQUEST_URI, PATH_INFO, QUERY_STRING, HTTP_ORIGIN and
SEC_WEBSOCKET_PROTOCOL: text of the client, to be quoted in shell scripts. On
Windows there are no groups, and only the process itself is killed.

Examples:
  fibersock serve 9000
  fibersock serve -tls 0.0.0.0:8443
  fibersock serve -exec 'while read line; do echo "you said: $line"; done'
  fibersock serve -static ./public -metrics
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
	selfSigned        bool
	unixSocket        string
	exec              string
	processes         int
	static            string
	metrics           bool
	json              bool
	origins           listFlag
	subprotocols      listFlag
	maxMessage        sizeFlag
	compression       compressionFlag
}

func serveFlags() (*flag.FlagSet, *serveOptions) {
	o := new(serveOptions)
	flags := newFlags("serve", serveUsage, serveExitCodes)
	flags.StringVar(&o.addr, "addr", "localhost:8080", "listen on this `address`; with port 0 the system chooses one, and localhost is\nboth 127.0.0.1 and ::1")
	flags.StringVar(&o.unixSocket, "unix", "", "listen on this unix socket, a `file`, in place of an address")
	flags.BoolVar(&o.selfSigned, "tls", false, "serve https and wss: with -tls-cert and -tls-key, or else with a self-signed certificate,\nmade at the start and kept in memory")
	flags.StringVar(&o.certFile, "tls-cert", "", "serve https and wss with the certificates in this PEM `file`")
	flags.StringVar(&o.keyFile, "tls-key", "", "the certificate's key, a PEM `file`")
	flags.Var(&o.origins, "origin", "let pages of other origins connect too: `patterns` such as https://app.example,\nlocalhost:*, *.example.com or * for all; may be repeated")
	flags.Var(&o.subprotocols, "subprotocol", "speak these subprotocols, `names` separated by commas, besides echo; may be repeated")
	flags.Var(&o.maxMessage, "max-message", "accept messages up to this `size`: bytes, 64K, 16M, or none")
	flags.Var(&o.compression, "compression", compressionUsage)
	flags.StringVar(&o.exec, "exec", "", "run this `command` of the shell for each connection to /exec")
	flags.IntVar(&o.processes, "exec-max", defaultProcesses, "run at most `n` commands at the same time; other clients get 503")
	flags.StringVar(&o.static, "static", "", "serve the files below this `directory` at /, without names that begin with a dot")
	flags.BoolVar(&o.metrics, "metrics", false, "serve statistics for Prometheus at /metrics")
	flags.BoolVar(&o.json, "json", false, "write the log as lines of JSON")
	return flags, o
}

// serve is the subcommand.
func serve(ctx context.Context, args []string, std streams) exitCode {
	flags, o := serveFlags()
	rest, err := parse(flags, args)
	if err == nil {
		err = o.check(flags, rest)
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	d := &demo{options: o, log: std.newLog(o.json, slog.LevelInfo)}
	code, err := d.run(ctx, std)
	if err != nil {
		std.fail(err)
		return code
	}
	return exitOK
}

// check checks combinations of flags, and sets the address of the arguments.
func (o *serveOptions) check(flags *flag.FlagSet, rest []string) error {
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if len(rest) == 1 && !given["addr"] && !given["unix"] {
		addr, ok := addressOf(rest[0])
		if !ok {
			return usagef("serve takes a port or an address such as 9000 or 0.0.0.0:9000, not %q", rest[0])
		}
		o.addr, rest = addr, nil
	}
	switch {
	case len(rest) > 0:
		return usagef("serve takes one address, not %q too", rest[len(rest)-1])
	case given["addr"] && given["unix"]:
		return usagef("-addr and -unix are two places to listen: take one of them")
	case (o.certFile == "") != (o.keyFile == ""):
		return usagef("-tls-cert and -tls-key go together; -tls alone makes a certificate")
	case given["exec-max"] && o.exec == "":
		return usagef("-exec-max needs -exec")
	case o.processes <= 0:
		return usagef("-exec-max takes a number above 0, not %d", o.processes)
	}
	if malformed := handshake.ValidateOrigins(o.origins); malformed != nil {
		return usagef("-origin: %s", texts.WithoutPrefix(malformed))
	}
	return nil
}

// addressOf returns the address that an argument stands for: a port, which is
// one of localhost, or an address with a port.
func addressOf(arg string) (addr string, ok bool) {
	if _, err := strconv.ParseUint(arg, 10, 16); err == nil {
		return "localhost:" + arg, true
	}
	_, port, err := net.SplitHostPort(arg)
	return arg, err == nil && port != ""
}

// run listens and serves. The exit code is that of the error.
func (d *demo) run(ctx context.Context, std streams) (exitCode, error) {
	web, err := d.handlers()
	if err != nil {
		return exitUsage, err
	}
	defer web.close()
	ln, code, err := d.options.listen(std.err)
	if err != nil {
		return code, err
	}
	fmt.Fprintf(std.err, "fibersock: serving %s\n", d.options.place(ln.Addr()))
	return exitUnreachable, d.serve(ctx, ln, web)
}

// secure reports whether there is TLS.
func (o *serveOptions) secure() bool { return o.selfSigned || o.certFile != "" }

// listen returns the listener, or an error and the exit code. Remarks go to
// notes.
func (o *serveOptions) listen(notes io.Writer) (net.Listener, exitCode, error) {
	cert, err := o.certificate()
	if err != nil {
		return nil, exitUsage, err
	}
	var ln net.Listener
	if o.unixSocket != "" {
		ln, err = listenUnix(o.unixSocket)
	} else {
		ln, err = listenTCP(o.addr)
	}
	if err != nil {
		return nil, exitUnreachable, err
	}
	if o.secure() {
		if o.certFile == "" {
			fmt.Fprintf(notes, "fibersock: the certificate is self-signed, its SHA-256 is %s\n", fingerprint(cert))
			fmt.Fprintf(notes, "fibersock: clients must not verify it: fibersock connect -k %secho\n", strings.Replace(o.pageURL(ln.Addr()), "https:", "wss:", 1))
		}
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}})
	}
	return ln, exitOK, nil
}

// certificate returns the certificate for TLS, if there is TLS.
func (o *serveOptions) certificate() (tls.Certificate, error) {
	switch {
	case o.certFile != "":
		return readKeyPair(o.certFile, o.keyFile)
	case o.selfSigned:
		host, _, _ := net.SplitHostPort(o.addr)
		return selfSigned(host)
	}
	return tls.Certificate{}, nil
}

// listenUnix listens on a unix socket. It replaces a socket on which no process
// listens, as one that was killed leaves behind.
func listenUnix(path string) (net.Listener, error) {
	ln, err := net.Listen("unix", path)
	if err == nil {
		return ln, nil
	}
	if info, statErr := os.Stat(path); statErr != nil || info.Mode().Type() != fs.ModeSocket {
		return nil, err
	}
	nc, dialErr := net.Dial("unix", path)
	if dialErr == nil {
		nc.Close()
		return nil, err
	}
	if !strings.Contains(dialErr.Error(), "refused") {
		return nil, err
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	return net.Listen("unix", path)
}

// place describes the URL of the page, and the unix socket if there is one.
func (o *serveOptions) place(addr net.Addr) string {
	if o.unixSocket != "" {
		return fmt.Sprintf("%s at the unix socket %s", o.pageURL(addr), o.unixSocket)
	}
	return o.pageURL(addr)
}

// pageURL returns the URL of the page if the listener is bound to addr: the
// configured name and the bound port.
func (o *serveOptions) pageURL(addr net.Addr) string {
	scheme := "http"
	if o.secure() {
		scheme = "https"
	}
	if o.unixSocket != "" {
		return scheme + "://localhost/"
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

// website is the handler of all paths.
type website struct {
	mux       *http.ServeMux
	endpoints []endpointServer
	executor  *executor // nil without -exec
	close     func() error
}

// handlers returns the handlers of the paths.
func (d *demo) handlers() (*website, error) {
	echo := d.echo()
	w := &website{mux: http.NewServeMux(), close: func() error { return nil }}
	w.endpoints = []endpointServer{{"/echo", echo}, {"/chat", d.chat()}}
	if d.options.exec != "" {
		w.executor = &executor{command: d.options.exec, log: d.log}
		s := d.server()
		s.Subprotocols = d.options.subprotocols
		s.MaxConns = d.options.processes
		s.Handler.Serve = w.executor.serve
		w.endpoints = append(w.endpoints, endpointServer{"/exec", s})
	}
	page := newPage(d.options)
	for _, e := range w.endpoints {
		w.mux.Handle(e.path, page.frames.tap(httpupgrade.Handler(e.server)))
	}
	w.mux.Handle("/echo/compression", savedStats(echo))
	if d.options.metrics {
		w.mux.Handle("/metrics", metrics(w.endpoints))
	}
	var root http.Handler = page
	if d.options.static != "" {
		var err error
		if root, w.close, err = staticFiles(d.options.static); err != nil {
			return nil, err
		}
	}
	w.mux.Handle("/", root)
	return w, nil
}

// serve serves until ctx is over or ln fails, and then closes all connections.
func (d *demo) serve(ctx context.Context, ln net.Listener, site *website) error {
	web := &http.Server{
		Handler:           site.mux,
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
	shutdowns := []func(context.Context) error{web.Shutdown}
	for _, e := range site.endpoints {
		shutdowns = append(shutdowns, e.server.Shutdown)
	}
	for _, shutdown := range shutdowns {
		all.Go(func() {
			if err := shutdown(bounded); err != nil {
				d.log.Warn("not all connections closed in time", "error", err)
			}
		})
	}
	all.Wait()
	if site.executor != nil {
		site.executor.running.wait()
	}
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
	newChatRoom(s, d.log)
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
				d.log.Warn("failed", "path", c.Path(), "peer", c.RemoteAddr(), "error", texts.WithoutPrefix(err))
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
		d.log.Info("refused", "error", texts.WithoutPrefix(err))
		return
	}
	d.log.Error("server", "error", texts.WithoutPrefix(err))
}
