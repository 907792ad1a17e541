// Peer runs other WebSocket implementations, and ours, as echo peers:
//
//	go run ./cmd/peer serve gorilla -addr 127.0.0.1:9002   # then: fibersock conform server ws://127.0.0.1:9002/
//	go run ./cmd/peer drive gorilla -url ws://127.0.0.1:9001   # with: fibersock conform client -addr 127.0.0.1:9001
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/fibersock/fibersock/interop/peer"
)

const usage = `Usage:

  peer serve NAME [flags]   echo as a server
  peer drive NAME [flags]   echo as a client in every case of a fuzzing server

NAMEs are:

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 3 {
		fmt.Fprint(os.Stderr, usage)
		for _, p := range peer.All() {
			fmt.Fprintf(os.Stderr, "  %-12s %s\n", p.Name, p.Title)
		}
		os.Exit(1)
	}
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintf(os.Stderr, "peer: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, what, name string, args []string) error {
	p, err := peer.Find(name)
	if err != nil {
		return err
	}
	flags := flag.NewFlagSet("peer "+what+" "+name, flag.ExitOnError)
	switch what {
	case "serve":
		addr := flags.String("addr", "127.0.0.1:9002", "listen on this `address`; with port 0 the system chooses one")
		flags.Parse(args)
		return p.Serve(ctx, *addr, func(url string) { fmt.Printf("%s echoes at %s\n", p.Title, url) })
	case "drive":
		url := flags.String("url", "ws://127.0.0.1:9001", "the fuzzing server's `URL`")
		agent := flags.String("agent", p.Name, "the `name` under which the results appear")
		parallel := flags.Int("parallel", 1, "take part in this many cases at a time")
		flags.Parse(args)
		return p.Drive(ctx, *url, *agent, *parallel)
	}
	return fmt.Errorf("%q is neither serve nor drive", what)
}
