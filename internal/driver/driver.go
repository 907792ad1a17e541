// Package driver takes our client through the cases of a fuzzing server, in the way that is common to the test drivers
// of the Autobahn TestSuite: /getCaseCount, /runCase for each case, /updateReports. It works with any server that
// knows these, the original as well.
package driver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/wire"
)

// A Driver is our client as the peer under test.
type Driver struct {
	URL    string         // of the fuzzing server; a path is taken as the part that its resources have in common
	Agent  string         // the name of the client in the server's reports
	Config *client.Config // how the client dials; nil is right for most

	// Parallel is how many cases run at the same time; 0 is 1, as fuzzing servers know it.
	Parallel int

	// Shutdown asks the server to end after the reports. A server that hangs up instead of answering
	// that request has ended, as the Autobahn TestSuite does.
	Shutdown bool

	// Count, if it is set, is called with the number of cases before the first of them, Ran after each of them, one
	// call after the other.
	Count func(cases int)
	Ran   func()
}

// NotACountError reports an answer to /getCaseCount that is not a number of cases.
type NotACountError struct{ Answer string }

func (e *NotACountError) Error() string {
	return fmt.Sprintf("websocket: the server answers /getCaseCount with %.40q, which is not a number of cases", e.Answer)
}

// Run takes the client through all cases that the server has, and asks for the reports. However the connection of a
// case ends is the server's to judge and no error. The error is that of ctx, that of client.Dial if the server cannot
// be reached, or a *NotACountError.
func (d *Driver) Run(ctx context.Context) error {
	count, err := d.count(ctx)
	if err != nil {
		return err
	}
	if d.Count != nil {
		d.Count(count)
	}
	if err := d.runAll(ctx, count); err != nil {
		return err
	}
	return d.updateReports(ctx)
}

// count asks for the number of cases.
func (d *Driver) count(ctx context.Context) (int, error) {
	var answer []byte
	err := d.visit(ctx, "getCaseCount", nil, func(_ *client.Conn, _ wire.Opcode, p []byte) { answer = bytes.Clone(p) })
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(answer))
	if err != nil || n < 0 {
		return 0, &NotACountError{string(answer)}
	}
	return n, nil
}

// runAll runs the cases from 1 to count.
func (d *Driver) runAll(ctx context.Context, count int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		workers sync.WaitGroup
		taken   atomic.Int64
		ran     sync.Mutex
	)
	for range min(max(d.Parallel, 1), count) {
		workers.Go(func() {
			for n := int(taken.Add(1)); n <= count && ctx.Err() == nil; n = int(taken.Add(1)) {
				if err := d.runCase(ctx, n); err != nil {
					cancel(err)
					return
				}
				if d.Ran != nil {
					ran.Lock()
					d.Ran()
					ran.Unlock()
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// runCase echoes what comes in the case with the number n.
func (d *Driver) runCase(ctx context.Context, n int) error {
	query := url.Values{"case": {strconv.Itoa(n)}, "agent": {d.Agent}}
	return d.visit(ctx, "runCase", query, func(c *client.Conn, op wire.Opcode, p []byte) {
		c.Send(op, p) // an error is the connection's end, which visit sees too
	})
}

// updateReports asks for the reports and waits until they are there.
func (d *Driver) updateReports(ctx context.Context) error {
	query := url.Values{"agent": {d.Agent}}
	if d.Shutdown {
		query.Set("shutdownOnComplete", "true")
	}
	err := d.visit(ctx, "updateReports", query, func(*client.Conn, wire.Opcode, []byte) {})
	if d.Shutdown && ctx.Err() == nil && hungUp(err) {
		return nil
	}
	return err
}

// hungUp reports whether err says that a server ended the connection without an HTTP response.
func hungUp(err error) bool {
	var refused *client.HandshakeError
	var network *net.OpError
	switch {
	case errors.As(err, &refused) && refused.Response != nil:
		return false
	case errors.As(err, &network):
		return network.Op == "read"
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// visit connects to a resource and calls message for all that comes, with a payload that is only valid during the call,
// until the connection ends.
func (d *Driver) visit(ctx context.Context, resource string, query url.Values, message func(*client.Conn, wire.Opcode, []byte)) error {
	address := strings.TrimSuffix(d.URL, "/") + "/" + resource
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	c, err := client.Dial(ctx, address, d.Config)
	if err != nil {
		return err
	}
	// Only an interrupted connection is cut: the others go through the end of the closing handshake by themselves.
	stop := context.AfterFunc(ctx, func() { c.CloseNow() })
	defer stop()
	var buf []byte
	for {
		op, p, err := c.ReceiveInto(context.Background(), buf[:0])
		if err != nil {
			return ctx.Err()
		}
		message(c, op, p)
		buf = p
	}
}
