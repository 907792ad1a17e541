// Package measure has the flags, messages, checks and figures of the
// benchmark's client commands.
package measure

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"

	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/interop/peers"
)

// A Client is a measured library.
type Client struct {
	Name   string
	Module string
	UTF8   bool   // whether the text it receives is checked to be UTF-8
	Notes  string // how it is used, in few words

	// Run connects to url, sends s.First, and for each received message the
	// result of s.Next, until that is an error, which it returns.
	Run func(ctx context.Context, url string, s *Session) error
}

// Result is the output of a client command. The processor time is that of the
// process, from one message to another n round trips later.
type Result struct {
	Name       string `json:"name"`
	Module     string `json:"module"`
	Version    string `json:"version"`
	UTF8       bool   `json:"utf8"`
	Notes      string `json:"notes"`
	Messages   int    `json:"messages"` // round trips: one message sent and one received
	Size       int    `json:"size"`     // bytes of each
	UserNS     int64  `json:"user_ns"`
	SysNS      int64  `json:"sys_ns"`
	Mallocs    uint64 `json:"mallocs"`
	AllocBytes uint64 `json:"alloc_bytes"`
}

// Main is the main function of a client command.
func Main(c Client) {
	err := run(c, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", c.Name, err)
		os.Exit(1)
	}
}

func run(c Client, args []string, out io.Writer) error {
	set := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	url := set.String("url", "", "`URL` of an echo server")
	n := set.Int("n", 100_000, "round `trips` to measure")
	warmup := set.Int("warmup", -1, "round `trips` before, a tenth of those measured by default")
	size := set.Int("size", 125, "`bytes` of a message")
	text := set.Bool("text", false, "send text, of non-ASCII characters, not binary")
	cpus := set.String("cpus", "", "`list` of processors to run on, such as 0 or 0,2-3")
	if err := set.Parse(args); err != nil {
		return err
	}
	switch {
	case *url == "":
		return errors.New("-url: the URL of an echo server is wanted")
	case *n <= 0 || *size < 0:
		return errors.New("-n, -size: there must be something to measure")
	case *warmup < 0:
		*warmup = max(*n/10, 1)
	}
	if err := serve.Pin(*cpus); err != nil {
		return err
	}
	s := NewSession(*n, *warmup, *size, *text)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := c.Run(ctx, *url, s); err != ErrDone {
		return err
	}
	r := s.result()
	if r.UserNS+r.SysNS == 0 {
		return errors.New("processor time is not measured on " + runtime.GOOS)
	}
	r.Name, r.Module, r.Version, r.UTF8, r.Notes = c.Name, c.Module, serve.Version(c.Module), c.UTF8, c.Notes
	return json.NewEncoder(out).Encode(r)
}

// Library returns the Client.Run of a wrapped library.
func Library(l peers.Library) func(context.Context, string, *Session) error {
	return func(ctx context.Context, url string, s *Session) error {
		return l.Dial(ctx, url, peers.Options{MaxMessage: 1 << 30}, peers.Handler{
			Open: func(c peers.Conn) error { return c.Send(s.Text, s.First()) },
			Message: func(c peers.Conn, text bool, p []byte) error {
				next, err := s.Next(text, p)
				if err != nil {
					return err
				}
				return c.Send(s.Text, next)
			},
		})
	}
}
