package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

const connectUsage = `Usage: fibersock connect [flags] URL
       fibersock [flags] URL

Connects to a ws or wss URL. Once the connection is open, each line of standard
input is sent as a message, and each received message is written to standard
output. "localhost:8080/echo" and ":8080/echo" are URLs too: without a scheme the
connection is wss, but ws to localhost, to an IP address, and to a port other
than 443.

With -x, the given messages are sent in place of standard input. At the end of
input, replies are awaited as -wait, -expect and -until say, and the connection
is closed with 1000.

With -binary, a pipe or file is sent byte for byte, in messages of up to 64 KiB.
-delimiter sets the separator of messages in place of a line end, -hex and
-base64 the form of binary messages in both directions.

Into a pipe or file, a text is written as it is with a line end after it, a
binary message as it is and nothing else. On a terminal, characters that could
drive the terminal are escaped in text, and of a binary message the first bytes
are shown in hexadecimal. All remarks go to standard error.

If standard input is a terminal, the line can be edited with the keys of a
shell, Up and Ctrl-R recall earlier lines, and lines that begin with a slash are
commands: /help lists them. Empty lines are not sent, and the end of input
(Ctrl-D) closes at once.

Proxies, certificates and header fields are those of the flags only, and nothing
is stored, but for -record.
`

// connectOptions are the flags of connect.
type connectOptions struct {
	header       headerFlag
	subprotocols listFlag
	origin       string
	json         bool
	verbose      bool
	raw          bool
	noLineEnd    bool
	arguments    textsFlag // of -x
	thenInput    bool      // -i
	binary       bool
	hex, base64  bool
	delimiter    delimiterFlag
	wait         time.Duration
	waitSet      bool // -wait was given
	expect       int
	until        untilFlag
	ping         time.Duration
	timeout      time.Duration
	insecure     bool
	caFile       string
	certFile     string
	keyFile      string
	proxy        string
	unixSocket   string
	maxMessage   sizeFlag
	compression  compressionFlag
	compress     bool // an error without it
	record       string

	replay      *recording // of the command replay, otherwise nil
	dialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

const (
	quietWait = time.Second      // after the last reply
	replyWait = 10 * time.Second // while a reply is due
)

func newConnectOptions() *connectOptions {
	return &connectOptions{header: headerFlag{}, dialContext: new(net.Dialer).DialContext}
}

func connectFlags() (*flag.FlagSet, *connectOptions) {
	o := newConnectOptions()
	flags := newFlags("connect", connectUsage, exitCodes)
	o.addConnection(flags)
	o.addOutput(flags)
	flags.Var(&o.arguments, "x", "send this `message` and do not read standard input; may be repeated. @FILE sends the\nbytes of a file, @- those of standard input, @@TEXT a text that begins with @")
	flags.BoolVar(&o.thenInput, "i", false, "with -x: read standard input after the messages of -x")
	flags.BoolVar(&o.binary, "binary", false, "send binary messages: lines from a terminal, otherwise the input as it is read, or\nthe parts that -delimiter separates")
	flags.BoolVar(&o.hex, "hex", false, "send and show binary messages in hexadecimal: each line of the input is decoded and\nsent, and each received binary message is written as a line. Spaces are ignored.\nFiles of -x and /file are sent as they are")
	flags.BoolVar(&o.base64, "base64", false, "-hex with base64 in place of hexadecimal; padding is optional")
	flags.Var(&o.delimiter, "delimiter", "separate messages in a pipe or file by this `text`, which may have escapes such as\n\\0, \\n, \\r\\n or \\x1e; empty: all of the input is one message")
	return flags, o
}

// addConnection adds the flags about the connection.
func (o *connectOptions) addConnection(flags *flag.FlagSet) {
	flags.Var(o.header, "H", "send this `field`, 'Name: value', in the opening handshake; may be repeated. Host\nreplaces the URL's host there, and User-Agent the default, fibersock")
	flags.Var(&o.subprotocols, "subprotocol", "offer these subprotocols, `names` separated by commas, the preferred one first; may\nbe repeated. It is an error, exit code 4, if the server selects none")
	flags.StringVar(&o.origin, "origin", "", "send this `origin`, as the browser does for a page from there")
	flags.DurationVar(&o.ping, "ping", 0, "send a Ping with this `interval`, and give up if nothing is received for as long after\none (default: none)")
	flags.DurationVar(&o.timeout, "timeout", client.DefaultHandshakeTimeout, "give up if the connection is not open after this `time`")
	flags.BoolVar(&o.insecure, "insecure", false, "DANGEROUS: accept any certificate, so that anybody on the network can read and change\neverything")
	flags.BoolVar(&o.insecure, "k", false, "-insecure in short")
	flags.StringVar(&o.caFile, "cacert", "", "trust the certificates in this PEM `file`, and not the system's")
	flags.StringVar(&o.certFile, "cert", "", "present this certificate of the client, a PEM `file` with its chain")
	flags.StringVar(&o.keyFile, "key", "", "the key of -cert, a PEM `file` (default: the file of -cert)")
	flags.StringVar(&o.proxy, "proxy", "", "connect through the HTTP proxy with this `URL`, by CONNECT")
	flags.StringVar(&o.unixSocket, "unix", "", "connect to this unix socket, a `file`, in place of the URL's host and port")
	flags.Var(&o.maxMessage, "max-message", "accept messages up to this `size`: bytes, 64K, 16M, or none")
	flags.Var(&o.compression, "compression", compressionUsage)
	flags.BoolVar(&o.compress, "compress", false, "require compression: it is an error, exit code 4, if the server does not accept the\noffer of -compression")
}

// addOutput adds the flags about received messages and the end.
func (o *connectOptions) addOutput(flags *flag.FlagSet) {
	flags.BoolVar(&o.json, "json", false, "write a line of JSON for each event: open, each message in either direction, ping,\npong, rtt, close, error with the HTTP status; binary payloads in base64")
	flags.BoolVar(&o.verbose, "v", false, "show the handshake and control frames on standard error; the values of Authorization,\nCookie and their like are left out")
	flags.BoolVar(&o.raw, "raw", false, "do not escape text for a terminal: the server can then control the terminal")
	flags.BoolVar(&o.noLineEnd, "n", false, "write no line end after a message")
	flags.DurationVar(&o.wait, "wait", 0, "after the end of input, close if no message is received for this `time`; negative:\nwhen the server closes (default 1s; 10s while no message or fewer messages are\nreceived than sent, and with -expect and -until; 0s on a terminal)")
	flags.IntVar(&o.expect, "expect", 0, "close as soon as `n` messages are received; it is an error if the connection ends\nbefore")
	flags.Var(&o.until, "until", "close as soon as a received message matches this regular `expression` (RE2); it is an\nerror if the connection ends before")
	flags.StringVar(&o.record, "record", "", "write the lines of -json into this `file`, which \"fibersock replay\" sends again. The\nfile is readable by its owner only")
}

// untilFlag is the regular expression of -until.
type untilFlag struct{ expression *regexp.Regexp }

func (u *untilFlag) String() string { return "" }

func (u *untilFlag) Set(text string) (err error) {
	u.expression, err = regexp.Compile(text)
	return err
}

func (u *untilFlag) set() bool { return u.expression != nil }

func (u *untilFlag) matches(payload []byte) bool { return u.set() && u.expression.Match(payload) }

// connect is the subcommand.
func connect(ctx context.Context, args []string, std streams) exitCode {
	flags, o := connectFlags()
	rest, err := parse(flags, args)
	if err == nil && len(rest) != 1 {
		err = usagef("connect takes one URL, not %d", len(rest))
	}
	if err == nil {
		err = o.check(flags)
	}
	var prepared []outgoing
	if err == nil {
		prepared, err = o.prepare(std.in)
	}
	readsInput := len(o.arguments) == 0 || o.thenInput
	std.inTerminal = std.inTerminal && readsInput
	if err == nil && o.delimiter.set && std.inTerminal {
		err = usagef("-delimiter is for a pipe or file; on a terminal each line is a message")
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	return o.run(ctx, rest[0], std, func(s *session) source {
		switch {
		case !readsInput:
			return givenMessages(prepared, nil)
		case std.inTerminal:
			return givenMessages(prepared, typedMessages(std.in, s.out))
		}
		return givenMessages(prepared, o.pipedMessages(std.in))
	})
}

// prepare returns the messages of -x.
func (o *connectOptions) prepare(in io.Reader) (prepared []outgoing, err error) {
	for _, argument := range o.arguments {
		m, err := o.argument(argument, in)
		if err != nil {
			return nil, usagef("-x %.50q: %s", argument, err)
		}
		prepared = append(prepared, m)
	}
	return prepared, nil
}

// run connects to a URL, sends the messages of a source, and returns the exit
// code.
func (o *connectOptions) run(ctx context.Context, url string, std streams, source func(*session) source) exitCode {
	out := &output{
		json: o.json, raw: o.raw, verbose: o.verbose, noLineEnd: o.noLineEnd, encoding: o.encoding(),
		interactive: std.inTerminal && !o.json,
		std:         std,
	}
	if o.record != "" {
		file, err := os.OpenFile(o.record, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			out.failure(err)
			return exitUsage
		}
		defer file.Close()
		out.recording = file
	}
	var progress progress
	conn, code := o.dial(ctx, url, out, &progress)
	if code != exitOK {
		return code
	}
	defer conn.CloseNow()
	if out.interactive && std.editable() {
		out.startEditing(std.in, commandNames())
	}
	s := newSession(conn, out, o)
	s.received = &progress.received
	s.next = source(s)
	return s.run(ctx)
}

// check checks combinations of flags.
func (o *connectOptions) check(flags *flag.FlagSet) error {
	flags.Visit(func(f *flag.Flag) { o.waitSet = o.waitSet || f.Name == "wait" })
	switch {
	case o.expect < 0:
		return usagef("-expect takes a number of messages, not %d", o.expect)
	case o.expect > 0 && o.until.set():
		return usagef("-expect and -until are two ends: take one of them")
	case o.ping < 0:
		return usagef("-ping takes a time, not %v", o.ping)
	case o.timeout <= 0:
		return usagef("-timeout takes a time, not %v", o.timeout)
	case o.insecure && o.caFile != "":
		return usagef("-cacert names the trusted certificates and -insecure trusts any: take one of them")
	case o.keyFile != "" && o.certFile == "":
		return usagef("-key is the key of a certificate: -cert is missing")
	case o.unixSocket != "" && o.proxy != "":
		return usagef("-unix and -proxy are two ways to the server: take one of them")
	case o.hex && o.base64:
		return usagef("-hex and -base64 are two forms of the same messages: take one of them")
	case o.thenInput && len(o.arguments) == 0:
		return usagef("-i is for -x; without -x standard input is read anyway")
	case o.compress && o.compression == "off":
		return usagef("-compress requires compression and -compression off forbids it: take one of them")
	}
	return nil
}

// waitTime returns the time to wait for another message after the end of
// input; negative means forever.
func (o *connectOptions) waitTime(replyDue, interactive bool) time.Duration {
	switch {
	case o.waitSet:
		return o.wait
	case o.expect > 0 || o.until.set():
		return replyWait
	case interactive:
		return 0
	case replyDue:
		return replyWait
	}
	return quietWait
}

// due returns the number of messages that a server is likely to send after it
// has received a number of messages.
func (o *connectOptions) due(sent int64) int64 {
	switch {
	case o.replay != nil:
		return int64(len(o.replay.received))
	case o.chunked():
		return 0
	}
	return sent
}

// dial opens the connection. If it cannot, it says so and returns the exit
// code.
func (o *connectOptions) dial(ctx context.Context, url string, out *output, progress *progress) (*client.Conn, exitCode) {
	url = completeURL(url)
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
	out.url = u.String()
	out.happened(event{Type: "open", URL: out.url, Subprotocol: conn.Subprotocol(), Compression: conn.Compression()})
	if code, err := o.unmet(conn); err != nil {
		out.failure(err)
		conn.Close(code, "") // the server may have closed
		return nil, exitRefused
	}
	if out.interactive {
		out.note("Connected to %s. /help lists the commands, Ctrl-D closes.", escape(out.url))
	}
	return conn, exitOK
}

// unmet returns the error that the server has not selected a subprotocol or the
// compression although the flags require it, and the code to close with.
func (o *connectOptions) unmet(conn *client.Conn) (wire.StatusCode, error) {
	switch {
	case len(o.subprotocols) > 0 && conn.Subprotocol() == "":
		return wire.PolicyViolation, fmt.Errorf("the server selected none of the subprotocols %s (-subprotocol)", o.subprotocols.String())
	case o.compress && conn.Compression() == "":
		return wire.MandatoryExtension, errors.New("the server did not accept permessage-deflate (-compress)")
	}
	return 0, nil
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
	certificates, err := o.certificates()
	if err != nil {
		return nil, err
	}
	cfg := &client.Config{
		Host:             takeHost(header),
		Header:           header,
		Proxy:            proxyAt(o.proxy),
		Subprotocols:     o.subprotocols,
		HandshakeTimeout: o.timeout,
		Limits:           client.Limits{Message: int64(o.maxMessage)},
		Control:          true,
		TLS: &tls.Config{
			RootCAs:            roots,
			Certificates:       certificates,
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
			nc, err := o.dialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			p.connected.Store(true)
			out.details("* connected to %s", nc.RemoteAddr())
			return countingConn{nc, &p.received}, nil
		}),
	}
	if o.verbose {
		cfg.Trace = client.NewTrace(func(s client.Step) {
			if s.Kind == client.StepResponse {
				out.handshake(s.Request, s.Response)
			}
		})
	}
	if deflate := o.compression.deflate(); deflate != nil {
		cfg.Compression = deflate
	}
	return cfg, nil
}

// certificates returns the certificate of the client, if there is one.
func (o *connectOptions) certificates() ([]tls.Certificate, error) {
	if o.certFile == "" {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(o.certFile, cmp.Or(o.keyFile, o.certFile))
	if err != nil {
		return nil, fmt.Errorf("-cert %s: %w", o.certFile, err)
	}
	return []tls.Certificate{certificate}, nil
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
