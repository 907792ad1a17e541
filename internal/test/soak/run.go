package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/fibersock/fibersock/internal/test/testcert"
)

// remote is the target, as the load sees it.
type remote struct {
	in      io.WriteCloser
	answers *bufio.Scanner
	wait    func() error
}

// startTarget starts the measured process.
func startTarget() (*remote, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-target")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return newRemote(in, out, cmd.Wait), nil
}

func newRemote(in io.WriteCloser, out io.Reader, wait func() error) *remote {
	answers := bufio.NewScanner(out)
	answers.Buffer(nil, 1<<20)
	return &remote{in, answers, wait}
}

// call sends a line, and reads the answer into v.
func (r *remote) call(line string, v any) error {
	if _, err := io.WriteString(r.in, line+"\n"); err != nil {
		return err
	}
	if !r.answers.Scan() {
		return errors.Join(errors.New("the target does not answer"), r.answers.Err())
	}
	return json.Unmarshal(r.answers.Bytes(), v)
}

// row is a line of the table.
type row struct {
	At time.Duration
	sample
	PerSecond float64 // messages, in both directions
	P99       time.Duration
}

// result has the samples and the counters of a run.
type result struct {
	options
	start, end sample // without connections
	rows       []row
	attacks    uint64
	unended    uint64
	lost       uint64
	failures   map[string]int
}

// run soaks, prints a line for each sample, and reports whether usage was flat.
func run(ctx context.Context, o options, out io.Writer) (flat bool, err error) {
	target, err := startTarget()
	if err != nil {
		return false, err
	}
	res, err := soak(ctx, o, target, out)
	if err != nil {
		return false, errors.Join(err, target.in.Close(), target.wait())
	}
	if _, err := io.WriteString(target.in, cmdStop+"\n"); err != nil {
		return false, err
	}
	if err := target.wait(); err != nil {
		return false, fmt.Errorf("the target failed: %w", err)
	}
	faults := res.faults()
	for _, fault := range faults {
		fmt.Fprintln(out, "NOT FLAT:", fault)
	}
	if len(faults) == 0 {
		fmt.Fprintln(out, "flat")
	}
	if o.out != "" {
		err = os.WriteFile(o.out, []byte(res.markdown(faults)), 0o644)
	}
	return len(faults) == 0, err
}

// soak runs the load against the target.
func soak(ctx context.Context, o options, target *remote, out io.Writer) (*result, error) {
	cert, pool, err := testcert.New("127.0.0.1")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	certFile, keyFile, err := testcert.Files(dir, cert)
	if err != nil {
		return nil, err
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	c := &load{secure: trusting(pool), cert: cert, failures: make(map[string]int)}
	first := startRequest{CertFile: certFile, KeyFile: keyFile, Clients: o.conns * clientsPerThousand / 1000}
	for _, secure := range []bool{false, true} {
		a, err := c.hostileServer(ctx, secure)
		if err != nil {
			return nil, err
		}
		first.HostileServers = append(first.HostileServers, a)
	}
	text, err := json.Marshal(first)
	if err != nil {
		return nil, err
	}
	if err := target.call(string(text), &c.addresses); err != nil {
		return nil, err
	}
	res := &result{options: o}
	if err := target.call(cmdIdle, &res.start); err != nil {
		return nil, err
	}
	if err := res.watch(ctx, c, target, out); err != nil {
		return nil, err
	}
	leave()
	c.all.Wait()
	if err := res.awaitIdle(target); err != nil {
		return nil, err
	}
	res.attacks, res.unended, res.lost = c.attacks.Load(), c.unended.Load(), c.lost.Load()
	res.failures = c.errorCounts()
	return res, nil
}

// watch starts the load and takes samples.
func (res *result) watch(ctx context.Context, c *load, target *remote, out io.Writer) error {
	began := time.Now()
	go c.start(ctx, res.conns, min(res.time/10, time.Minute))
	fmt.Fprint(out, tableHead)
	ticker := time.NewTicker(res.interval())
	defer ticker.Stop()
	last, lastAt := res.start, began
	for time.Since(began) < res.time {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		now := row{At: time.Since(began)}
		_, _, now.P99 = c.took.Take()
		if err := target.call(cmdSample, &now.sample); err != nil {
			return err
		}
		now.PerSecond = float64(now.Messages-last.Messages) / time.Since(lastAt).Seconds()
		last, lastAt = now.sample, time.Now()
		res.rows = append(res.rows, now)
		fmt.Fprint(out, now)
	}
	return nil
}

// awaitIdle waits until the target's usage is as at the start, at most twice
// patience.
func (res *result) awaitIdle(target *remote) error {
	if err := target.call(cmdStopClients, &res.end); err != nil {
		return err
	}
	for deadline := time.Now().Add(2 * patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err := target.call(cmdSample, &res.end); err != nil {
			return err
		}
		if res.end.Open == 0 && res.end.Goroutines <= res.start.Goroutines && res.end.Files <= res.start.Files {
			break
		}
	}
	return nil
}
