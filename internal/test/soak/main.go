// Soak runs servers and clients among thousands of connections of well-behaved
// and hostile peers, and reports whether their memory stays flat.
//
//	go run ./internal/test/soak -time 30m
//
// There are two processes. The target, which is measured, has a server for each
// way to serve a connection, and clients of hostile servers. The load has all
// other peers, and writes the table.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	var o options
	target := flag.Bool("target", false, "run the measured process; the load starts it")
	flag.DurationVar(&o.time, "time", 30*time.Minute, "`duration` of the run")
	flag.IntVar(&o.conns, "conns", 5000, "`number` of open connections")
	flag.StringVar(&o.out, "out", "", "Markdown `file` for the table")
	flag.Parse()
	if *target {
		if err := runTarget(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "soak: target:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	flat, err := run(ctx, o, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(2)
	}
	if !flat {
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	time  time.Duration
	conns int
	out   string
	every time.Duration // between two samples; 0: a thirtieth of time, 2 seconds to a minute
}

// interval returns the time between two samples.
func (o options) interval() time.Duration {
	if o.every > 0 {
		return o.every
	}
	return min(max(o.time/30, 2*time.Second), time.Minute)
}
