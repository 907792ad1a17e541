package runner

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fibersock/fibersock/bench/internal/load"
	"github.com/fibersock/fibersock/bench/internal/report"
	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/wire"
)

const (
	maxMessage   = 32 << 20
	spareFiles   = 64  // descriptors of a process that are not connections
	settled      = 100 // most that are opened before the idle connections are counted, so that one-time allocations are not
	collectTwice = 2   // the second collection frees the garbage of pools
)

// run measures plan once for one peer, with a new server.
func (b *Bench) run(ctx context.Context, p plan, peer *peer) (report.Figures, error) {
	if p.kind == client {
		return b.runClient(ctx, p, peer)
	}
	if err := b.checkLimits(p); err != nil {
		return nil, err
	}
	server, err := b.startServer(ctx, p, peer)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	m := &measurement{server: server, figures: report.Figures{}}
	if p.kind == idle {
		err = m.hold(ctx, p, b.tlsConfig(p))
	} else {
		err = m.move(ctx, b, p)
	}
	if err == nil {
		err = m.err
	}
	if err != nil {
		return nil, errors.Join(err, server.fault())
	}
	m.atTheEnd()
	return m.figures, nil
}

// checkLimits finds a limit of the system that p's connections exceed.
func (b *Bench) checkLimits(p plan) error {
	conns := p.conns + settled
	if most := b.files - spareFiles; b.files > 0 && conns > most {
		return &absentError{fmt.Sprintf("%d connections exceed the %d open files of a process (ulimit -n)", conns, b.files)}
	}
	if b.ports > 0 && conns > b.ports {
		return &absentError{fmt.Sprintf("%d connections exceed the %d local ports (net.ipv4.ip_local_port_range)", conns, b.ports)}
	}
	return nil
}

func (b *Bench) startServer(ctx context.Context, p plan, peer *peer) (*process, error) {
	args := []string{fmt.Sprintf("-max-message=%d", maxMessage)}
	if p.tls {
		args = append(args, "-cert="+b.cert, "-key="+b.key)
	}
	if p.deflate {
		args = append(args, "-deflate")
	}
	if p.takeover {
		args = append(args, "-takeover")
	}
	if p.windowBits > 0 {
		args = append(args, fmt.Sprintf("-window-bits=%d", p.windowBits))
	}
	if p.work > 0 {
		args = append(args, fmt.Sprintf("-work=%d", p.work))
	}
	switch {
	case p.topics > 0:
		args = append(args, "-topics")
	case p.kind == broadcast:
		args = append(args, "-broadcast")
	}
	server, err := start(ctx, b.serverProcessors(p), peer.path, args...)
	if undefined, ok := errors.AsType[*undefinedFlagError](err); ok && peer.Kind == report.Before {
		err = &absentError{undefined.flag + ": not there at that commit"}
	}
	return server, err
}

// serverProcessors returns the processors for the server of p.
func (b *Bench) serverProcessors(p plan) []int {
	if p.allCPUs {
		return b.all
	}
	return b.division.server
}

// A measurement has the readings at both ends of the measured time, and the
// figures.
type measurement struct {
	server        *process
	before, after usage
	had           chan serve.Stats
	has           serve.Stats
	count         float64 // the figures of the scenario's unit
	figures       report.Figures
	err           error // of a hook, which cannot return one
}

// begin is called after the warm-up. Processor time is read first at both ends.
// The allocations are requested in parallel to the load, which does not wait
// for the answer.
func (m *measurement) begin() {
	m.before, m.err = readUsage(m.server.cmd.Process.Pid)
	if errors.Is(m.err, errors.ErrUnsupported) {
		m.err = nil
	}
	m.had = make(chan serve.Stats, 1)
	go func() {
		var s serve.Stats
		_ = m.server.ask("stats", &s) // a server that cannot answer cannot echo, and load reports that
		m.had <- s
	}()
}

// finish is called at the end of the measured time.
func (m *measurement) finish() {
	var err error
	if m.after, err = readUsage(m.server.cmd.Process.Pid); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		m.err = errors.Join(m.err, err)
	}
	had := <-m.had
	m.err = errors.Join(m.err, m.server.ask("stats", &m.has))
	m.has.Mallocs -= had.Mallocs
	m.has.AllocBytes -= had.AllocBytes
}

// move runs a load that sends.
func (m *measurement) move(ctx context.Context, b *Bench, p plan) error {
	result, err := b.load(ctx, p, m)
	if err != nil {
		return err
	}
	if result.Messages == 0 {
		return errors.New("nothing was answered in the measured time")
	}
	if p.primary() == report.P99 && result.Latency.Count() == 0 {
		return fmt.Errorf("blocked handlers delayed all others: no message sent in %v was answered in time", p.duration)
	}
	m.count = float64(result.Messages)
	m.rate(result, len(b.serverProcessors(p)))
	m.allocations()
	return nil
}

func (b *Bench) load(ctx context.Context, p plan, m *measurement) (*load.Result, error) {
	c := load.Config{
		Addr: m.server.hello.Listening, TLS: b.tlsConfig(p), Conns: p.conns, InFlight: p.inFlight, Payload: p.payload(), Fragments: p.fragments,
		Payloads: p.payloads(), PerConn: p.cycle, Topics: min(p.topics, p.conns), Warmup: p.warmup, Duration: p.duration, Deflate: p.deflate, Takeover: p.takeover, Blocking: p.blocking, Start: m.begin, Stop: m.finish,
	}
	if p.text {
		c.Opcode = wire.Text
	}
	switch p.kind {
	case broadcast:
		return load.Broadcast(ctx, c)
	case churn:
		return load.Churn(ctx, c)
	default:
		return load.Echo(ctx, c)
	}
}

// rate sets the figures that follow from the load's result and the processor
// time.
func (m *measurement) rate(result *load.Result, processors int) {
	f, elapsed := m.figures, result.Elapsed.Seconds()
	f[report.Messages] = m.count
	f[report.Seconds] = elapsed
	f[report.Rate] = m.count / elapsed
	f[report.P50] = micros(result.Latency.Quantile(0.5))
	f[report.P99] = micros(result.Latency.Quantile(0.99))
	f[report.P999] = micros(result.Latency.Quantile(0.999))
	if result.ClientCPU > 0 {
		f[report.LoadBusy] = result.ClientCPU.Seconds() / elapsed
	}
	if m.after.user+m.after.system > 0 || m.after.threads != nil {
		user, system := m.after.since(m.before)
		m.processorTime(user, system)
		f[report.Busy] = (user + system).Seconds() / elapsed / float64(max(processors, 1))
	}
}

func (m *measurement) processorTime(user, system time.Duration) {
	m.figures[report.CPUUser] = float64(user) / m.count
	m.figures[report.CPUSystem] = float64(system) / m.count
	m.figures[report.CPU] = float64(user+system) / m.count
	if user+system > 0 {
		m.figures[report.EER] = m.count / ((user + system).Seconds() * 100)
	}
}

// allocations sets the figures of Go's heap, if the server has one.
func (m *measurement) allocations() {
	if m.has.Goroutines > 0 {
		m.figures[report.Allocs] = float64(m.has.Mallocs) / m.count
		m.figures[report.AllocBytes] = float64(m.has.AllocBytes) / m.count
	}
}

// atTheEnd sets the figures that are known after the run: memory and, on some
// systems, processor time.
func (m *measurement) atTheEnd() {
	if rss, err := readRSS(m.server.cmd.Process.Pid); err == nil {
		if _, there := m.figures[report.RSS]; !there {
			m.figures[report.RSS] = float64(rss)
		}
	}
	if _, there := m.figures[report.CPU]; there || m.count == 0 {
		return
	}
	m.server.stop()
	state := m.server.cmd.ProcessState
	m.processorTime(state.UserTime(), state.SystemTime())
}

// hold measures the memory of idle connections. Each has had one message
// echoed, or all of p's different ones, so that nothing is left to be set up
// later.
func (m *measurement) hold(ctx context.Context, p plan, config *tls.Config) error {
	few, err := m.open(ctx, p, config, min(settled, p.conns))
	if err != nil {
		return err
	}
	defer few.Close()
	without, heapWithout, err := m.memory()
	if err != nil {
		return err
	}
	begun := time.Now()
	many, err := m.open(ctx, p, config, p.conns)
	if err != nil {
		return err
	}
	defer many.Close()
	m.figures[report.Seconds] = time.Since(begun).Seconds()
	with, heapWith, err := m.memory()
	if err != nil {
		return err
	}
	n := float64(p.conns)
	m.figures[report.Messages] = n
	m.figures[report.RSS] = with
	m.figures[report.ConnBytes] = (with - without) / n
	if heapWith > 0 {
		m.figures[report.ConnHeapBytes] = (heapWith - heapWithout) / n
	}
	return many.Verify(ctx)
}

func (m *measurement) open(ctx context.Context, p plan, config *tls.Config, n int) (*load.Held, error) {
	held, err := load.Hold(ctx, load.Config{
		Addr: m.server.hello.Listening, TLS: config, Conns: n, Payloads: p.payloads(), Deflate: p.deflate, Takeover: p.takeover,
	})
	if err != nil {
		return nil, err
	}
	for i := range max(p.texts, 1) {
		if err := held.Verify(ctx); err != nil {
			held.Close()
			return nil, fmt.Errorf("message %d of %d: %w", i+1, max(p.texts, 1), err)
		}
	}
	return held, nil
}

// memory returns the server's resident memory and its Go heap after collection;
// the latter is 0 if it has none.
func (m *measurement) memory() (rss, heap float64, err error) {
	for range collectTwice {
		if err := m.server.ask("gc", new(struct{})); err != nil {
			return 0, 0, err
		}
	}
	resident, err := readRSS(m.server.cmd.Process.Pid)
	if errors.Is(err, errors.ErrUnsupported) {
		return 0, 0, &absentError{"resident memory can be read on Linux only"}
	}
	if err != nil {
		return 0, 0, err
	}
	var s serve.Stats
	err = m.server.ask("stats", &s)
	return float64(resident), float64(s.HeapBytes), err
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// payload returns the payload of p, always the same.
func (p plan) payload() []byte {
	switch {
	case p.deflate:
		return records(0, p.size)
	case p.hello:
		return []byte(hello)
	case p.text:
		return load.Text(p.size)
	}
	// Bytes without a pattern.
	b := make([]byte, p.size)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// payloads returns the different payloads of p, none if there is one only. No
// record is in two of them.
func (p plan) payloads() (list [][]byte) {
	for i := range p.texts {
		list = append(list, records(i*p.size/minRecord, p.size))
	}
	return list
}

// minRecord is less than the size of a record, in bytes.
const minRecord = 64

// records returns size bytes of JSON with the repetition that such messages
// have, from a record on.
func records(from, size int) []byte {
	b := []byte(`[`)
	for i := from; len(b) < size; i++ {
		b = fmt.Appendf(b, `{"id":%d,"user":"user-%d","active":%t,"score":%d.%02d,"tags":["blue","fast"]},`, 1000+i*37, i*i%97, i%3 == 0, i*7919%1000, i*31%100)
	}
	return slices.Clip(b[:size])
}
