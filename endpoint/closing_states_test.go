package endpoint

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// removeTransition mutates the table, so that one can see the test fail:
//
//	go test ./endpoint -run TestEveryState -remove closeSent/peerClose
var removeTransition = flag.String("remove", "", "transition that TestEveryState removes from the table, as state/event")

var (
	stateNames = [endStates]string{"open", "closeSent", "writeBroken", "closed"}
	eventNames = [closeEvents]string{"localClose", "peerClose", "failure", "writeFailed", "transportClosed", "aborted"}
)

// Every reachable state of an endpoint's end, under every event, up to the
// fixpoint, keeps the invariants of world.check (6455-5.5.1-f, 6455-7.1.2-b,
// 6455-7.1.7-b, T-H15).
func TestEveryState(t *testing.T) {
	if *removeTransition != "" {
		state, event, _ := strings.Cut(*removeTransition, "/")
		i, k := slices.Index(stateNames[:], state), slices.Index(eventNames[:], event)
		if i < 0 || k < 0 || transitions[i][k] == (transition{}) {
			t.Fatalf("-remove %s: no such transition", *removeTransition)
		}
		before := transitions[i][k]
		transitions[i][k] = transition{}
		defer func() { transitions[i][k] = before }()
	}
	kinds := transportKinds[:]
	if testing.Short() {
		kinds = kinds[:1]
	}
	for _, kind := range kinds {
		states, used, fault := explore(t, kind)
		check.Equal(t, fault, "", "%s", kind)
		t.Logf("%s: %d states", kind, states)
		for i := range transitions {
			for k, entry := range transitions[i] {
				if entry != (transition{}) && !used[i][k] && fault == "" {
					t.Errorf("%s: %s/%s never happened", kind, stateNames[i], eventNames[k])
				}
			}
		}
	}
}

// TestEveryState fails without any one of the transitions, without any one of
// the Close frames, and with one more.
func TestEveryTransitionIsNeeded(t *testing.T) {
	for i := range transitions {
		for k, entry := range transitions[i] {
			mutants := map[string]transition{}
			if entry != (transition{}) {
				mutants["no transition"] = transition{}
			}
			if entry.close {
				mutants["no Close"] = transition{next: entry.next}
			} else if entry != (transition{}) && endState(i) != writeBroken && slices.Contains([]closeEvent{peerClose, failure, aborted}, closeEvent(k)) {
				mutants["a Close"] = transition{next: entry.next, close: true} // after the other events no frame can be written
			}
			for name, mutant := range mutants {
				t.Run(stateNames[i]+"/"+eventNames[k]+"/"+name, func(t *testing.T) {
					transitions[i][k] = mutant
					defer func() { transitions[i][k] = entry }()
					var noticed []string
					for _, kind := range transportKinds {
						if _, _, fault := explore(t, kind); fault != "" {
							noticed = append(noticed, fault)
							break
						}
					}
					if noticed == nil {
						t.Error("no check failed")
					}
				})
			}
		}
	}
}

// transportKinds are the ways in which a transport can be slow.
var transportKinds = []string{"Backpressure", "blocking writes", "blocking writes with Background"}

// explore visits all states of an endpoint over a transport of a kind. It
// returns their number, the transitions that happened, and the first violation.
func explore(t *testing.T, kind string) (states int, used [endStates][closeEvents]bool, fault string) {
	type visit struct{ path, possible []string }
	seen := map[string]bool{}
	visits := []visit{{nil, worldEvents}}
	for len(visits) > 0 {
		at := visits[0]
		visits = visits[1:]
		for _, event := range at.possible {
			next := visit{path: append(slices.Clip(at.path), event)}
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(kind)
				defer w.end()
				for i, event := range next.path {
					if !w.possible(event) {
						return // in a state that differs in the order of goroutines
					}
					before := w.e.sender.endState()
					w.do(event)
					w.noteTransition(&used, before)
					if err := w.check(); err != nil {
						fault = fmt.Sprintf("after %s: %v", strings.Join(next.path[:i+1], ", "), err)
						return
					}
				}
				if reached := w.fingerprint(); !seen[reached] {
					seen[reached] = true
					next.possible = slices.DeleteFunc(slices.Clone(worldEvents), func(event string) bool { return !w.possible(event) })
				}
			})
			if fault != "" {
				return len(seen), used, fault
			}
			if next.possible != nil {
				visits = append(visits, next)
			}
		}
	}
	return len(seen), used, ""
}

// worldEvents are everything that can happen to an endpoint.
var worldEvents = []string{
	// Input, and the end of it: one at a time.
	"text arrives", "Ping arrives", "Close arrives", "broken rule arrives", "transport ends",
	// Calls.
	"Send", "fragment", "last fragment", "Close", "PingAsync", "FailAsync", "Abort", "Abort and close", "FlushControl",
	// The transport.
	"stall", "resume", "writes fail",
}

// world is an endpoint with its transport, its callers and the model.
type world struct {
	kind    string
	e       *Endpoint
	message *MessageWriter
	frame   struct{ whole, ping, close, broken []byte }

	mu      sync.Mutex // guards the rest
	changed *sync.Cond
	out     []byte
	room    int   // bytes that the transport accepts; many unless it is stalled
	err     error // the error of all writes
	stuck   bool  // a Write waits, and has the sender's lock
	calls   []string
	atOnce  string // the call that must have returned

	// The model: the reports of the calls and events.
	err0     error // Err once it was not nil
	state0   State
	closing  bool // a Close must be sent, unless the transport fails
	code     wire.StatusCode
	ended    bool // Err must be known
	stopped  bool // Receive has reported the end
	failed   bool // a write has returned an error
	lost     bool // TransportClosed was called, or Abort that closes the transport
	violated error
}

const plenty = 1 << 20

func newWorld(kind string) *world {
	w := &world{kind: kind, room: plenty}
	w.changed = sync.NewCond(&w.mu)
	cfg := Config{Role: Server}
	if strings.Contains(kind, "Background") {
		cfg.Background = func(f func()) { go f() }
	}
	w.e = New(w, cfg)
	if kind == "Backpressure" {
		w.e.SetBackpressure(roomOf{w})
	}
	w.message, _ = w.e.NextWriter(wire.Binary)
	frame := func(op wire.Opcode, p string) []byte {
		return wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: op, Masked: true}, []byte(p))
	}
	w.frame.whole, w.frame.ping = frame(wire.Text, "hello"), frame(wire.Ping, "?")
	w.frame.close, w.frame.broken = frame(wire.Close, "\x0f\xa0"), []byte{0x83}
	return w
}

// Write blocks while the transport is stalled, unless there is Backpressure.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.kind != "Backpressure" && w.room < plenty && w.err == nil {
		w.stuck = true
		w.changed.Wait()
	}
	w.stuck = false
	if w.err != nil {
		w.failed = true
		return 0, w.err
	}
	if w.out = append(w.out, p...); w.room < plenty {
		w.room = max(0, w.room-len(p))
	}
	return len(p), nil
}

// roomOf is a world's Backpressure.
type roomOf struct{ w *world }

func (r roomOf) Space(size int) int {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if r.w.err != nil {
		return size
	}
	return min(size, r.w.room)
}

func (r roomOf) AwaitSpace(int) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	for r.w.err == nil && r.w.room == 0 {
		r.w.changed.Wait()
	}
}

func (roomOf) Written() {}

// set changes the transport.
func (w *world) set(room int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.room = room
	if w.err == nil {
		w.err = err
	}
	w.changed.Broadcast()
}

func isInput(event string) bool {
	return strings.HasSuffix(event, "arrives") || event == "transport ends"
}

// possible reports whether event can happen now.
func (w *world) possible(event string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case slices.Contains(w.calls, event):
		return false // two calls that wait alike make no difference
	case isInput(event) && slices.ContainsFunc(w.calls, isInput), isInput(event) && w.lost:
		return false // one goroutine receives, and none after the end
	case strings.HasSuffix(event, "fragment") && (slices.Contains(w.calls, "fragment") || slices.Contains(w.calls, "last fragment") || w.message.Done()):
		return false
	case w.stuck && (slices.Contains([]string{"Send", "fragment", "last fragment", "Close", "FlushControl"}, event) ||
		w.kind == "blocking writes" && slices.Contains([]string{"Close arrives", "broken rule arrives", "FailAsync"}, event)):
		return false // they wait for the lock; synctest.Wait does not know that as rest
	case w.kind != "Backpressure" && (event == "stall" && slices.Contains(w.calls, "Send") || event == "Send" && w.room < plenty && w.e.sender.position != betweenMessages):
		return false // the same, when it is woken
	case event == "Ping arrives":
		return w.e.sender.ext() == nil || len(content(&w.e.sender.ext().queue).pongs) < 1
	case event == "stall":
		return w.room == plenty && w.err == nil
	case event == "resume":
		return w.room < plenty && w.err == nil
	case event == "writes fail":
		return w.err == nil
	}
	return true
}

// do makes event happen and waits until everything rests.
func (w *world) do(event string) {
	w.atOnce = ""
	switch event {
	case "stall":
		w.set(10, nil) // of a frame that is longer
	case "resume":
		w.set(plenty, nil)
	case "writes fail":
		w.set(w.room, errors.New("write failed"))
	default:
		w.mu.Lock()
		w.calls = append(w.calls, event)
		if async := []string{"PingAsync", "FailAsync", "Abort"}; w.e.State() != Open || slices.Contains(async, event) && w.kind != "blocking writes" {
			w.atOnce = event
		}
		w.mu.Unlock()
		go func() {
			err := w.call(event)
			w.mu.Lock()
			defer w.mu.Unlock()
			i := slices.Index(w.calls, event)
			w.calls = slices.Delete(w.calls, i, i+1)
			w.violated = errors.Join(w.violated, err)
		}()
	}
	synctest.Wait()
}

// call makes a call and checks its result.
func (w *world) call(event string) error {
	payload := []byte("more than the room of a stalled transport")
	was, wasErr := w.e.State(), w.e.Err()
	var err error
	switch event {
	case "text arrives":
		return w.receive(w.frame.whole)
	case "Ping arrives":
		return w.receive(w.frame.ping)
	case "Close arrives":
		return w.receive(w.frame.close)
	case "broken rule arrives":
		return w.receive(w.frame.broken)
	case "transport ends":
		w.mu.Lock()
		w.lost = true
		w.mu.Unlock()
		err := w.e.TransportClosed(io.EOF, w.closeTransport)
		if err == nil || err != w.e.Err() || w.e.State() != Closed {
			return fmt.Errorf("TransportClosed returned %v, Err %v, state %v", err, w.e.Err(), w.e.State())
		}
		w.ends(was, 0)
		return nil
	case "Send":
		err = w.e.Send(wire.Binary, payload)
	case "fragment":
		err = w.message.WriteFragment(payload, false)
	case "last fragment":
		err = w.message.WriteFragment(payload, true)
	case "Close":
		if err = w.e.Close(4001, "ours"); err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.closing, w.code = true, 4001
			if w.e.State() == Open {
				return errors.New("open after Close")
			}
			return nil
		}
	case "PingAsync":
		w.e.PingAsync([]byte("?"))
		return nil
	case "FlushControl":
		w.e.FlushControl()
		return nil
	case "FailAsync":
		if w.e.FailAsync(wire.PolicyViolation, "", errors.New("too slow")) != (wasErr == nil) {
			return fmt.Errorf("FailAsync: the connection has ended with %v, before with %v", w.e.Err(), wasErr)
		}
		w.ends(was, wire.PolicyViolation)
		return nil
	case "Abort", "Abort and close":
		closeTransport := w.closeTransport
		if event == "Abort" {
			closeTransport = nil
		} else {
			w.mu.Lock()
			w.lost = true
			w.mu.Unlock()
		}
		if first, err := w.e.Abort(nil, closeTransport); first != (wasErr == nil) || err != nil {
			return fmt.Errorf("Abort returned %v, %v; the connection had ended with %v", first, err, wasErr)
		}
		w.ends(was, 0)
		return nil
	}
	if err != nil && w.e.State() == Open {
		return fmt.Errorf("%s in an open connection returned %v", event, err)
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%s returned %v", event, err)
	}
	return nil
}

// ends records the end of the connection, and the code for the peer if it was
// open.
func (w *world) ends(was State, code wire.StatusCode) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if was == Open && code != 0 {
		w.closing, w.code = true, code
	}
}

func (w *world) closeTransport() error {
	w.set(w.room, net.ErrClosed)
	return nil
}

// receive gives a frame to the endpoint.
func (w *world) receive(frame []byte) error {
	was, stopped := w.e.State(), w.stopped
	ev, n := w.e.Receive(time.Time{}, bytes.Clone(frame))
	if n != len(frame) {
		return fmt.Errorf("%d bytes are used", n)
	}
	if stopped {
		if ev.Kind != KindNone {
			return fmt.Errorf("got %+v after the end", ev)
		}
		return nil
	}
	switch ev.Kind {
	case KindClose, KindFailed:
		if ev.Err == nil || ev.Err != w.e.Err() || w.e.State() != Closed {
			return fmt.Errorf("got %+v, Err %v, state %v", ev, w.e.Err(), w.e.State())
		}
		w.stopped = true
		if ev.Kind == KindClose {
			w.ends(was, 4000)
		} else {
			w.ends(was, wire.ProtocolError)
		}
	case KindNone:
		return errors.New("a frame without an event")
	}
	return nil
}

// check checks the invariants.
func (w *world) check() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.e.sender
	ext := s.ensureExt()
	state, err := w.e.State(), w.e.Err()
	ready := w.room == plenty || w.err != nil // no call has a reason to block
	switch {
	case w.violated != nil:
		return w.violated
	case w.atOnce != "" && slices.Contains(w.calls, w.atOnce) && w.kind != "blocking writes":
		return fmt.Errorf("%s waits in state %v", w.atOnce, state)
	case w.err0 != nil && err != w.err0:
		return fmt.Errorf("Err was %v and is %v", w.err0, err)
	case w.ended && (err == nil || state != Closed):
		return fmt.Errorf("the connection has ended, Err is %v, the state %v", err, state)
	case state < w.state0:
		return fmt.Errorf("the state was %v and is %v", w.state0, state)
	case state == Open && (err != nil || w.failed):
		return fmt.Errorf("open with Err %v, a write failed: %v", err, w.failed)
	case w.failed && state != Closed:
		return fmt.Errorf("%v after a failed write", state)
	case ready && len(w.calls) > 0 && (state != Open || s.position != insideMessage || !slices.Equal(w.calls, []string{"Send"})):
		return fmt.Errorf("%v wait in state %v", w.calls, state)
	case state != Open && len(ext.waiters) > 0 && w.kind == "Backpressure":
		return fmt.Errorf("%d senders wait for their turn in state %v", len(ext.waiters), state)
	case ready && (ext.queue.frames.Load() || ext.queue.wake.Load()):
		return errors.New("the control queue is not empty, and nobody writes it")
	case ready && w.e.WriteBlocked():
		return errors.New("blocked by nothing")
	}
	w.err0, w.state0 = err, max(w.state0, state)
	return w.checkOutput(ready && !w.failed && !w.lost && w.err == nil)
}

// checkOutput checks the written frames. If ready is set, every frame to send
// must have been written.
func (w *world) checkOutput(ready bool) error {
	var closes []wire.StatusCode
	rest := bytes.Clone(w.out)
	for len(rest) > 0 {
		f, n, err := wire.DecodeFrame(rest)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if len(closes) > 0 && f.Opcode != wire.Pong {
			return fmt.Errorf("%v after a Close", f.Opcode)
		}
		if f.Opcode == wire.Close {
			code, _, err := wire.ParseClosePayload(f.Payload)
			if err != nil {
				return err
			}
			closes = append(closes, code)
		}
		rest = rest[n:]
	}
	sent, first := w.e.SentClose()
	switch {
	case len(closes) > 0 && (!w.closing && len(w.calls) == 0 || w.closing && closes[0] != w.code):
		return fmt.Errorf("a Close with %v is sent, want %v, %v", closes, w.closing, w.code)
	case ready && len(rest) > 0:
		return fmt.Errorf("half a frame: % x", rest)
	case ready && w.closing != (len(closes) == 1):
		return fmt.Errorf("%d Close frames are sent, a Close must be sent: %v", len(closes), w.closing)
	case ready && len(closes) == 1 && (sent != w.code || first != (w.code == 4001)):
		return fmt.Errorf("SentClose returns %v, %v", sent, first)
	case ready && len(closes) == 0 && sent != 0:
		return fmt.Errorf("SentClose returns %v", sent)
	}
	return nil
}

// noteTransition notes which transition led from a state to the current one.
func (w *world) noteTransition(used *[endStates][closeEvents]bool, before endState) {
	after := w.e.sender.endState()
	err := w.e.Err()
	ev := localClose
	switch {
	case before == after:
		return
	case after == writeBroken:
		ev = writeFailed
	case after == closed:
		switch err := err.(type) {
		case *CloseError:
			ev = peerClose
		case *FailError:
			ev = failure
		case *LostError:
			ev = transportClosed
		default:
			_ = err
			ev = aborted
		}
	}
	used[before][ev] = true
}

// content returns a copy of the content of q.
func content(q *controlQueue) queued {
	defer q.unlock()
	return *q.lock()
}

// fingerprint identifies the state of w.
func (w *world) fingerprint() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.e.sender
	ext := s.ensureExt()
	q, queued := &ext.queue, content(&ext.queue)
	code, first := w.e.SentClose()
	slices.Sort(w.calls)
	return fmt.Sprint(s.endState(), s.position, w.e.receiver.phase, fmt.Sprintf("%T", w.e.Err()), len(queued.pongs), queued.ping != nil, queued.close != nil, q.wake.Load(),
		code, first, ext.failed.Load() != nil, ext.lost.Load() != nil, ext.blocked.Load(), len(ext.waiters),
		w.room, w.err != nil, w.calls, w.message.Began(), w.message.Done(), w.closing, w.stopped, w.lost, w.failed)
}

// end releases all goroutines, also those of a mutant.
func (w *world) end() {
	w.set(plenty, io.ErrClosedPipe)
	synctest.Wait()
	s := &w.e.sender
	s.ensureExt().outcome.CompareAndSwap(nil, &outcome{err: ErrClosed})
	s.state.Store(uint32(closed))
	if s.mu.TryLock() {
		s.wakeWaiters()
		s.mu.Unlock()
	}
	synctest.Wait()
}
