// Soak runs servers and clients for a long time among thousands of connections of
// good and hostile peers, and says whether their memory stays flat.
//
//	go run ./internal/soak -time 30m
//
// There are two processes. The subject has the servers, one for each way in which
// a connection can be served, and clients that visit hostile servers: it is what is
// measured. The crowd has all the others, and writes the table.
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
	subject := flag.Bool("subject", false, "be the process that is measured; the crowd starts it")
	flag.DurationVar(&o.time, "time", 30*time.Minute, "how `long` it takes")
	flag.IntVar(&o.conns, "conns", 5000, "how many connections there are at once")
	flag.StringVar(&o.out, "out", "", "the Markdown `file` that the table is written to")
	flag.Parse()
	if *subject {
		if err := runSubject(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "soak: subject:", err)
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

// options are what the command line says.
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
