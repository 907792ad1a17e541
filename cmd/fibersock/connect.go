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
	"github.com/fibersock/fibersock/cmd/fibersock/internal/clienttls"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

const connectUsage = `Usage: fibersock connect [flags] URL
       fibersock [flags] URL

Connects to a ws or wss URL. Once the connection is open, each line of standard
input is sent as a message, and each received message is written to standard
output. "localhost:8080/echo" and ":8080/echo" are URLs too: without a scheme
the connection is wss, but ws to localhost, to an IP address, and to a port
other than 443.

A subprotocol of -subprotocol that the server does not select is an error.

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

Examples:
  fibersock localhost:8080/echo
  fibersock -x '{"op":"subscribe"}' -until '"done":true' wss://api.example/
  fibersock -x @request.bin -binary -expect 1 -n wss://api.example/ >reply.bin
  tail -f log | fibersock -reconnect -wait -1s wss://logs.example/
`

// connectOptions are the flags of connect.
type connectOptions struct {
	targetOptions
	json        bool
	verbose     bool
	raw         bool
	noLineEnd   bool
	arguments   textsFlag // of -x
	thenInput   bool      // -i
	binary      bool
	hex, base64 bool
	delimiter   delimiterFlag
	wait        time.Duration
	waitSet     bool // -wait was given
	expect      int
	until       untilFlag
	closing     closeFlag
	ping        time.Duration
	maxMessage  sizeFlag
	maxSend     sizeFlag
	compress    bool // an error without it
	record      string
	reconnect   bool

	prepared    []outgoing // the messages of -x
	replay      *recording // of the command replay, otherwise nil
	dialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

const (
	quietWait = time.Second      // after the last reply
	replyWait = 10 * time.Second // while a reply is due
)

func newConnectOptions() *connectOptions {
	o := &connectOptions{maxSend: defaultMaxInput}
	o.dialContext = o.dialTransport
	return o
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
	o.targetOptions.add(flags)
	flags.DurationVar(&o.ping, "ping", 0, "send a Ping with this `interval`, and give up if nothing is received for as long after\none (default: none)")
	flags.BoolVar(&o.reconnect, "reconnect", false, "open another connection when one cannot be opened or ends, unless the server closes\nwith 1000 or refuses in a way that will not change, such as 404. The waits are random\nand grow to 30s. The messages of -x are sent on each connection; lines that are typed\nin an outage are sent after it. Messages of the server in an outage are lost")
	flags.Var(&o.maxMessage, "max-message", "accept messages up to this `size`: bytes, 64K, 16M, or none")
	flags.Var(&o.maxSend, "max-send", "read messages up to this `size` from files and standard input, or none for any size")
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
	flags.Var(&o.closing, "close", "close with this `code`, and perhaps a reason after a space, in place of 1000:\n1000, 1001, 1003, 1007 to 1014, 3000 to 4999")
	flags.StringVar(&o.record, "record", "", "write the lines of -json into this `file`, which \"fibersock replay\" sends again. The\nfile is readable by its owner only")
}

// untilFlag is the regular expression of -until.
type untilFlag struct{ expression *regexp.Regexp }

func (u *untilFlag) String() string { return "" }

func (u *untilFlag) Set(text string) (err error) {
	if text == "" {
		return errors.New("an empty expression matches each message; -expect 1 ends with the first one")
	}
	u.expression, err = regexp.Compile(text)
	return err
}

func (u *untilFlag) set() bool { return u.expression != nil }

func (u *untilFlag) matches(payload []byte) bool { return u.set() && u.expression.Match(payload) }

// closeFlag is the code and reason of -close. The zero value is 1000.
type closeFlag struct {
	code   wire.StatusCode
	reason string
}

func (c *closeFlag) String() string { return "" }

func (c *closeFlag) Set(text string) error {
	if text == "" {
		return errors.New("it must be a code, and perhaps a reason after a space")
	}
	e, err := parseClose(text)
	if err != nil {
		return err
	}
	c.code, c.reason = e.code, e.reason
	return nil
}

// ending returns the end of a session that is complete.
func (c *closeFlag) ending() ending {
	return ending{code: cmp.Or(c.code, wire.NormalClosure), reason: c.reason}
}

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
	if err == nil {
		err = untilInterrupted(ctx, func() error { return o.prepare(std.in) })
	}
	std.inTerminal = std.inTerminal && o.readsInput()
	if err == nil && o.delimiter.set && std.inTerminal {
		err = usagef("-delimiter is for a pipe or file; on a terminal each line is a message")
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	return o.run(ctx, rest[0], std, func(s *session) source { return o.source(std, s.out) })
}

// readsInput reports whether standard input is read, after the messages of -x.
func (o *connectOptions) readsInput() bool { return len(o.arguments) == 0 || o.thenInput }

// source returns the messages of -x and standard input.
func (o *connectOptions) source(std streams, out *output) source {
	switch {
	case !o.readsInput():
		return givenMessages(o.prepared, nil)
	case std.inTerminal:
		return givenMessages(o.prepared, o.typedMessages(std.in, out))
	}
	return givenMessages(o.prepared, o.pipedMessages(std.in))
}

// sendLimit is the limit of messages that are read to be sent.
func (o *connectOptions) sendLimit() inputLimit { return inputLimit{o.maxSend, "-max-send"} }

// prepare reads the messages of -x.
func (o *connectOptions) prepare(in io.Reader) error {
	for _, argument := range o.arguments {
		m, err := o.argument(argument, in)
		if err != nil {
			return usagef("-x %.50q: %s", argument, err)
		}
		o.prepared = append(o.prepared, m)
	}
	return nil
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
	link, code := o.dial(ctx, url, out, &progress)
	if code != exitOK {
		return code
	}
	defer link.close()
	if out.interactive && std.editable() {
		out.startEditing(std.in, commandNames())
	}
	s := newSession(link, out, o)
	s.progress = &progress
	s.next = source(s)
	return s.run(ctx)
}

// check checks combinations of flags.
func (o *connectOptions) check(flags *flag.FlagSet) error {
	flags.Visit(func(f *flag.Flag) { o.waitSet = o.waitSet || f.Name == "wait" })
	switch {
	case o.expect < 0:
		return usagef("-expect takes a number of messages that is not negative, not %d", o.expect)
	case o.expect > 0 && o.until.set():
		return usagef("-expect and -until are two ends: use one of them")
	case o.ping < 0:
		return usagef("-ping takes a time that is not negative, not %v", o.ping)
	case o.hex && o.base64:
		return usagef("-hex and -base64 are two forms of the same messages: use one of them")
	case o.thenInput && len(o.arguments) == 0:
		return usagef("-i is for -x; without -x standard input is read anyway")
	case o.compress && o.compression == "off":
		return usagef("-compress requires compression and -compression off forbids it: use one of them")
	}
	return o.targetOptions.check()
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

// dial opens the connection. On failure it shows the error and returns the exit
// code.
func (o *connectOptions) dial(ctx context.Context, url string, out *output, progress *progress) (*link, exitCode) {
	url = completeURL(url)
	u, err := handshake.ParseURL(url)
	if err != nil {
		out.failure(err)
		return nil, exitUsage
	}
	out.url = u.String()
	cfg, err := o.config(u, out, progress)
	if err != nil {
		out.failure(err)
		return nil, exitUsage
	}
	link := newLink(ctx, url, cfg, o.reconnect, out.retry)
	conn, err := o.open(link, out)
	if err != nil {
		out.failure(err)
		link.close()
		code := progress.exitCode(err)
		if code != exitInterrupted && code != exitUsage {
			out.note("\"fibersock check URL\" explains more.") // the URL may have a secret in its query
		}
		return nil, code
	}
	link.set(conn)
	if out.interactive {
		out.note("Connected to %s. /help lists the commands, Ctrl-D closes.", escape(out.url))
	}
	return link, exitOK
}

// open opens a connection of link. It closes it with an error if the server has
// not selected a subprotocol or the compression although the flags require it.
func (o *connectOptions) open(link *link, out *output) (*client.Conn, error) {
	conn, err := link.next()
	if err != nil {
		return nil, err
	}
	out.happened(event{Type: "open", URL: out.url, Subprotocol: conn.Subprotocol(), Compression: conn.Compression()})
	code := wire.StatusCode(0)
	switch {
	case len(o.subprotocols) > 0 && conn.Subprotocol() == "":
		code, err = wire.PolicyViolation, fmt.Errorf("the server selected none of the subprotocols %s (-subprotocol)", o.subprotocols.String())
	case o.compress && conn.Compression() == "":
		code, err = wire.MandatoryExtension, errors.New("the server did not accept permessage-deflate (-compress)")
	}
	if err != nil {
		conn.Close(code, "") // the server may have closed
		return nil, err
	}
	return conn, nil
}

// progress is the last step that a dial has completed.
type progress struct {
	connected atomic.Bool  // there is a transport
	secured   atomic.Bool  // TLS is established on it, if it is wanted
	received  atomic.Int64 // bytes, with their frames
}

// exitCode returns the exit code for the error of a dial.
func (p *progress) exitCode(err error) exitCode {
	return dialExitCode(err, p.connected.Load(), p.secured.Load())
}

// countingConn counts the bytes read.
type countingConn struct {
	net.Conn
	received *atomic.Int64
}

// CloseWrite closes the direction to the server.
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

// config returns the configuration of the client, which stores the progress of
// a dial in p and shows it with -v.
func (o *connectOptions) config(u *handshake.URL, out *output, p *progress) (*client.Config, error) {
	cfg, err := o.targetOptions.config()
	if err != nil {
		return nil, err
	}
	cfg.Limits = client.Limits{Message: int64(o.maxMessage)}
	cfg.Control = true
	if secure := clienttls.Of(cfg); secure != nil {
		secure.VerifyConnection = func(state tls.ConnectionState) error { // called after the certificate was found good
			p.secured.Store(true)
			out.details("* %s", describeTLS(state))
			return nil
		}
	}
	cfg.DialContext = client.DialFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
		p.connected.Store(false)
		p.secured.Store(!u.Secure)
		nc, err := o.dialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		p.connected.Store(true)
		out.details("* connected to %s", nc.RemoteAddr())
		return countingConn{nc, &p.received}, nil
	})
	if o.verbose {
		cfg.Trace = client.NewTrace(func(s client.Step) {
			if s.Kind == client.StepResponse {
				out.handshake(s.Request, s.Response)
			}
		})
	}
	return cfg, nil
}

// loadCertificates returns the certificates in a PEM file, nil if there is no
// file.
func loadCertificates(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := pemLimit.readFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return pool, nil
}
