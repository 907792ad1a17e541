package endpoint_test

import (
	"bytes"
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
		{"cut without closing the transport", func(_ endpoint.Role, w *waitingSenders) { w.e.Abort(errTransport, nil) }, lost},
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
			if err := m.WriteFragment(nil, true); err != endpoint.ErrMessageAbandoned {
				t.Errorf("WriteFragment returned %v", err)
			}
		})
	}
}

// Write buffers up to 4 KiB. The fragments are those of the calls of Write that
// do not fit, of Flush and of Close.
func TestBufferedMessage(t *testing.T) {
	heap() // no buffer of another test is left: the first one is new
	const flush = -1
	for _, tt := range []struct {
		writes []int // sizes; flush
		want   []int // sizes of the fragments
	}{
		{nil, []int{0}},
		{[]int{flush}, []int{0}},
		{[]int{0, flush}, []int{0}},
		{[]int{5}, []int{5}},
		{[]int{5, flush, flush}, []int{5, 0}},
		{[]int{1, flush, 1}, []int{1, 1}},
		{[]int{4095}, []int{4095}},
		{[]int{4096}, []int{4096, 0}},
		{[]int{5000}, []int{5000, 0}},
		{[]int{4000, 95}, []int{4095}},
		{[]int{4000, 96}, []int{4000, 96}},
		{[]int{10, 4096, 3}, []int{10, 4096, 3}},
		{[]int{4000, 4000, 10_000, 7}, []int{4000, 4000, 10_000, 7}},
	} {
		eachRole(t, func(t *testing.T, role endpoint.Role) {
			var out bytes.Buffer
			e := endpoint.New(&out, endpoint.Config{Role: role})
			m, err := e.NextWriter(wire.Binary)
			if err != nil {
				t.Fatal(err)
			}
			var content []byte
			for i, size := range tt.writes {
				if size == flush {
					err = m.Flush()
				} else {
					p := bytes.Repeat([]byte{byte('a' + i)}, size)
					content = append(content, p...)
					var n int
					if n, err = m.Write(p); n != size {
						t.Errorf("wrote %d of %d", n, size)
					}
				}
				if err != nil || m.Done() {
					t.Fatalf("%v: %v", tt.writes, err)
				}
			}
			if err := m.Close(); err != nil || !m.Done() {
				t.Error(err)
			}
			var sizes []int
			var got []byte
			for i, f := range written(t, role, out.Bytes()) {
				sizes = append(sizes, len(f.Payload))
				got = append(got, f.Payload...)
				if f.Fin != (i == len(tt.want)-1) || (f.Opcode == wire.Binary) != (i == 0) {
					t.Errorf("%v: fragment %d is %v", tt.writes, i, f.Header)
				}
			}
			if !slices.Equal(sizes, tt.want) || !bytes.Equal(got, content) {
				t.Errorf("%v: fragments of %d, want %d", tt.writes, sizes, tt.want)
			}
			before := out.Len()
			n, err := m.Write([]byte("late"))
			if n != 0 || err != endpoint.ErrMessageFinished || m.Flush() != err || m.Close() != err || m.WriteFragment(nil, true) != err || out.Len() != before {
				t.Errorf("after the end: %d, %v", n, err)
			}
			m.Abandon() // has no effect
			if e.State() != endpoint.Open {
				t.Error("a complete message is abandoned")
			}
		})
	}
}

// A message whose fragment cannot be sent is abandoned, with 1007 if it has
// begun.
func TestBufferedMessageThatFails(t *testing.T) {
	errCheck := errors.New("the limit")
	long := make([]byte, 5000)
	for name, try := range map[string]func(m *endpoint.MessageWriter) (int, error){
		"a long Write": func(m *endpoint.MessageWriter) (int, error) { return m.Write(long) },
		"a Write that flushes": func(m *endpoint.MessageWriter) (int, error) {
			m.Write([]byte("a"))
			return m.Write(long)
		},
		"Flush": func(m *endpoint.MessageWriter) (int, error) {
			m.Write([]byte("a"))
			return 0, m.Flush()
		},
		"Close":               func(m *endpoint.MessageWriter) (int, error) { return 0, m.Close() },
		"Close with a buffer": func(m *endpoint.MessageWriter) (int, error) { m.Write([]byte("a")); return 0, m.Close() },
	} {
		for _, began := range []bool{false, true} {
			t.Run(fmt.Sprint(name, began), func(t *testing.T) {
				var out bytes.Buffer
				e := endpoint.New(&out, endpoint.Config{Role: endpoint.Server})
				m, err := e.NextWriter(wire.Text)
				if err != nil {
					t.Fatal(err)
				}
				if began {
					if err := m.WriteFragment([]byte("begun"), false); err != nil {
						t.Fatal(err)
					}
				}
				m.SetCheck(func(size int) error { return errCheck })
				out.Reset()
				if n, err := try(m); n != 0 || err != errCheck || !m.Done() {
					t.Errorf("%d, %v", n, err)
				}
				frames := written(t, endpoint.Server, out.Bytes())
				switch {
				case !began && (len(frames) > 0 || e.State() != endpoint.Open):
					t.Errorf("wrote %v", frames)
				case began && (len(frames) != 1 || string(frames[0].Payload) != "\x03\xef"):
					t.Errorf("wrote %v, want a Close with 1007", frames)
				}
			})
		}
	}
}

// A message whose fragment fails with the connection says why.
func TestFragmentThatFails(t *testing.T) {
	for _, final := range []bool{false, true} {
		e := endpoint.New(&breaking{}, endpoint.Config{Role: endpoint.Server})
		m, err := e.NextWriter(wire.Binary)
		check.Must(t, err)
		err = m.WriteFragment(nil, final)
		check.Is(t, err, errTransport, "WriteFragment, final is %v", final)
		check.Equal(t, m.Done(), true, "Done, final is %v", final)
		for range 2 {
			check.Is(t, m.WriteFragment(nil, true), err, "a later WriteFragment, final is %v", final)
		}
	}
}

// SetOpened's function is called once, when other messages have to wait.
func TestMessageIsOpened(t *testing.T) {
	e := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Server})
	for fragments := 1; fragments <= 3; fragments++ {
		m, err := e.NextWriter(wire.Binary)
		check.Must(t, err)
		calls := 0
		m.SetOpened(func() {
			if calls++; !e.MessageOpen() {
				t.Error("the message is not open")
			}
		})
		for i := 1; i < fragments; i++ {
			check.Must(t, m.WriteFragment(nil, false))
		}
		check.Must(t, m.WriteFragment(nil, true))
		check.Equal(t, calls, min(fragments-1, 1), "calls")
	}
}

// A fragment that is not sent may be followed by another one.
func TestFragmentThatIsRefused(t *testing.T) {
	var out bytes.Buffer
	e := endpoint.New(&out, endpoint.Config{Role: endpoint.Server})
	m, err := e.NextWriter(wire.Text)
	if err != nil {
		t.Fatal(err)
	}
	errCheck := errors.New("the limit")
	m.SetCheck(func(size int) error {
		if size > 3 {
			return errCheck
		}
		return nil
	})
	if err := m.WriteFragment([]byte("four"), false); err != errCheck || m.Began() || e.MessageOpen() {
		t.Errorf("%v, began %v", err, m.Began())
	}
	if err := errors.Join(m.WriteFragment([]byte("one"), false), m.WriteFragment(nil, true)); err != nil {
		t.Error(err)
	}
	if frames := written(t, endpoint.Server, out.Bytes()); len(frames) != 2 {
		t.Errorf("wrote %v", frames)
	}
}
