package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/tcpserver"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// benchJSON runs `fibersock bench -json`.
func benchJSON(t *testing.T, args ...string) (exitCode, *benchResult) {
	t.Helper()
	r := runWith(t, strings.NewReader(""), append([]string{"bench", "-json"}, args...)...)
	result := new(benchResult)
	if err := json.Unmarshal([]byte(r.out), result); err != nil || r.err != "" {
		t.Fatalf("%v: %+v", err, r)
	}
	return r.code, result
}

// total returns the number of times in a histogram, and those above a bound of
// milliseconds.
func total(bars []bar, above float64) (all, slow uint64) {
	for i, b := range bars {
		all += b.Count
		if i > 0 && bars[i-1].UpTo >= above {
			slow += b.Count
		}
	}
	return all, slow
}

func TestBenchCountsEveryMessage(t *testing.T) {
	t.Parallel()
	url := startServer(t, echoServer())
	for _, args := range []string{
		"",
		"-connections 3 -inflight 8 -size 1",
		"-connections 2 -size 100K -text",
		"-connections 2 -inflight 3 -compression on -text -size 500",
	} {
		code, r := benchJSON(t, append(strings.Fields(args), "-duration", "200ms", url)...)
		all, _ := total(r.Histogram, 0)
		if code != exitOK || r.Sent == 0 || r.Unanswered != 0 || r.Unsent != 0 || all != r.Sent || r.Replies > r.Sent || r.Failed != 0 || len(r.Errors) > 0 {
			t.Errorf("%s: exit code %d, %+v", args, code, r)
		}
		for _, f := range []map[string]float64{r.Latency, r.Opening} {
			order := []float64{f["min"], f["p50"], f["p90"], f["p99"], f["p99.9"], f["max"]}
			if !slices.IsSorted(order) || f["min"] <= 0 || f["mean"] < f["min"] || f["mean"] > f["max"] {
				t.Errorf("%s: %v", args, f)
			}
		}
		if !strings.Contains(r.Measures, "coordinated omission") {
			t.Errorf("the latency measures %q", r.Measures)
		}
	}
}

func TestBenchShowsText(t *testing.T) {
	t.Parallel()
	url := startServer(t, echoServer())
	r := runWith(t, nil, "bench", "-duration", "500ms", "-connections", "2", url)
	for _, want := range []string{url + "\nload         2 connections, 125 bytes, 1 in flight on each, as fast as replies arrive", "\nmessages     ", " a second, ", "\nopening      min ", "\nlatency      min ", " p99.9 ",
		"\n  up to ", "#", " %\n", "\nLatency is the time from the call that sends"} {
		if r.code != exitOK || !strings.Contains(r.out, want) {
			t.Errorf("no %q in %+v", want, r)
		}
	}
}

// With -rate the number of messages is that of the schedule.
func TestBenchWithARate(t *testing.T) {
	url := startServer(t, echoServer())
	code, r := benchJSON(t, "-rate", "400", "-duration", "250ms", "-connections", "4", url)
	if code != exitOK || r.Sent+r.Unsent != 100 || r.Sent == 0 || !strings.Contains(r.Measures, "due") {
		t.Errorf("exit code %d, %+v", code, r)
	}
	if r := runWith(t, nil, "bench", "-rate", "10", "-duration", "100ms", url); !strings.Contains(r.out, "10 messages a second") || !strings.Contains(r.out, "Latency is the time from the time at which a message is due") {
		t.Errorf("%+v", r)
	}
}

// A stall of the server delays all messages that are due meanwhile, and the
// latency shows it.
func TestRateMeasuresTheWaitingTime(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	s := echoServer()
	s.Handler.Message = func(c *server.Conn, op wire.Opcode, p []byte) {
		if n.Add(1) == 5 {
			time.Sleep(400 * time.Millisecond) // the stall that is measured
		}
		c.Send(op, p)
	}
	code, r := benchJSON(t, "-rate", "100", "-duration", "800ms", "-connections", "1", startServer(t, s))
	all, slow := total(r.Histogram, 67) // a bound of a row: 2^26 ns
	if code != exitOK || r.Latency["max"] < 400 || slow+r.Unsent < 25 || all != r.Sent {
		t.Errorf("exit code %d, %d messages of %d waited: %+v", code, slow, all, r)
	}
}

func TestBenchNoticesFailures(t *testing.T) {
	answer := func(f func(c *server.Conn, op wire.Opcode, p []byte)) string {
		return startServer(t, &server.Server{Handler: server.Handler{Message: f}})
	}
	closed := "ws://" + tcpserver.Refusing(t) + "/"
	plain, _ := startServe(t)
	silent := tcpserver.Start(t, func(nc *net.TCPConn) { nc.Read(make([]byte, 1<<10)) }) // the request
	for name, tt := range map[string]struct {
		url  string
		code exitCode
		text string
	}{
		"another payload":  {answer(func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, []byte("no")) }), exitFailed, "not the message"},
		"another type":     {answer(func(c *server.Conn, _ wire.Opcode, p []byte) { c.SendText(string(p)) }), exitFailed, "not the message"},
		"a Close":          {answer(func(c *server.Conn, _ wire.Opcode, _ []byte) { c.Close(wire.NormalClosure, "enough") }), exitPeerClosed, "enough"},
		"a lost transport": {answer(func(c *server.Conn, _ wire.Opcode, _ []byte) { c.CloseNow() }), exitLost, ""},
		"a closed port":    {closed, exitUnreachable, "refused"},
		"no response":      {"ws://" + silent, exitRefused, ""},
		"no endpoint":      {"ws://" + plain + "/none", exitRefused, "404"},
		"no TLS":           {"wss://" + plain + "/echo", exitTLS, "tls"},
	} {
		code, r := benchJSON(t, "-connections", "2", "-duration", "30s", tt.url)
		found := false
		for text, count := range r.Errors {
			found = found || strings.Contains(text, tt.text) && count > 0
		}
		if code != tt.code || r.Failed != 2 || !found {
			t.Errorf("%s: exit code %d, %+v; want %d, %q", name, code, r, tt.code, tt.text)
		}
		if r := runWith(t, nil, "bench", "-connections", "1", "-duration", "30s", tt.url); !strings.Contains(r.out, "ERROR, 1 times: ") || !strings.Contains(r.out, "failed       1 connections") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// A line of progress is shown each second, and an interrupted run shows its
// results.
func TestBenchShowsProgressUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	notes, out := newLineWriter(), newLineWriter()
	code := make(chan exitCode, 1)
	url := startServer(t, echoServer())
	go func() {
		code <- run(ctx, []string{"bench", "-v", "-connections", "2", url, "-duration", "1h"}, nil, out, notes)
	}()
	if line := notes.await(t, "s  2 connections  "); !strings.Contains(line, " messages/s  p50 ") {
		t.Errorf("the line is %q", line)
	}
	interrupt()
	check.Equal(t, <-code, exitInterrupted, "exit code")
	out.await(t, "messages ")
}

func TestCommandLineOfBench(t *testing.T) {
	for args, want := range map[string]string{
		"bench":                        "one URL, not 0",
		"bench -connections 0 ws://a":  "-connections",
		"bench -inflight 0 ws://a":     "-inflight",
		"bench -size none ws://a":      "-size",
		"bench -size 65M ws://a":       "-size",
		"bench -rate -1 ws://a":        "-rate",
		"bench -rate NaN ws://a":       "-rate",
		"bench -duration 0s ws://a":    "-duration",
		"bench -timeout 0s ws://a":     "-timeout",
		"bench -cacert x -k ws://a":    "-insecure",
		"bench -cacert /no/where ws:/": "/no/where",
	} {
		if r := runWith(t, nil, strings.Fields(args)...); r.code != exitUsage || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v, want %q", args, r, want)
		}
	}
	if code := run(t.Context(), []string{"bench", "-duration", "1ms", "-connections", "1", startServer(t, echoServer())}, nil, brokenWriter{}, io.Discard); code != exitUsage {
		t.Errorf("standard output is closed: exit code %d", code)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	var times []time.Duration
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		d := time.Duration(r.ExpFloat64() * float64(time.Millisecond))
		h.add(d)
		times = append(times, d)
	}
	slices.Sort(times)
	s := h.snapshot()
	for _, share := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
		want := times[max(int(share*10_000)-1, 0)]
		if got := s.percentile(share); got < want || float64(got) > float64(want)*(1+1.0/32)+1 {
			t.Errorf("percentile %v is %v, want %v", share, got, want)
		}
	}
	if s.least != times[0] || s.max != times[len(times)-1] || s.n != 10_000 {
		t.Errorf("%v to %v, %d times", s.least, s.max, s.n)
	}
	if all, _ := total(s.bars(), 0); all != 10_000 {
		t.Errorf("the bars have %d times", all)
	}
	for _, d := range []time.Duration{0, 1, 31, 32, 33, 63, 64, 1000, time.Hour, 1<<63 - 1} {
		i := bucketOf(d)
		if upperBound(i) < d || i > 0 && upperBound(i-1) >= d {
			t.Errorf("%d is in bucket %d, from %d to %d", d, i, upperBound(max(i-1, 0)), upperBound(i))
		}
	}
	if empty := new(histogram).snapshot(); empty.percentile(0.5) != 0 || empty.bars() != nil || figures(empty) != nil {
		t.Error("an empty histogram has figures")
	}
	check.Equal(t, fmt.Sprint(rounded(123456), rounded(999), rounded(1234567890)), "123µs 999ns 1.23s", "rounded")
}
