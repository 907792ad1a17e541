package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/wire"
)

const benchUsage = `Usage: fibersock bench [flags] URL

Sends messages to an echo server over many connections and measures the time
from each message to its reply. The server must send every message back, and
replies must keep their order.

Without -rate the load is a closed loop: each connection sends the next message
when a reply has arrived, with -inflight messages on their way. The latency is
the time from the call that sends a message to its reply. When the server
stalls, fewer messages are sent, and the time for which the others would have
waited is not measured: the percentiles look better than those of independent
clients (coordinated omission). Use it for the throughput.

With -rate the messages are due at fixed times, and the latency is the time from
the time at which a message is due, even if it could not be sent then because
-inflight messages were on their way or the processor was busy. Use it for the
latency.

The load generator needs processor time, too: on the same machine, or with few
processors, it competes with the server.

Examples:
  fibersock bench ws://localhost:8080/echo
  fibersock bench -connections 100 -rate 5000 -size 1K ws://localhost:8080/echo
  fibersock bench -json ws://localhost:8080/echo > result.json
`

const benchExitCodes = `
Exit codes:
  0    all connections opened, and all messages got their reply
  1    wrong use
  2    no connection: name, network, or a proxy that refuses
  3    TLS failed
  4    the server did not accept the opening handshake
  5    a reply was not the message, or the server broke the protocol
  6    a connection was lost, or replies are missing
  7    timeout
  8    the server closed a connection
  130  interrupted; the results until then are shown
`

// benchOptions are the flags of bench.
type benchOptions struct {
	targetOptions
	connections int
	inflight    int
	size        sizeFlag
	rate        float64
	duration    time.Duration
	text        bool
	verbose     bool
	json        bool
}

// Defaults of bench.
const (
	benchConnections = 10
	benchSize        = 125
	benchDuration    = 10 * time.Second
	benchDials       = 64              // connections that are opened at the same time
	benchDrain       = 5 * time.Second // for replies after the last message
	maxBenchMessage  = 64 << 20        // bytes
)

func benchFlags() (*flag.FlagSet, *benchOptions) {
	o := &benchOptions{size: benchSize}
	o.compression = "off"
	flags := newFlags("bench", benchUsage, benchExitCodes)
	flags.IntVar(&o.connections, "connections", benchConnections, "open `n` connections")
	flags.Var(&o.size, "size", "the payload of each message: a `size` in bytes, 64K or 16M")
	flags.IntVar(&o.inflight, "inflight", 1, "have at most `n` messages on their way on each connection")
	flags.Float64Var(&o.rate, "rate", 0, "send this `number` of messages a second in all, at fixed times (default: as fast as replies\narrive)")
	flags.DurationVar(&o.duration, "duration", benchDuration, "send for this `time`")
	flags.BoolVar(&o.text, "text", false, "send text messages (default: binary)")
	flags.BoolVar(&o.verbose, "v", false, "write a line of progress each second even if standard error is no terminal")
	flags.BoolVar(&o.json, "json", false, "write the results as one object of JSON; times are in milliseconds")
	o.add(flags)
	return flags, o
}

// benchCommand is the subcommand bench.
func benchCommand(ctx context.Context, args []string, std streams) exitCode {
	flags, o := benchFlags()
	rest, err := parse(flags, args)
	var cfg *client.Config
	if err == nil {
		err = o.check(rest)
	}
	if err == nil {
		cfg, err = o.config()
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	cfg.Limits.Message = maxBenchMessage
	b := &benchmark{options: o, url: completeURL(rest[0]), cfg: cfg}
	result := b.run(ctx, std)
	if o.json {
		err = writeJSON(std.out, result)
	} else {
		err = result.show(std.out)
	}
	switch {
	case err != nil:
		std.fail(err)
		return exitUsage
	case ctx.Err() != nil:
		return exitInterrupted
	}
	return b.code
}

// check checks combinations of flags.
func (o *benchOptions) check(rest []string) error {
	switch {
	case len(rest) != 1:
		return usagef("bench takes one URL, not %d", len(rest))
	case o.connections <= 0:
		return usagef("-connections takes a number above 0, not %d", o.connections)
	case o.inflight <= 0:
		return usagef("-inflight takes a number above 0, not %d", o.inflight)
	case o.size < 1 || o.size > maxBenchMessage:
		return usagef("-size takes 1 to %d bytes", maxBenchMessage)
	case !(o.rate >= 0) || math.IsInf(o.rate, 0):
		return usagef("-rate takes a number of messages a second, not %v", o.rate)
	case o.duration <= 0:
		return usagef("-duration takes a time above 0, not %v", o.duration)
	}
	return o.targetOptions.check()
}

// benchmark is a run of the command.
type benchmark struct {
	options *benchOptions
	url     string
	cfg     *client.Config
	payload []byte // of each message; the first bytes are replaced by its number

	opening, latency histogram
	replies          atomic.Uint64 // in time
	sent             atomic.Uint64
	unsent           atomic.Uint64 // due with -rate, and not sent
	open             atomic.Int64
	deadline         time.Time // of sending

	mu     sync.Mutex // guards the rest
	code   exitCode   // of the first error
	errors map[string]int
	failed int // connections that did not open, or ended
}

// benchResult is the result of a run.
type benchResult struct {
	URL         string             `json:"url"`
	Connections int                `json:"connections"` // that opened
	Failed      int                `json:"failed"`      // that did not open, or ended early
	Size        int64              `json:"size"`        // payload bytes of a message
	Inflight    int                `json:"inflight"`
	Rate        float64            `json:"rate,omitempty"` // the wanted one, in messages a second
	Seconds     float64            `json:"seconds"`        // of sending
	Sent        uint64             `json:"sent"`
	Replies     uint64             `json:"replies"`    // within the time of sending
	Unanswered  uint64             `json:"unanswered"` // messages without a reply
	Unsent      uint64             `json:"unsent"`     // messages that were due with -rate, and not sent by the end
	Throughput  float64            `json:"per_second"` // replies
	Bytes       float64            `json:"bytes_per_second"`
	Opening     map[string]float64 `json:"opening_ms,omitempty"`
	Latency     map[string]float64 `json:"latency_ms,omitempty"`
	Histogram   []bar              `json:"histogram,omitempty"`
	Measures    string             `json:"latency_measures"`
	Errors      map[string]int     `json:"errors,omitempty"`
}

// The texts about the latency.
const (
	closedLoop = "from the call that sends a message to its reply, in a closed loop: while the server stalls, messages that would have waited are not sent and not measured (coordinated omission); -rate measures them"
	openLoop   = "from the time at which a message is due to its reply: a message that is sent late because others wait counts with its waiting time"
)

// fail counts a connection that did not open, or ended, and its error.
func (b *benchmark) fail(code exitCode, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed++
	if b.code == exitOK {
		b.code = code
	}
	if b.errors == nil {
		b.errors = make(map[string]int)
	}
	const most = 100 // texts
	text := explainDial(err)
	if len(b.errors) >= most {
		text = "other errors"
	}
	b.errors[text]++
}

// run opens the connections, sends for the wanted time and waits for the last
// replies.
func (b *benchmark) run(ctx context.Context, std streams) *benchResult {
	o := b.options
	b.payload = payloadOf(int(o.size))
	conns := b.connect(ctx)
	stop := b.progress(std)
	began := time.Now()
	b.deadline = began.Add(o.duration)
	sending, cancel := context.WithDeadline(ctx, b.deadline)
	defer cancel()
	var all sync.WaitGroup
	for i, conn := range conns {
		all.Go(func() { b.drive(sending, conn, began, i, len(conns)) })
	}
	all.Wait()
	stop()
	took := min(time.Since(began), o.duration)

	latency := b.latency.snapshot()
	r := &benchResult{
		URL: b.url, Connections: len(conns), Failed: b.failed, Size: int64(o.size), Inflight: o.inflight, Rate: o.rate,
		Seconds: took.Seconds(), Sent: b.sent.Load(), Replies: b.replies.Load(), Unanswered: b.sent.Load() - latency.n, Unsent: b.unsent.Load(),
		Opening: figures(b.opening.snapshot()), Latency: figures(latency), Histogram: latency.bars(),
		Measures: closedLoop, Errors: b.errors,
	}
	if o.rate > 0 {
		r.Measures = openLoop
	}
	if took > 0 {
		r.Throughput = float64(r.Replies) / took.Seconds()
		r.Bytes = r.Throughput * float64(o.size)
	}
	if r.Unanswered > 0 && b.code == exitOK {
		b.code = exitLost
	}
	return r
}

// payloadOf returns a payload, which is text, too.
func payloadOf(size int) []byte {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	p := make([]byte, size)
	for i := range p {
		p[i] = letters[(i*7+i/36)%len(letters)]
	}
	return p
}

// connect opens the connections, some at the same time.
func (b *benchmark) connect(ctx context.Context) []*client.Conn {
	var mu sync.Mutex
	var conns []*client.Conn
	var all sync.WaitGroup
	slots := make(chan struct{}, benchDials)
	for range b.options.connections {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			began := time.Now()
			conn, code, err := dialTarget(ctx, b.url, b.cfg)
			if err != nil {
				b.fail(code, err)
				return
			}
			b.opening.add(time.Since(began))
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
		})
	}
	all.Wait()
	return conns
}

// drive sends on a connection until the end of ctx and receives all replies. i
// is its number of n.
func (b *benchmark) drive(ctx context.Context, conn *client.Conn, began time.Time, i, n int) {
	defer conn.CloseNow()
	b.open.Add(1)
	defer b.open.Add(-1)
	slots := make(chan struct{}, b.options.inflight) // a slot for each message on its way
	due := make(chan time.Time, b.options.inflight)  // their times
	receiving, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var late *time.Timer
	var sender sync.WaitGroup
	sender.Go(func() {
		b.send(ctx, receiving, conn, slots, due, b.schedule(began, i, n))
		close(due)
		late = time.AfterFunc(benchDrain, func() { stop(errNoReplies) })
	})
	err := b.receive(receiving, conn, slots, due)
	if cause := context.Cause(receiving); err != nil && cause != nil {
		err = cause
	}
	stop(errStopped) // the sender, if replies failed
	if err != nil {
		conn.CloseNow()
	}
	sender.Wait()
	late.Stop()
	if err == nil {
		err = conn.Close(wire.NormalClosure, "")
	}
	if err != nil {
		b.fail(benchExitCode(err), err)
	}
}

// The reasons to stop receiving.
var (
	errNoReplies = fmt.Errorf("no reply within %v after the last message", benchDrain)
	errStopped   = errors.New("receiving has stopped")
)

// wrongReplyError is a reply that is not the message.
type wrongReplyError struct{ text string }

func (e *wrongReplyError) Error() string { return e.text }

// benchExitCode returns the exit code for the end of a connection.
func benchExitCode(err error) exitCode {
	switch {
	case isAny[*wrongReplyError](err):
		return exitFailed
	case errors.Is(err, errNoReplies):
		return exitLost
	case isAny[*client.CloseError](err):
		return exitPeerClosed // with any code: it was too early
	}
	return endExitCode(err, 0)
}

// schedule returns a function that returns the time at which the next message
// of connection i of n is due; nil without -rate.
func (b *benchmark) schedule(began time.Time, i, n int) func() time.Time {
	if b.options.rate == 0 {
		return nil
	}
	interval := float64(n) / b.options.rate // seconds
	k := float64(i) / float64(n)            // the connections are spread evenly
	return func() time.Time {
		t := began.Add(time.Duration(k * interval * float64(time.Second)))
		k++
		return t
	}
}

// send sends until the end of ctx, or of receiving.
func (b *benchmark) send(ctx, receiving context.Context, conn *client.Conn, slots chan<- struct{}, due chan<- time.Time, next func() time.Time) {
	op := wire.Binary
	if b.options.text {
		op = wire.Text
	}
	p := append([]byte(nil), b.payload...)
	var t time.Time // the message is due
	if next != nil {
		defer func() {
			for ; t.Before(b.deadline); t = next() {
				b.unsent.Add(1)
			}
		}()
		t = next()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for number := uint64(0); ; number++ {
		if next != nil {
			if !t.Before(b.deadline) {
				return
			}
			if wait := time.Until(t); wait > 0 {
				timer.Reset(wait)
				select {
				case <-timer.C:
				case <-ctx.Done():
					return
				case <-receiving.Done():
					return
				}
			}
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		case <-receiving.Done():
			return
		}
		if ctx.Err() != nil {
			return
		}
		if next == nil {
			t = time.Now()
		}
		stamp(p, number)
		b.sent.Add(1)
		due <- t
		if next != nil {
			t = next()
		}
		if conn.Send(op, p) != nil {
			return // receive returns the reason
		}
	}
}

// receive receives the reply of each message until due is closed.
func (b *benchmark) receive(ctx context.Context, conn *client.Conn, slots <-chan struct{}, due <-chan time.Time) error {
	want := append([]byte(nil), b.payload...)
	buf := make([]byte, 0, len(want))
	for number := uint64(0); ; number++ {
		t, open := <-due
		if !open {
			return nil
		}
		op, p, err := conn.ReceiveInto(ctx, buf[:0])
		if err != nil {
			return err
		}
		now := time.Now()
		stamp(want, number)
		if string(p) != string(want) || (op == wire.Text) != b.options.text {
			return &wrongReplyError{fmt.Sprintf("the reply is not the message: %v of %d bytes, or another order; the server must echo", op, len(p))}
		}
		buf = p
		b.latency.add(now.Sub(t))
		if !now.After(b.deadline) {
			b.replies.Add(1)
		}
		<-slots
	}
}

// stamp writes a number into the first bytes of a payload, in letters.
func stamp(p []byte, number uint64) {
	for i := range min(len(p), 13) { // 26^13 is about 2^61
		p[i] = 'a' + byte(number%26)
		number /= 26
	}
}

// progress writes a line each second if standard error is a terminal, or with
// -v. stop ends it.
func (b *benchmark) progress(std streams) (stop func()) {
	if !b.options.verbose && !isTerminal(std.err) {
		return func() {}
	}
	ended := make(chan struct{})
	var shown sync.WaitGroup
	began := time.Now()
	shown.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		before := uint64(0)
		for {
			select {
			case <-ticker.C:
			case <-ended:
				return
			}
			replies := b.replies.Load()
			s := b.latency.snapshot()
			fmt.Fprintf(std.err, "%4.0fs  %d connections  %d messages/s  p50 %v  p99 %v  max %v\n", time.Since(began).Seconds(),
				b.open.Load(), replies-before, rounded(s.percentile(0.5)), rounded(s.percentile(0.99)), rounded(s.max))
			before = replies
		}
	})
	return sync.OnceFunc(func() {
		close(ended)
		shown.Wait()
	})
}

// The percentiles that are shown.
var percentiles = []struct {
	name  string
	share float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}}

// figures returns the figures of a histogram in milliseconds, nil if it is
// empty.
func figures(s *snapshot) map[string]float64 {
	if s.n == 0 {
		return nil
	}
	f := map[string]float64{"min": inMilliseconds(s.least), "mean": inMilliseconds(s.mean), "max": inMilliseconds(s.max)}
	for _, p := range percentiles {
		f[p.name] = inMilliseconds(s.percentile(p.share))
	}
	return f
}

// show writes the result as text.
func (r *benchResult) show(w io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	load := "as fast as replies arrive"
	if r.Rate > 0 {
		load = fmt.Sprintf("%v messages a second", r.Rate)
	}
	line("%s", escape(r.URL))
	line("load         %d connections, %d bytes, %d in flight on each, %s, for %.1fs", r.Connections, r.Size, r.Inflight, load, r.Seconds)
	if r.Failed > 0 {
		line("failed       %d connections", r.Failed)
	}
	line("messages     %d replies, %.0f a second, %.2f MB/s in each direction", r.Replies, r.Throughput, r.Bytes/1e6)
	if r.Unanswered > 0 {
		line("unanswered   %d messages of %d", r.Unanswered, r.Sent)
	}
	if r.Unsent > 0 {
		line("not sent     %d messages that were due, because others were in flight", r.Unsent)
	}
	row := func(name string, f map[string]float64) {
		if f == nil {
			return
		}
		fmt.Fprintf(&b, "%-12s", name)
		for _, column := range []string{"min", "mean", "p50", "p90", "p99", "p99.9", "max"} {
			fmt.Fprintf(&b, " %s %s ", column, milliseconds(f[column]))
		}
		b.WriteString("\n")
	}
	row("opening", r.Opening)
	row("latency", r.Latency)
	most, total := uint64(0), uint64(0)
	for _, bar := range r.Histogram {
		most, total = max(most, bar.Count), total+bar.Count
	}
	for _, bar := range r.Histogram {
		const width = 40
		line("  up to %-9s %-*s %6.2f %%", milliseconds(bar.UpTo), width, strings.Repeat("#", int(float64(bar.Count)/float64(most)*width+0.5)), 100*float64(bar.Count)/float64(total))
	}
	line("Latency is the time %s.", r.Measures)
	for text, n := range r.Errors {
		line("ERROR, %d times: %s", n, escape(text))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// milliseconds returns a readable time.
func milliseconds(ms float64) string {
	return rounded(time.Duration(ms * float64(time.Millisecond))).String()
}

// rounded returns d with three digits or so.
func rounded(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}
