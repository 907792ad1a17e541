package endpoint_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// waitingSenders is an incomplete message in fragments, and goroutines that
// wait to send others.
type waitingSenders struct {
	e       *endpoint.Endpoint
	out     *breaking
	message *endpoint.MessageWriter
	all     sync.WaitGroup

	mu   sync.Mutex // guards the rest
	errs []error    // of those that are done
}

const waiting = 10

// startWaiting returns when all senders are blocked.
func startWaiting(t *testing.T, role endpoint.Role) *waitingSenders {
	t.Helper()
	w := &waitingSenders{out: &breaking{left: -1}}
	w.e = endpoint.New(w.out, endpoint.Config{Role: role})
	var err error
	if w.message, err = w.e.NextWriter(wire.Text); err != nil {
		t.Fatal(err)
	}
	check.Must(t, w.message.WriteFragment([]byte("first "), false))
	for i := range waiting {
		w.all.Go(func() {
			err := w.send(i)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.errs = append(w.errs, err)
		})
	}
	synctest.Wait()
	if len(w.errs) > 0 {
		t.Fatalf("sent inside of another message: %v", w.errs)
	}
	return w
}

func (w *waitingSenders) send(i int) error {
	switch i % 3 {
	case 0:
		return w.e.Send(wire.Binary, []byte("whole"))
	case 1:
		return w.e.SendText("whole")
	}
	m, err := w.e.NextWriter(wire.Text)
	if err != nil {
		return err
	}
	return errors.Join(m.WriteFragment([]byte("of "), false), m.WriteFragment([]byte("two"), true))
}

// Other messages wait until the last fragment is sent, control frames do not
// (6455-5.4-b, 6455-5.4-h).
func TestMessagesWaitForTheLastFragment(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		synctest.Test(t, func(t *testing.T) {
			w := startWaiting(t, role)
			check.OK(t, errors.Join(w.e.Ping(nil), w.e.Pong(nil)))
			receive(w.e, whole(role, wire.Ping, ""))
			check.OK(t, w.message.WriteFragment([]byte("second "), false))
			synctest.Wait()
			if len(w.errs) > 0 {
				t.Fatalf("sent inside of another message: %v", w.errs)
			}
			check.OK(t, w.message.WriteFragment(nil, true))
			w.all.Wait()
			if err := errors.Join(w.errs...); err != nil || len(w.errs) != waiting {
				t.Errorf("%d were done, %v", len(w.errs), err)
			}
			var opcodes []wire.Opcode
			messages := 0
			for _, f := range written(t, role, w.out.out.Bytes()) {
				opcodes = append(opcodes, f.Opcode)
				if f.Fin && !f.Opcode.IsControl() {
					messages++
				}
			}
			want := []wire.Opcode{wire.Text, wire.Ping, wire.Pong, wire.Pong, wire.Continuation, wire.Continuation}
			if !slices.Equal(opcodes[:6], want) || messages != 1+waiting {
				t.Errorf("%d messages in the frames %v", messages, opcodes)
			}
		})
	})
}

// The end of the connection releases blocked senders, and they return its cause
// (T-H02, 6455-7.2.1-a).
func TestWaitingSendersAreReleased(t *testing.T) {
	const code = wire.StatusCode(4000)
	closed := func(err error) bool { var e *endpoint.CloseError; return errors.As(err, &e) && e.Code == code }
	failed := func(err error) bool { var e *endpoint.FailError; return errors.As(err, &e) }
	lost := func(err error) bool { var e *endpoint.LostError; return errors.As(err, &e) && e.Err == errTransport }
	byUs := func(err error) bool { return errors.Is(err, endpoint.ErrClosed) }

	tests := []struct {
		name string
		end  func(role endpoint.Role, w *waitingSenders)
		want func(error) bool
	}{
		{"our Close", func(_ endpoint.Role, w *waitingSenders) { _ = w.e.Close(code, "") }, byUs},
		{"peer's Close", func(r endpoint.Role, w *waitingSenders) { receive(w.e, closeFromPeer(r, code, "")) }, closed},
		{"broken rule", func(_ endpoint.Role, w *waitingSenders) { receive(w.e, []byte{0x83}) }, failed},
		{"shell's failure", func(_ endpoint.Role, w *waitingSenders) { _ = w.e.Fail(wire.InternalError, "", io.ErrNoProgress) }, failed},
		{"transport's end", func(_ endpoint.Role, w *waitingSenders) { _ = w.e.TransportClosed(errTransport, nil) }, lost},
		{"cut", func(_ endpoint.Role, w *waitingSenders) { w.e.Abort(nil, func() error { return nil }) }, byUs},
		{"failed write of a fragment", func(_ endpoint.Role, w *waitingSenders) {
			w.out.left = 0
			_ = w.message.WriteFragment([]byte("second"), false)
		}, lost},
		{"failed write of the last fragment", func(_ endpoint.Role, w *waitingSenders) {
			w.out.left = 0
			_ = w.message.WriteFragment([]byte("last"), true)
		}, lost},
		{"failed write of a Ping", func(_ endpoint.Role, w *waitingSenders) {
			w.out.left = 0
			_ = w.e.Ping(nil)
		}, lost},
		{"failed write of a Pong", func(r endpoint.Role, w *waitingSenders) {
			w.out.left = 0
			receive(w.e, whole(r, wire.Ping, ""))
		}, lost},
		{"abandoned message", func(_ endpoint.Role, w *waitingSenders) { w.message.Abandon() }, byUs},
	}
	for _, tt := range tests {
		subtestRoles(t, tt.name, func(t *testing.T, role endpoint.Role) {
			synctest.Test(t, func(t *testing.T) {
				w := startWaiting(t, role)
				tt.end(role, w)
				w.all.Wait()
				for _, err := range w.errs {
					if !tt.want(err) {
						t.Errorf("a sender got %v", err)
					}
				}
				if err := w.message.WriteFragment([]byte("late"), true); err == nil || !w.message.Done() {
					t.Errorf("the message was continued: %v", err)
				}
			})
		})
	}
}

// An abandoned message of which no frame was sent has no effect. If the first
// frame was sent, the peer waits for the rest, and so the connection is closed.
func TestAbandonedMessage(t *testing.T) {
	for _, began := range []bool{false, true} {
		subtestRoles(t, fmt.Sprintf("began %v", began), func(t *testing.T, role endpoint.Role) {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role})
			m, err := e.NextWriter(wire.Binary)
			check.Must(t, err)
			want := endpoint.Open
			if began {
				want = endpoint.CloseSent
				check.Must(t, m.WriteFragment(nil, false))
			}
			m.Abandon()
			m.Abandon()
			if e.State() != want || !m.Done() {
				t.Errorf("the state is %v, want %v", e.State(), want)
			}
			if err := m.WriteFragment(nil, true); err != endpoint.ErrMessageFinished {
				t.Errorf("Send returned %v", err)
			}
		})
	}
}
