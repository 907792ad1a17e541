// Package serve has the common parts of the benchmark's server commands: the
// flags, the line with address and description, and the control lines on
// standard input. The commands differ only in the measured library.
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

// A Peer is one server of the benchmark. It echoes each message, or with
// Options.Broadcast sends it to all connections.
type Peer struct {
	Name   string
	Module string // of the reported version; empty for the standard library
	UTF8   bool   // whether the text it echoes is checked to be UTF-8
	Loop   string // the waiter for input: "goroutines" or "epoll"
	Notes  string // the configuration, in few words
	OwnTLS bool   // Serve gets TCP and Options.Cert, and not a listener of TLS

	// The reasons why the peer does not support a flag; empty if it does.
	NoTLS, NoDeflate, NoTakeover, NoWindowBits, NoBroadcast, NoTopics, NoWork string

	// Serve serves the connections of ln, and returns only with an error.
	Serve func(ln net.Listener, o Options) error

	// Listen is that of a library that accepts no listener, and replaces Serve.
	// It listens on addr, returns the address, and calls ended with the error
	// that ends the server.
	Listen func(addr string, o Options, ended func(error)) (listening string, err error)
}

// maxWindowBits is the window of a library without NoWindowBits' setting.
const maxWindowBits = 15

// Options are the flags of a server.
type Options struct {
	MaxMessage int  // bytes; longer messages are refused
	Deflate    bool // accept permessage-deflate, without context takeover unless Takeover is set
	Takeover   bool // accept context takeover in both directions
	WindowBits int  // of permessage-deflate in both directions; 0: the library's default
	Broadcast  bool // send each message to all connections, the sender's included
	Topics     bool // send each message to the subscribers of its sender's topic; see TopicOf
	Work       int  // steps that the handler computes before it echoes; see Compute

	// PEM files of a certificate and its key, of a Peer with OwnTLS; else
	// empty.
	Cert, Key string
}

// UnsupportedStatus is the exit status of a server that does not support a
// flag.
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
	ended := make(chan error, 2)
	listening, err := f.start(p, func(err error) { ended <- err })
	if err != nil {
		return err
	}
	hello := Hello{listening, p.Name, p.Module, Version(p.Module), p.UTF8, p.Loop, p.Notes}
	if err := json.NewEncoder(out).Encode(hello); err != nil {
		return err
	}
	go func() { ended <- control(in, out) }()
	return <-ended
}

// start starts the server of p and returns its address. ended is called with
// the error that ends the server.
func (f *flags) start(p Peer, ended func(error)) (listening string, err error) {
	if p.OwnTLS {
		f.Options.Cert, f.Options.Key = f.cert, f.key
		f.cert = ""
	}
	if p.Listen != nil {
		return p.Listen(f.addr, f.Options, ended)
	}
	ln, err := f.listen()
	if err != nil {
		return "", err
	}
	go func() { ended(p.Serve(ln, f.Options)) }()
	return ln.Addr().String(), nil
}

func parse(p Peer, args []string) (*flags, error) {
	f := new(flags)
	set := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	set.StringVar(&f.addr, "addr", "127.0.0.1:0", "`host:port` to listen on")
	set.StringVar(&f.cert, "cert", "", "PEM `file` with a certificate: serve wss")
	set.StringVar(&f.key, "key", "", "PEM `file` with the certificate's key")
	set.StringVar(&f.cpus, "cpus", "", "`list` of processors to run on, such as 0 or 0,2-3")
	set.BoolVar(&f.Deflate, "deflate", false, "accept permessage-deflate, without context takeover")
	set.BoolVar(&f.Takeover, "takeover", false, "with -deflate: accept context takeover")
	set.IntVar(&f.WindowBits, "window-bits", 0, "with -deflate: `bits` of both windows, 9 to 15; 0: the library's default")
	set.BoolVar(&f.Broadcast, "broadcast", false, "send each message to all connections")
	set.BoolVar(&f.Topics, "topics", false, "send each message to the subscribers of its sender's topic")
	set.IntVar(&f.Work, "work", 0, "`steps` that the handler computes before it echoes, of about 2 ns each")
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
		unsupported(f.Takeover, "-takeover", p.NoTakeover),
		unsupported(f.WindowBits != 0 && f.WindowBits != maxWindowBits, "-window-bits", p.NoWindowBits),
		unsupported(f.Broadcast, "-broadcast", p.NoBroadcast),
		unsupported(f.Topics, "-topics", p.NoTopics),
		unsupported(f.Work > 0, "-work", p.NoWork),
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

// unsupportedError is the error of a flag that the peer does not support.
type unsupportedError struct{ flag, reason string }

func (e *unsupportedError) Error() string { return e.flag + ": " + e.reason }

func unsupported(asked bool, flag, reason string) error {
	if !asked || reason == "" {
		return nil
	}
	return &unsupportedError{flag, reason}
}
