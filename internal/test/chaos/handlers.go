package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// action is the handler's reaction to a message.
type action byte

const (
	actNothing   action = iota
	actEcho             // send a message of arg bytes
	actSleep            // for arg microseconds, then echo
	actBlock            // until the round opens its gate, then echo
	actCross            // send to arg other connections
	actBroadcast        // to all connections of the server
	actBurst            // send arg messages of all sizes
	actPush             // send arg messages, each after the previous ones are written
	actFragments        // send a message in arg fragments
	actGoroutine        // send arg messages from another goroutine
	actPing
	actClose         // this connection, with 4000
	actCloseOther    // with 4001
	actCut           // this connection
	actCutOther      //
	actPanic         //
	actGoexit        //
	actPreparedCross // send one prepared message to arg other connections
	actHold          // wait until the round releases all handlers
)

func (a action) String() string {
	return strings.Fields("nothing echo sleep block cross broadcast burst push fragments goroutine ping " +
		"close close-other cut cut-other panic goexit prepared hold")[a]
}

// The codes with which handlers close connections.
const (
	closedItself  wire.StatusCode = 4000
	closedByOther wire.StatusCode = 4001
)

// handlers returns the handlers of a target, by path.
func (t *target) handlers() map[string]*server.Handler {
	common := server.Handler{Open: t.open, Writable: t.drain, Error: t.error, Close: t.close}
	message, partial, serve, hostile := common, common, common, common
	message.Message = t.message
	partial.Message, partial.Partial = t.message, t.partial
	serve.Serve = t.serve
	hostile.Message = t.hostileMessage
	return map[string]*server.Handler{"/message": &message, "/partial": &partial, "/serve": &serve, "/hostile": &hostile}
}

// of returns the connection of an event, nil without Open.
func (t *target) of(c *server.Conn, event string) *conn {
	k, ok := c.Value().(*conn)
	if !ok {
		t.violated(oneLife, nil, "%s", event+" is called for a connection without Open")
		return nil
	}
	k.events++ // without a lock: the race detector finds overlapping events
	return k
}

// during runs the handler of an event and checks the order of events. The
// handler may panic or exit its goroutine.
func (t *target) during(c *server.Conn, event string, do func(c *conn)) {
	k := t.of(c, event)
	if k == nil {
		return
	}
	if err := k.life.enter(event); err != nil {
		t.violated(oneLife, k, "%v", err)
	}
	how := "a handler's runtime.Goexit"
	defer func() {
		if p := recover(); p != nil {
			k.life.leave("a handler's panic")
			panic(p)
		}
		k.life.leave(how)
	}()
	t.fail(k, event)
	do(k)
	how = ""
}

// fail fails in the handler of an event if the peer has requested that.
func (t *target) fail(k *conn, event string) { t.failBy(k, k.trouble[event], event) }

// failBy panics, exits the goroutine or does nothing.
func (t *target) failBy(k *conn, how action, event string) {
	switch how {
	case actPanic:
		t.panics.Add(1)
		k.disturbed.Store(true)
		k.note("server: %s panics", event)
		panic("chaos: requested by the peer, in " + event)
	case actGoexit:
		t.goexits.Add(1)
		k.disturbed.Store(true)
		k.note("server: %s exits its goroutine", event)
		runtime.Goexit()
	}
}

func (t *target) open(c *server.Conn) {
	k := t.find(c.Query())
	if k == nil {
		t.violated(intact, nil, "%s", "the query "+c.Query()+" is of no peer")
		return
	}
	c.SetValue(k)
	k.server.Store(c)
	t.opens.Add(1)
	k.note("server: Open")
	k.rng = t.seed ^ uint64(k.id)
	t.enlist(k)
	t.during(c, "Open", func(k *conn) {})
}

func (t *target) error(c *server.Conn, err error) {
	k := t.of(c, "Error")
	if k == nil {
		return
	}
	k.note("server: Error %v", err)
	if c.Err() != err {
		t.violated(calls, k, "Error is called with %v, Err returns %v", err, c.Err())
	}
	t.during(c, "Error", func(*conn) {})
}

func (t *target) close(c *server.Conn, code wire.StatusCode, reason string) {
	k := t.of(c, "Close")
	if k == nil {
		return
	}
	k.note("server: Close %d %q, %v", code, reason, c.Err())
	t.delist(k)
	t.closes.Add(1)
	defer func() { // also if this handler panics
		k.mu.Lock()
		defer k.mu.Unlock()
		k.ended, k.why = time.Now(), c.Err()
	}()
	t.during(c, "Close", func(k *conn) {
		var failed *server.FailError
		var lost *server.LostError
		want := errors.As(c.Err(), &failed) || errors.As(c.Err(), &lost)
		if got := k.life.hadError(); want != got {
			t.violated(oneLife, k, "the connection has ended by %v, and Error was called: %v", c.Err(), got)
		}
	})
}

func (t *target) drain(c *server.Conn) {
	t.during(c, "Writable", func(k *conn) {
		t.drains.Add(1)
		if k.style != "/serve" { // its messages arrive on another goroutine
			t.push(k)
		}
	})
}

func (t *target) message(c *server.Conn, op wire.Opcode, p []byte) {
	t.during(c, "Message", func(k *conn) { t.receive(k, op, p) })
}

func (t *target) partial(c *server.Conn, op wire.Opcode, p []byte, final bool) {
	t.during(c, "Partial", func(k *conn) {
		k.partial = append(k.partial, p...)
		if final {
			whole := k.partial
			k.partial = nil
			t.receive(k, op, whole)
		}
	})
}

func (t *target) serve(c *server.Conn) {
	k := c.Value().(*conn)
	k.mu.Lock()
	k.serving = true
	k.mu.Unlock()
	t.serving.Add(1)
	defer func() {
		k.note("server: Serve ends")
		k.mu.Lock()
		k.serving = false
		k.mu.Unlock()
		t.serving.Add(-1)
	}()
	t.fail(k, "Serve")
	var buf []byte
	for {
		if k.next(3) > 0 {
			m, err := c.Receive(context.Background())
			if err != nil {
				k.note("server: Receive %v", err)
				return
			}
			t.receive(k, m.Opcode, m.Payload)
			continue
		}
		op, p, err := c.ReceiveInto(context.Background(), buf[:0])
		if err != nil {
			k.note("server: ReceiveInto %v", err)
			return
		}
		t.receive(k, op, p)
		buf = p
	}
}

// next returns a random number below n, on the handlers' side.
func (k *conn) next(n int) int {
	k.rng = k.rng*6364136223846793005 + 1442695040888963407
	return int((k.rng >> 33) % uint64(n))
}

// receive checks a message and executes its action.
func (t *target) receive(k *conn, op wire.Opcode, p []byte) {
	m, err := parse(p)
	if err == nil {
		err = k.received.check(m)
	}
	if err != nil {
		t.violated(intact, k, "a handler has received: %v", err)
		return
	}
	if op != opcodeOf(m.seq) {
		t.violated(intact, k, "a handler has received message %d as %v", m.seq, op)
	}
	k.handled.Add(1)
	t.handled.Add(1)
	if m.action != actEcho {
		k.note("server: message %d: %v %d", m.seq, m.action, m.arg)
	}
	t.do(k, m)
	if _, err := parse(p); err != nil {
		t.violated(intact, k, "the payload of message %d has changed while the handler was running: %v", m.seq, err)
	}
}

// opcodeOf returns the type of a message by its number, in both directions.
func opcodeOf(seq uint32) wire.Opcode {
	if seq%3 == 0 {
		return wire.Text
	}
	return wire.Binary
}

// do executes the action of a message.
func (t *target) do(k *conn, m message) {
	c := k.server.Load()
	switch m.action {
	case actEcho:
		t.send(k, k.id, int(m.arg))
	case actSleep:
		time.Sleep(time.Duration(m.arg) * time.Microsecond)
		t.send(k, k.id, 60)
	case actBlock:
		<-t.gate()
		t.send(k, k.id, 60)
	case actHold:
		t.holds.Add(1)
		<-t.held
	case actCross:
		for range m.arg {
			if to := t.other(k); to != nil {
				t.send(to, k.id, 50+k.next(2000))
			}
		}
		t.send(k, k.id, 60)
	case actPreparedCross:
		for range m.arg {
			if to := t.other(k); to != nil {
				t.sendBy(to, k.id, 50+k.next(500), func(c *server.Conn, op wire.Opcode, p []byte) error {
					prepared, err := server.Prepare(op, p)
					if err != nil {
						return err
					}
					return c.SendPrepared(prepared)
				})
			}
		}
		t.send(k, k.id, 60)
	case actBroadcast:
		t.broadcast(k)
		t.send(k, k.id, 60)
	case actBurst:
		for i := range m.arg {
			size := sizes[(int(m.seq)+int(i))%len(sizes)]
			if !t.send(k, k.id, size) {
				return
			}
		}
	case actPush:
		k.pushes += int(m.arg)
		t.push(k)
	case actFragments:
		k.fragments.Store(true)
		t.sendBy(k, k.id, 100+k.next(5000), func(c *server.Conn, op wire.Opcode, p []byte) error { return fragments(c, op, p, int(m.arg)) })
	case actGoroutine:
		n := int(m.arg)
		t.helpers.Go(func() {
			k.fromGoroutine.Lock()
			defer k.fromGoroutine.Unlock()
			for range n {
				if !t.send(k, k.id|fromGoroutine, 100) {
					return
				}
			}
		})
		t.send(k, k.id, 60)
	case actPing:
		_ = c.SendPing([]byte("chaos"))
		t.send(k, k.id, 60)
	case actClose:
		k.disturbed.Store(true)
		_ = c.Close(closedItself, "requested by the peer")
	case actCut:
		k.disturbed.Store(true)
		c.CloseNow()
	case actCloseOther, actCutOther:
		if to := t.victim(k); to != nil {
			to.disturbed.Store(true)
			to.note("server: connection %d does %v", k.id, m.action)
			if m.action == actCutOther {
				to.server.Load().CloseNow()
			} else {
				_ = to.server.Load().Close(closedByOther, "")
			}
		}
		t.send(k, k.id, 60)
	case actPanic, actGoexit:
		t.failBy(k, m.action, "a message")
	}
}

// sizes are those of a burst, in bytes: around the limits of frame headers and
// of control frames, and larger than a socket buffer.
var sizes = []int{headSize, 125, 126, 127, 128, 60, 1000, 4096, 60, 65535, 65536, 50, 20000, 100, 100000, 127}

// push sends the messages of actPush while the backlog is empty.
func (t *target) push(k *conn) {
	for c := k.server.Load(); k.pushes > 0 && (c.Buffered() == 0 || k.style == "/serve"); k.pushes-- {
		if !t.send(k, k.id, 30000) {
			k.pushes = 0
			return
		}
	}
}

// fragments sends p as n fragments.
func fragments(c *server.Conn, op wire.Opcode, p []byte, n int) error {
	for i := range n {
		size := len(p) / (n - i)
		if err := c.SendFragment(op, p[:size], i == n-1); err != nil {
			return err
		}
		p, op = p[size:], wire.Continuation
	}
	return nil
}

// send sends the next message of a stream and reports whether the connection is
// still usable.
func (t *target) send(to *conn, source uint32, size int) bool {
	return t.sendBy(to, source, size, (*server.Conn).Send)
}

// sendBy is send with another function. A stream has one sender at a time.
func (t *target) sendBy(to *conn, source uint32, size int, by func(*server.Conn, wire.Opcode, []byte) error) bool {
	c := to.server.Load()
	to.mu.Lock()
	seq, over := to.sent[source], to.over
	began := time.Now()
	to.sending[source] = began
	to.mu.Unlock()
	err := by(c, opcodeOf(seq), message{source: source, seq: seq}.append(nil, size))
	to.mu.Lock()
	delete(to.sending, source)
	if err == nil {
		to.sent[source]++
	} else if errors.Is(err, net.ErrClosed) && to.over == nil {
		to.over = err
	}
	to.mu.Unlock()
	t.sends.Add(1)
	var full *server.BacklogError
	switch {
	case err == nil && over != nil:
		to.once("over", func() { t.violated(calls, to, "Send has succeeded after an earlier one had returned %v", over) })
	case err == nil:
		return true
	case errors.Is(err, server.ErrMessageUnfinished):
		return true
	case errors.As(err, &full) && full.Dropped:
		if policy := to.target.policy; policy != server.SlowDropNewest {
			t.violated(calls, to, "Send has returned %v with %v", err, policyNames[policy])
		}
		return true
	case errors.Is(err, net.ErrClosed):
	default:
		t.violated(calls, to, "Send has returned %v (%T)", err, err)
	}
	return false
}

// broadcast sends a message to all connections of the server.
func (t *target) broadcast(k *conn) {
	source := k.id | broadcast
	t.broadcastMu.Lock()
	seq := t.broadcasts[source]
	t.broadcasts[source]++
	t.broadcastMu.Unlock()
	if err := t.srv.Broadcast(opcodeOf(seq), message{source: source, seq: seq}.append(nil, 50+k.next(1000))); err != nil {
		t.violated(calls, k, "Broadcast has returned %v", err)
	}
}

// other returns a random other connection of the round to which handlers send,
// nil if there is none.
func (t *target) other(k *conn) *conn {
	return t.pick(k, func(o *conn) bool { return !o.isolated })
}

// victim returns a random other connection that may be closed.
func (t *target) victim(k *conn) *conn {
	return t.pick(k, func(o *conn) bool { return !o.exempt && !o.isolated })
}

func (r *round) pick(k *conn, may func(*conn) bool) *conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range 8 {
		if len(r.open) == 0 {
			return nil
		}
		if o := r.open[k.next(len(r.open))]; o != k && may(o) {
			return o
		}
	}
	return nil
}

// newRand returns the random numbers of a part of the run.
func newRand(seed uint64, part uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, part)) }
