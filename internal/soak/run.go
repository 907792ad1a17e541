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
)

// remote is the subject, as the crowd sees it.
type remote struct {
	in      io.WriteCloser
	answers *bufio.Scanner
	wait    func() error
}

// startSubject starts the process that is measured.
func startSubject() (*remote, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-subject")
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

// tell sends a line, and reads the answer into v.
func (r *remote) tell(line string, v any) error {
	if _, err := io.WriteString(r.in, line+"\n"); err != nil {
		return err
	}
	if !r.answers.Scan() {
		return errors.Join(errors.New("the subject does not answer"), r.answers.Err())
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

// result is all that is known at the end.
type result struct {
	options
	start, end sample // without any connection
	rows       []row
	attacks    uint64
	endless    uint64
	unlucky    uint64
	troubles   map[string]int
}

// run soaks, prints a line for each sample, and says at the end whether all was
// flat.
func run(ctx context.Context, o options, out io.Writer) (flat bool, err error) {
	subject, err := startSubject()
	if err != nil {
		return false, err
	}
	res, err := soak(ctx, o, subject, out)
	if err != nil {
		return false, errors.Join(err, subject.in.Close(), subject.wait())
	}
	if _, err := io.WriteString(subject.in, cmdStop+"\n"); err != nil {
		return false, err
	}
	if err := subject.wait(); err != nil {
		return false, fmt.Errorf("the subject does not end well: %w", err)
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

// soak has the crowd and the subject together for as long as it takes.
func soak(ctx context.Context, o options, subject *remote, out io.Writer) (*result, error) {
	id, err := newIdentity()
	if err != nil {
		return nil, err
	}
	cert, pool, err := id.load()
	if err != nil {
		return nil, err
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	c := &crowd{secure: trusting(pool), cert: cert, trouble: make(map[string]int)}
	first := order{Identity: id, Visitors: o.conns * visitorsPerThousand / 1000}
	for _, secure := range []bool{false, true} {
		den, err := c.den(ctx, secure)
		if err != nil {
			return nil, err
		}
		first.Dens = append(first.Dens, den)
	}
	text, err := json.Marshal(first)
	if err != nil {
		return nil, err
	}
	if err := subject.tell(string(text), &c.targets); err != nil {
		return nil, err
	}
	res := &result{options: o}
	if err := subject.tell(cmdIdle, &res.start); err != nil {
		return nil, err
	}
	if err := res.watch(ctx, c, subject, out); err != nil {
		return nil, err
	}
	leave()
	c.all.Wait()
	if err := res.aftermath(subject); err != nil {
		return nil, err
	}
	res.attacks, res.endless, res.unlucky = c.attacks.Load(), c.endless.Load(), c.unlucky.Load()
	res.troubles = c.troubles()
	return res, nil
}

// watch lets the crowd come and takes samples.
func (res *result) watch(ctx context.Context, c *crowd, subject *remote, out io.Writer) error {
	began := time.Now()
	go c.arrive(ctx, res.conns, min(res.time/10, time.Minute))
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
		if err := subject.tell(cmdSample, &now.sample); err != nil {
			return err
		}
		now.PerSecond = float64(now.Messages-last.Messages) / time.Since(lastAt).Seconds()
		last, lastAt = now.sample, time.Now()
		res.rows = append(res.rows, now)
		fmt.Fprint(out, now)
	}
	return nil
}

// aftermath waits until the subject is as it was at the start, or that does not
// come.
func (res *result) aftermath(subject *remote) error {
	if err := subject.tell(cmdLeave, &res.end); err != nil {
		return err
	}
	for deadline := time.Now().Add(2 * patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err := subject.tell(cmdSample, &res.end); err != nil {
			return err
		}
		if res.end.Open == 0 && res.end.Goroutines <= res.start.Goroutines && res.end.Files <= res.start.Files {
			break
		}
	}
	return nil
}
