package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
)

const connectUsage = `Usage: fibersock connect [flags] URL

Connects to a ws or wss URL. Once the connection is open, each line of standard
input is sent as a message, and each message that comes is written to standard
output. At the end of input, replies are awaited as told by -wait and -expect,
and the connection is closed with 1000.

With -binary, a pipe or file is sent byte for byte, in messages of up to 64 KiB.
-delimiter sets what separates messages in place of a line end.

Into a pipe or file, a text is written as it came with a line end after it, a
binary message as it came and nothing else. On a terminal, what could drive the
terminal is escaped in text, and of a binary message the first bytes are shown
in hexadecimal. Everything else that there is to say goes to standard error.

If standard input is a terminal, lines that begin with a slash are commands:
/help lists them. Empty lines are not sent, and the end of input (Ctrl-D) closes
at once.
`

// connectOptions are the flags of connect.
type connectOptions struct {
	header       headerFlag
	subprotocols listFlag
	origin       string
	json         bool
	verbose      bool
	raw          bool
	binary       bool
	delimiter    delimiterFlag
	wait         time.Duration
	waitSet      bool // -wait was given
	expect       int
	ping         time.Duration
	timeout      time.Duration
	insecure     bool
	caFile       string
	proxy        string
	unixSocket   string
	maxMessage   sizeFlag
	compression  compressionFlag
}

const (
	defaultWait       = time.Second
	defaultExpectWait = 10 * time.Second
)

func connectFlags() (*flag.FlagSet, *connectOptions) {
	o := &connectOptions{header: headerFlag{}}
	flags := newFlags("connect", connectUsage, exitCodes)
	flags.Var(o.header, "H", "send this `field`, 'Name: value', in the handshake; may be repeated")
	flags.Var(&o.subprotocols, "subprotocol", "offer these subprotocols, `names` separated by commas, the preferred one first;\nmay be repeated")
	flags.StringVar(&o.origin, "origin", "", "send this `origin`, as the browser does for a page from there")
	flags.BoolVar(&o.json, "json", false, "write a line of JSON for everything that happens: open, each message in either\ndirection, ping, pong, rtt, close, error; binary payloads in base64")
	flags.BoolVar(&o.verbose, "v", false, "show the handshake and control frames on standard error; the values of Authorization,\nCookie and their like are left out")
	flags.BoolVar(&o.raw, "raw", false, "do not escape text for a terminal: the server can then do there what it likes")
	flags.BoolVar(&o.binary, "binary", false, "send binary messages: lines from a terminal, otherwise the input as it comes, or\nwhat -delimiter separates")
	flags.Var(&o.delimiter, "delimiter", "separate messages in a pipe or file by this `text`, which may have escapes such as\n\\0, \\n, \\r\\n or \\x1e; empty: all of the input is one message")
	flags.DurationVar(&o.wait, "wait", 0, "after the end of input, close when no message has come for this long; negative: when\nthe server closes (default 1s; 10s with -expect; 0s on a terminal)")
	flags.IntVar(&o.expect, "expect", 0, "close as soon as `n` messages have come; it is an error if fewer do")
	flags.DurationVar(&o.ping, "ping", 0, "send a Ping this often, and give up if nothing comes from the server for as long\nafter one")
	flags.DurationVar(&o.timeout, "timeout", client.DefaultHandshakeTimeout, "give up if the connection is not open within this time")
	flags.BoolVar(&o.insecure, "insecure", false, "DANGEROUS: accept any certificate, so that anybody on the way can read and change\neverything")
	flags.StringVar(&o.caFile, "cacert", "", "trust the certificates in this PEM `file`, and not the system's")
	flags.StringVar(&o.proxy, "proxy", "", "go through the HTTP proxy with this `URL`, by CONNECT")
	flags.StringVar(&o.unixSocket, "unix", "", "connect to this unix socket, a `file`, in place of the URL's host and port")
	flags.Var(&o.maxMessage, "max-message", "accept messages up to this `size`: bytes, 64K, 16M, or none")
	flags.Var(&o.compression, "compression", compressionUsage)
	return flags, o
}

// connect is the subcommand.
func connect(ctx context.Context, args []string, std streams) exitCode {
	flags, o := connectFlags()
	rest, err := parse(flags, args)
	if err == nil {
		err = o.check(flags, rest)
	}
	if err == nil && o.delimiter.set && std.inTerminal {
		err = usagef("-delimiter is for a pipe or file; on a terminal each line is a message")
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	out := &output{
		json: o.json, raw: o.raw, verbose: o.verbose,
		interactive: std.inTerminal && !o.json,
		std:         std,
	}
	var progress progress
	conn, code := o.dial(ctx, rest[0], out, &progress)
	if code != exitOK {
		return code
	}
	defer conn.CloseNow()
	s := newSession(conn, out, o, std)
	s.received = &progress.received
	return s.run(ctx)
}

// check checks combinations of flags.
func (o *connectOptions) check(flags *flag.FlagSet, rest []string) error {
	flags.Visit(func(f *flag.Flag) { o.waitSet = o.waitSet || f.Name == "wait" })
	switch {
	case len(rest) != 1:
		return usagef("connect takes one URL, not %d", len(rest))
	case o.expect < 0:
		return usagef("-expect takes a number of messages, not %d", o.expect)
	case o.ping < 0:
		return usagef("-ping takes a time, not %v", o.ping)
	case o.timeout <= 0:
		return usagef("-timeout takes a time, not %v", o.timeout)
	case o.insecure && o.caFile != "":
		return usagef("-cacert says whom to trust and -insecure to trust anybody: take one of them")
	case o.unixSocket != "" && o.proxy != "":
		return usagef("-unix and -proxy are two ways to the server: take one of them")
	}
	return nil
}

// patience returns how long to wait for another message after the end of input;
// negative means for ever.
func (o *connectOptions) patience(interactive bool) time.Duration {
	switch {
	case o.waitSet:
		return o.wait
	case o.expect > 0:
		return defaultExpectWait
	case interactive:
		return 0
	}
	return defaultWait
}

// dial opens the connection. If it cannot, it says so and returns the exit
// code.
func (o *connectOptions) dial(ctx context.Context, url string, out *output, progress *progress) (*client.Conn, exitCode) {
	u, err := handshake.ParseURL(url)
	if err != nil {
		out.failure(err)
		return nil, exitUsage
	}
	progress.secured.Store(!u.Secure)
	cfg, err := o.config(out, progress)
	if err != nil {
		out.failure(err)
		return nil, exitUsage
	}
	conn, err := client.Dial(ctx, url, cfg)
	if err != nil {
		out.failure(err)
		return nil, dialExitCode(err, progress.connected.Load(), progress.secured.Load())
	}
	out.happened(event{Type: "open", URL: u.String(), Subprotocol: conn.Subprotocol(), Compression: conn.Compression()})
	if out.interactive {
		out.note("Connected to %s. /help lists the commands, Ctrl-D closes.", escape(u.String()))
	}
	return conn, exitOK
}

// progress is the last step that a dial has completed.
type progress struct {
	connected atomic.Bool  // there is a transport
	secured   atomic.Bool  // TLS is established on it, if it is wanted
	received  atomic.Int64 // bytes
}

// countingConn counts the bytes read.
type countingConn struct {
	net.Conn
	received *atomic.Int64
}

// CloseWrite ends the stream to the server.
func (c countingConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.received.Add(int64(n))
	return n, err
}

// config returns how to dial: it notes the progress and shows it if that is
// wanted.
func (o *connectOptions) config(out *output, p *progress) (*client.Config, error) {
	header := map[string][]string{}
	for name, values := range o.header {
		header[name] = values
	}
	if o.origin != "" {
		header["Origin"] = []string{o.origin}
	}
	roots, err := loadCertificates(o.caFile)
	if err != nil {
		return nil, err
	}
	cfg := &client.Config{
		Header:           header,
		Subprotocols:     o.subprotocols,
		Proxy:            o.proxy,
		HandshakeTimeout: o.timeout,
		Limits:           client.Limits{Message: int64(o.maxMessage)},
		Control:          true,
		TLS: &tls.Config{
			RootCAs:            roots,
			InsecureSkipVerify: o.insecure,
			VerifyConnection: func(state tls.ConnectionState) error { // called after the certificate was found good
				p.secured.Store(true)
				out.details("* %s", describeTLS(state))
				return nil
			},
		},
		DialContext: client.DialFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
			if o.unixSocket != "" {
				network, addr = "unix", o.unixSocket
			}
			nc, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			p.connected.Store(true)
			out.details("* connected to %s", nc.RemoteAddr())
			return countingConn{nc, &p.received}, nil
		}),
	}
	if o.verbose {
		cfg.Trace = out.handshake
	}
	if deflate := o.compression.deflate(); deflate != nil {
		cfg.Compression = deflate
	}
	return cfg, nil
}

// loadCertificates returns the certificates in a PEM file, nil if there is no
// file.
func loadCertificates(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return pool, nil
}
