package runner

import (
	"fmt"
	"time"

	"github.com/fibersock/fibersock/bench/internal/report"
)

// kind is the load of a scenario.
type kind int

const (
	echo      kind = iota // a closed loop of messages and replies
	broadcast             // one sends, all receive
	churn                 // connect, handshake, echo, close, again
	idle                  // connections that do nothing
	client                // a peer's client, with the same server for all
)

// A scenario is one thing that is measured.
type scenario struct {
	name, title string
	kind        kind
	conns       int // connections at a time; broadcast: receivers
	topics      int // broadcast: the connections are divided among so many; 0: all receive all
	inFlight    int // messages of a connection, or of a broadcast's sender, that are on their way at once
	cycle       int // churn: messages of a connection, one after the other
	size        int // payload bytes
	fragments   int // frames of a message
	text        bool
	hello       bool // the text "hello", in place of size bytes
	deflate     bool
	takeover    bool // deflate keeps its context
	windowBits  int  // of deflate; 0: the peer's default
	texts       int  // different payloads of deflate; 0: one
	tls         bool
	nethttp     bool    // ours also takes part behind net/http
	allCPUs     bool    // the server runs on all processors, and so does the load
	work        int     // steps that the handler computes for each message
	blocking    float64 // share of connections with a sleeping handler
	quick       quickRun
}

// quickRun has the numbers of a quick run.
type quickRun struct {
	rounds int // 0: the scenario is not in it
	conns  int // if not 0, in place of the scenario's
}

var (
	onlyFull = quickRun{}
	once     = quickRun{rounds: 1}
	always   = quickRun{rounds: 3}
)

// scenarios are all of them, in the order of the page.
var scenarios = []scenario{
	{name: "echo-32", title: "Echo, 32 B", conns: 100, inFlight: 1, size: 32, quick: onlyFull},
	{name: "echo-125", title: "Echo, 125 B", conns: 100, inFlight: 1, size: 125, quick: always},
	{name: "echo-1k", title: "Echo, 1 KiB", conns: 100, inFlight: 1, size: 1 << 10, nethttp: true, quick: onlyFull},
	{name: "echo-16k", title: "Echo, 16 KiB", conns: 100, inFlight: 1, size: 16 << 10, quick: always},
	{name: "echo-64k", title: "Echo, 64 KiB", conns: 100, inFlight: 1, size: 64 << 10, quick: onlyFull},
	{name: "echo-1m", title: "Echo, 1 MiB", conns: 8, inFlight: 1, size: 1 << 20, quick: always},
	{name: "inflight-16", title: "16 in flight, 125 B", conns: 100, inFlight: 16, size: 125, quick: always},
	{name: "text-1k", title: "Text, not ASCII, 1 KiB", conns: 100, inFlight: 1, size: 1 << 10, text: true, quick: always},
	{name: "fragments-8", title: "8 fragments, 1 KiB", conns: 100, inFlight: 1, size: 1 << 10, fragments: 8, quick: once},
	{name: "conns-1000", title: "1,000 connections, 125 B", conns: 1000, inFlight: 1, size: 125, quick: always},
	{name: "conns-10000", title: "10,000 connections, 125 B", conns: 10000, inFlight: 1, size: 125, quick: onlyFull},
	{name: "conns-1000-inflight-16", title: "1,000 connections, 16 in flight", conns: 1000, inFlight: 16, size: 125, quick: onlyFull},
	{name: "blocking", title: "1 % of handlers block", conns: 200, inFlight: 1, size: 125, blocking: 0.01, quick: once},
	{name: "broadcast-1000", title: "Broadcast to 1,000, 125 B", kind: broadcast, conns: 1000, inFlight: 1, size: 125, quick: always},
	{name: "broadcast-1000-inflight-2", title: "Broadcast to 1,000, 2 in flight, 125 B", kind: broadcast, conns: 1000, inFlight: 2, size: 125, quick: onlyFull},
	{name: "broadcast-1000-inflight-16", title: "Broadcast to 1,000, 16 in flight, 125 B", kind: broadcast, conns: 1000, inFlight: 16, size: 125, quick: onlyFull},
	{name: "topics", title: "100 topics of 10 connections, 125 B", kind: broadcast, conns: 1000, topics: 100, inFlight: 1, size: 125, quick: onlyFull},
	{name: "churn", title: "Connect, echo, close", kind: churn, conns: 32, inFlight: 1, cycle: 1, size: 125, quick: always},
	arena("arena-512", "HttpArena: 512 connections, \"hello\"", echo, 512, 1),
	arena("arena-4096", "HttpArena: 4,096 connections, \"hello\"", echo, 4096, 1),
	arena("arena-512-inflight-16", "HttpArena: 512 connections, 16 in flight", echo, 512, 16),
	arena("arena-4096-inflight-16", "HttpArena: 4,096 connections, 16 in flight", echo, 4096, 16),
	arena("arena-512-short", "HttpArena: 512 connections of 10 messages", churn, 512, 1),
	arena("arena-4096-short", "HttpArena: 4,096 connections of 10 messages", churn, 4096, 1),
	{name: "deflate-1k", title: "permessage-deflate, 1 KiB JSON", conns: 100, inFlight: 1, size: 1 << 10, text: true, deflate: true, quick: once},
	{name: "deflate-1k-takeover", title: "permessage-deflate with takeover, 1 KiB JSON", conns: 100, inFlight: 1, size: 1 << 10, text: true, deflate: true, takeover: true, texts: 65, quick: onlyFull},
	{name: "tls-125", title: "Echo over TLS, 125 B", conns: 100, inFlight: 1, size: 125, tls: true, quick: onlyFull},
	{name: "tls-125-conns-1000", title: "Echo over TLS, 1,000 connections, 125 B", conns: 1000, inFlight: 1, size: 125, tls: true, quick: onlyFull},
	{name: "tls-inflight-16", title: "16 in flight over TLS, 125 B", conns: 100, inFlight: 16, size: 125, tls: true, quick: onlyFull},
	{name: "tls-16k", title: "Echo over TLS, 16 KiB", conns: 100, inFlight: 1, size: 16 << 10, tls: true, quick: onlyFull},
	{name: "all-processors", title: "All processors for both, 125 B", conns: 1000, inFlight: 1, size: 125, allCPUs: true, quick: onlyFull},
	{name: "handlers-inflight-16", title: "Handlers that compute, 16 in flight, 125 B", conns: 100, inFlight: 16, size: 125, work: busySteps, quick: onlyFull},
	{name: "handlers-all-processors", title: "Handlers that compute, 16 in flight, all processors for both, 125 B", conns: 100, inFlight: 16, size: 125, work: busySteps, allCPUs: true, quick: onlyFull},
	{name: "idle", title: "Idle connections", kind: idle, conns: 10000, nethttp: true, quick: once},
	{name: "idle-tls", title: "Idle connections over TLS", kind: idle, conns: 6000, tls: true, quick: quickRun{rounds: 1, conns: 1000}},
	idleDeflate("idle-deflate", "Idle connections with full windows", 0),
	idleAlone,
	idleDeflate("idle-deflate-9", "Idle connections with full windows, 9 bits", 9),
	idleDeflate("idle-deflate-12", "Idle connections with full windows, 12 bits", 12),
	idleDeflate("idle-deflate-15", "Idle connections with full windows, 15 bits", 15),
	{name: "client-125", title: "Client, 125 B", kind: client, conns: 1, inFlight: 1, size: 125, quick: always},
	{name: "client-16k", title: "Client, 16 KiB", kind: client, conns: 1, inFlight: 1, size: 16 << 10, quick: onlyFull},
}

// arena is a shape of HttpArena's tests of WebSocket: a text of five bytes. Its
// test of short connections, which has HTTP requests, has ten messages here.
func arena(name, title string, kind kind, conns, inFlight int) scenario {
	s := scenario{name: name, title: title, kind: kind, conns: conns, inFlight: inFlight, size: len(hello), text: true, hello: true, quick: onlyFull}
	if kind == churn {
		s.cycle = 10
	}
	return s
}

const hello = "hello"

// busySteps take about 20 µs.
const busySteps = 10_000

// idleAlone is idleDeflate's exchange without context takeover, for libraries
// that have none.
var idleAlone = scenario{
	name: "idle-deflate-alone", title: "Idle connections after compressed messages, without context takeover",
	kind: idle, conns: 1000, size: 4 << 10, texts: 12, text: true, deflate: true, quick: onlyFull,
}

// idleDeflate is a scenario of connections on which both sides have sent 48 KiB
// of compressed text, more than any window.
func idleDeflate(name, title string, bits int) scenario {
	return scenario{
		name: name, title: title, kind: idle, conns: 1000, size: 4 << 10, texts: 12,
		text: true, deflate: true, takeover: true, windowBits: bits, quick: onlyFull,
	}
}

// Modes.
const (
	Quick = "quick" // about 6 minutes on 2 processors
	Full  = "full"  // everything, about 85 minutes
)

// A plan is how long and how often a scenario is measured.
type plan struct {
	scenario
	rounds   int
	warmup   time.Duration
	duration time.Duration
}

// planned returns s for mode; ok is false if mode does not include it. Positive
// rounds replace the mode's.
func planned(s scenario, mode string, rounds int) (p plan, ok bool) {
	p = plan{s, 5, 300 * time.Millisecond, time.Second}
	if mode == Quick {
		p = plan{s, s.quick.rounds, 100 * time.Millisecond, 350 * time.Millisecond}
		if s.quick.conns > 0 {
			p.conns = s.quick.conns
		}
	}
	switch {
	case s.blocking > 0: // several of the seconds that a handler sleeps
		p.duration = max(p.duration, 2300*time.Millisecond)
	case s.size >= 1<<20: // some hundreds of messages
		p.duration = max(p.duration, 600*time.Millisecond)
	}
	if rounds > 0 {
		p.rounds = rounds
	}
	return p, s.quick.rounds > 0 || mode == Full
}

// estimate is about the time of one run, with the start of the server and the
// opening of the connections.
func (p plan) estimate() time.Duration {
	each := 60 * time.Microsecond
	if p.tls {
		each = 1200 * time.Microsecond
	}
	opening := 150*time.Millisecond + time.Duration(p.conns)*each
	if p.kind == idle {
		exchange := time.Duration(p.conns*p.texts) * 60 * time.Microsecond
		return opening + exchange + 300*time.Millisecond
	}
	return opening + p.warmup + p.duration
}

// limit is the time after which a run that has not finished has failed: on a
// processor with much other work a run of many connections may take forever.
func (p plan) limit() time.Duration { return time.Minute + 20*p.estimate() }

// unit is the counted unit.
func (p plan) unit() string {
	switch p.kind {
	case broadcast:
		return "delivery"
	case churn:
		return "cycle"
	case idle:
		return "connection"
	default:
		return "message"
	}
}

// primary is the figure that peers are compared by.
func (p plan) primary() report.Metric {
	switch {
	case p.kind == idle:
		return report.ConnBytes
	case p.blocking > 0:
		return report.P99
	default:
		return report.CPU
	}
}

// detail describes the scenario in sentences.
func (p plan) detail() string {
	if p.topics > 0 {
		return fmt.Sprintf("%s connections in %d topics. One connection of each topic sends %s, and the server sends each to all of its topic; the next is sent when all have it. A delivery is one message received by one connection.",
			grouped(p.conns), p.topics, p.messages())
	}
	switch p.kind {
	case broadcast:
		return fmt.Sprintf("One connection sends %s, and the server sends each to all %s connections; %s. A delivery is one message received by one connection.",
			p.messages(), grouped(p.conns), ternary(p.inFlight > 1, fmt.Sprintf("%d are on their way at once, and the next is sent when all have the first of them", p.inFlight), "the next is sent when all have it"))
	case churn:
		return fmt.Sprintf("%s at a time connect, have the opening handshake, %s of %s echoed, the closing handshake and the end of TCP, and begin anew. That is a cycle.",
			grouped(p.conns), ternary(p.cycle > 1, fmt.Sprintf("%d messages, one after the other,", p.cycle), "one message"), bytesOf(p.size))
	case idle:
		return fmt.Sprintf("Resident memory of the server's process per connection, for %s%s connections. Each has had %s echoed and is silent since, and the collector has run.%s",
			grouped(p.conns), ternary(p.tls, " TLS", ""), ternary(p.deflate, fmt.Sprintf("%s of JSON in %d texts, compressed with%s context takeover,", bytesOf(p.size*p.texts), p.texts, ternary(p.takeover, "", "out")), "one message"), p.windows())
	case client:
		return fmt.Sprintf("One connection of the library's client to the same minimal server for all; %s there and back, one after the other. The processor time is that of the client's process.", p.messages())
	}
	text := fmt.Sprintf("%s connections, %d message%s of each on the way at once; %s there and back", grouped(p.conns), p.inFlight, ternary(p.inFlight > 1, "s", ""), p.messages())
	if p.fragments > 1 {
		text += fmt.Sprintf(", sent in %d fragments", p.fragments)
	}
	if p.tls {
		text += ", over TLS"
	}
	text += "."
	text += p.windows()
	if p.blocking > 0 {
		text += fmt.Sprintf(" On %d of the connections each message makes the handler sleep for a second; the latencies are those of the others.", blocked(p))
	}
	if p.work > 0 {
		text += fmt.Sprintf(" The handler computes %s steps before each reply, about 20 µs.", grouped(p.work))
	}
	if p.allCPUs {
		text += " Neither server nor load is pinned, so that both compete for the processors."
	}
	return text
}

// windows describes the extension with context takeover as it is offered.
func (p plan) windows() string {
	if !p.takeover {
		return ""
	}
	text := " The offer is that of browsers, permessage-deflate; client_max_window_bits, so that the server may limit both windows: "
	if p.windowBits > 0 {
		text += fmt.Sprintf("here to %d bits.", p.windowBits)
	} else {
		text += "here each has its default."
	}
	return text + " The messages sent refer to no earlier ones, the replies may."
}

func (p plan) messages() string {
	switch {
	case p.takeover:
		return fmt.Sprintf("texts of %s of JSON, %d different ones in turn, compressed with context takeover", bytesOf(p.size), p.texts)
	case p.hello:
		return fmt.Sprintf("texts %q", hello)
	case p.deflate:
		return "texts of " + bytesOf(p.size) + " of JSON, compressed without context takeover"
	case p.text:
		return "texts of " + bytesOf(p.size) + " in Greek, Japanese and emoji"
	}
	return "binary messages of " + bytesOf(p.size)
}

func blocked(p plan) int { return max(1, int(p.blocking*float64(p.conns))) }

func bytesOf(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// grouped writes n with a comma before its thousands.
func grouped(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

func ternary(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}
