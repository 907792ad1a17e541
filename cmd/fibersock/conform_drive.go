package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"io"
	"net"
	"strings"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/cmd/fibersock/internal/clienttls"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest/conform"
)

const conformDriveUsage = `Usage: fibersock conform drive [flags] URL

Runs fibersock's client in all cases of the fuzzing server at URL: "fibersock
conform client", or that of the Autobahn TestSuite. The client sends every
message back. The server judges it and reports the verdicts; -json shows them
here, too.
`

const conformDriveExitCodes = `
Exit codes:
  0    all cases were run, and the report was requested; the verdicts do not
       decide
  1    wrong use, or standard output cannot be used
  2    cannot connect
  3    TLS failed
  4    the server refused an opening handshake, or is not a fuzzing server
  7    timeout
  130  interrupted
`

// conformDriveOptions are the flags of conform drive.
type conformDriveOptions struct {
	trust       trustOptions
	agent       string
	compression compressionFlag
	parallel    int
	shutdown    bool
	quiet       bool
	json        bool
}

func conformDriveFlags() (*flag.FlagSet, *conformDriveOptions) {
	o := new(conformDriveOptions)
	flags := newFlags("conform drive", conformDriveUsage, conformDriveExitCodes)
	o.trust.add(flags)
	flags.StringVar(&o.agent, "agent", "fibersock", "use this `name` in the server's report")
	flags.IntVar(&o.parallel, "parallel", 1, "run this many `cases` at the same time")
	flags.BoolVar(&o.shutdown, "shutdown", false, "ask the server to end after the report")
	flags.BoolVar(&o.quiet, "quiet", false, "show no progress")
	flags.BoolVar(&o.json, "json", false, "write a line of JSON with the server's verdict on each case, in the order of their ends")
	flags.Var(&o.compression, "compression", compressionUsage)
	return flags, o
}

// conformDrive is the subcommand conform drive.
func conformDrive(ctx context.Context, args []string, std streams) exitCode {
	flags, o := conformDriveFlags()
	rest, err := parse(flags, args)
	if err == nil {
		err = o.check(rest)
	}
	p := new(progress)
	var d *conform.Driver
	if err == nil {
		var cfg *client.Config
		cfg, err = o.config(rest[0], p)
		d = o.driver(rest[0], cfg)
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	return o.drive(ctx, d, p, std)
}

// check checks combinations of flags.
func (o *conformDriveOptions) check(rest []string) error {
	switch {
	case len(rest) != 1:
		return usagef("conform drive takes one URL, not %d", len(rest))
	case strings.Contains(rest[0], "?"):
		return usagef("the URL of a fuzzing server has no query")
	case o.parallel < 1:
		return usagef("-parallel takes a number of cases, not %d", o.parallel)
	}
	return o.trust.check()
}

// config returns the configuration for dialing url, which records the progress
// in p.
func (o *conformDriveOptions) config(url string, p *progress) (*client.Config, error) {
	trust, err := o.trust.config()
	if err != nil {
		return nil, err
	}
	p.secured.Store(!strings.HasPrefix(strings.ToLower(url), "wss:"))
	trust.VerifyConnection = func(tls.ConnectionState) error {
		p.secured.Store(true)
		return nil
	}
	cfg := &client.Config{
		DialContext: client.DialFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, addr)
			p.connected.Store(err == nil)
			return nc, err
		}),
	}
	clienttls.Set(cfg, trust)
	if deflate := o.compression.deflate(); deflate != nil {
		cfg.Compression = deflate
	}
	return cfg, nil
}

// driver returns the driver of our client.
func (o *conformDriveOptions) driver(url string, cfg *client.Config) *conform.Driver {
	return &conform.Driver{
		URL: url, Agent: o.agent, Parallel: o.parallel, Shutdown: o.shutdown,
		Ask: func(ctx context.Context, url string) (answer string, err error) {
			err = receiveAll(ctx, url, cfg, func(_ *client.Conn, _ wire.Opcode, p []byte) { answer = string(p) })
			return answer, err
		},
		Echo: func(ctx context.Context, url string) error {
			err := receiveAll(ctx, url, cfg, func(c *client.Conn, op wire.Opcode, p []byte) {
				c.Send(op, p) // an error ends the connection, which receiveAll notices
			})
			if o.shutdown && ctx.Err() == nil && strings.Contains(url, "/updateReports?") && hungUp(err) {
				err = nil // the server has ended
			}
			return err
		},
	}
}

// receiveAll connects to url and calls message for each message until the
// connection ends. The payload is valid during the call.
func receiveAll(ctx context.Context, url string, cfg *client.Config, message func(*client.Conn, wire.Opcode, []byte)) error {
	c, err := client.Dial(ctx, url, cfg)
	if err != nil {
		return err
	}
	// Only an interrupted connection is cut. The others complete the closing
	// handshake.
	stop := context.AfterFunc(ctx, func() { c.CloseNow() })
	defer stop()
	var buf []byte
	for {
		op, p, err := c.ReceiveInto(context.Background(), buf[:0])
		if err != nil {
			return ctx.Err()
		}
		message(c, op, p)
		buf = p
	}
}

// hungUp reports whether err says that a server ended the connection without an
// HTTP response.
func hungUp(err error) bool {
	var refused *client.HandshakeError
	var network *net.OpError
	switch {
	case errors.As(err, &refused) && refused.Response != nil:
		return false
	case errors.As(err, &network):
		return network.Op == "read"
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// jsonDriven is the line of -json for a case.
type jsonDriven struct {
	Agent    string `json:"agent"`
	Case     string `json:"case"`
	Behavior string `json:"behavior"`
}

// drive runs d and returns the exit code.
func (o *conformDriveOptions) drive(ctx context.Context, d *conform.Driver, p *progress, std streams) exitCode {
	var bar *progressBar
	d.Count = func(cases int) {
		if !o.quiet && isTerminal(std.err) && !(o.json && std.outTerminal) {
			bar = showProgress(std.err, cases)
		}
	}
	d.Ran = func() { bar.add(false) }
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var lost error // the first error of standard output
	if o.json {
		d.Judged = func(id string, verdict conform.Verdict) {
			if lost == nil {
				lost = writeJSONLine(std.out, jsonDriven{o.agent, id, string(verdict)})
			}
			if lost != nil {
				stop(lost)
			}
		}
	}
	err := d.Run(ctx)
	bar.end()
	switch {
	case lost != nil:
		if !isBrokenPipe(lost) {
			std.fail(lost)
		}
		return exitUsage
	case err == nil:
		return exitOK
	}
	std.fail(err)
	if isAny[*conform.AnswerError](err) {
		return exitRefused
	}
	return dialExitCode(err, p.connected.Load(), p.secured.Load())
}
