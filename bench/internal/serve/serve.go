// Package serve is what the benchmark's server commands have in common, so that
// they differ in the library they measure and in nothing else: the flags, the
// line that says who listens where, and the control lines on standard input.
package serve

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
)

// A Peer is one server of the benchmark: it sends each message back to whom it
// came from, with Options.Broadcast to everybody.
type Peer struct {
	Name   string
	Module string // whose version is told; empty if it is the standard library alone
	UTF8   bool   // whether the text it echoes is checked to be UTF-8
	Loop   string // who waits for input: "goroutines" or "epoll"
	Notes  string // the configuration, in few words

	// Why the peer cannot do what a flag asks for; empty if it can.
	NoTLS, NoDeflate, NoBroadcast string

	// Serve serves what connects to ln, and returns if it cannot go on.
	Serve func(ln net.Listener, o Options) error
}

// Options are the flags that a server has to know.
type Options struct {
	MaxMessage int  // bytes; longer messages are refused
	Deflate    bool // accept permessage-deflate, without context takeover
	Broadcast  bool // send each message to everybody, the sender included
}

// UnsupportedStatus is the exit status of a server that was asked for something
// it says it cannot do.
const UnsupportedStatus = 3

// Hello is the line that a server prints when it listens.
type Hello struct {
	Listening string `json:"listening"` // host:port
	Name      string `json:"name"`
	Module    string `json:"module"`
	Version   string `json:"version"`
	UTF8      bool   `json:"utf8"`
	Loop      string `json:"loop"`
	Notes     string `json:"notes"`
}

type flags struct {
	Options
	addr, cert, key, cpus string
}

// Main is the main function of a server command.
func Main(p Peer) {
	err := run(p, os.Args[1:], stdin(), os.Stdout)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
	if _, ok := errors.AsType[*unsupportedError](err); ok {
		os.Exit(UnsupportedStatus)
	}
	os.Exit(1)
}

// run serves until the server fails or in ends.
func run(p Peer, args []string, in io.Reader, out io.Writer) error {
	f, err := parse(p, args)
	if err != nil {
		return err
	}
	if err := Pin(f.cpus); err != nil {
		return err
	}
	ln, err := f.listen()
	if err != nil {
		return err
	}
	hello := Hello{ln.Addr().String(), p.Name, p.Module, Version(p.Module), p.UTF8, p.Loop, p.Notes}
	if err := json.NewEncoder(out).Encode(hello); err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- p.Serve(ln, f.Options) }()
	go func() { ended <- control(in, out) }()
	return <-ended
}

func parse(p Peer, args []string) (*flags, error) {
	f := new(flags)
	set := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	set.StringVar(&f.addr, "addr", "127.0.0.1:0", "`host:port` to listen on")
	set.StringVar(&f.cert, "cert", "", "PEM `file` with a certificate: serve wss")
	set.StringVar(&f.key, "key", "", "PEM `file` with the certificate's key")
	set.StringVar(&f.cpus, "cpus", "", "`list` of processors to run on, such as 0 or 0,2-3")
	set.BoolVar(&f.Deflate, "deflate", false, "accept permessage-deflate, without context takeover")
	set.BoolVar(&f.Broadcast, "broadcast", false, "send each message to everybody")
	set.IntVar(&f.MaxMessage, "max-message", 32<<20, "`bytes` of the longest message")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	return f, errors.Join(
		unsupported(f.cert != "", "-cert", p.NoTLS),
		unsupported(f.Deflate, "-deflate", p.NoDeflate),
		unsupported(f.Broadcast, "-broadcast", p.NoBroadcast),
	)
}

func (f *flags) listen() (net.Listener, error) {
	var config *tls.Config
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, err
		}
		config = &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	}
	ln, err := net.Listen("tcp", f.addr)
	if err != nil || config == nil {
		return ln, err
	}
	return tls.NewListener(ln, config), nil
}

// unsupportedError: the peer cannot do what the flag asks for.
type unsupportedError struct{ flag, reason string }

func (e *unsupportedError) Error() string { return e.flag + ": " + e.reason }

func unsupported(asked bool, flag, reason string) error {
	if !asked || reason == "" {
		return nil
	}
	return &unsupportedError{flag, reason}
}
