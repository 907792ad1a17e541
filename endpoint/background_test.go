package endpoint_test

import (
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// The peer's Close used to be answered inside of Receive, which waited for the
// lock of a writer that waited for the peer. With a Background, Receive reports
// the Close at once, later sends fail, and FlushControl sends the queued Pongs
// and the answer behind the frame that was being written (6455-5.5.1-f,
// 6455-5.5.2-a).
func TestReceiveDoesNotWaitForTheWriterWithBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newGate()
		e := endpoint.New(w, endpoint.Config{Role: endpoint.Client, Background: func(f func()) { go f() }})
		sent := make(chan error, 1)
		go func() { sent <- e.Send(wire.Binary, []byte("long")) }()
		synctest.Wait()
		in := []byte("\x89\x01p\x88\x02\x0f\xa1")
		ev, n := e.Receive(time.Time{}, in)
		if ev.Kind != endpoint.KindPing {
			t.Fatalf("event %+v", ev)
		}
		ev, _ = e.Receive(time.Time{}, in[n:])
		var closed *endpoint.CloseError
		if ev.Kind != endpoint.KindClose || !errors.As(ev.Err, &closed) || e.State() != endpoint.Closed {
			t.Errorf("event %+v, state %v", ev, e.State())
		}
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			e.FlushControl()
			e.FlushControl() // once is enough
		}()
		w.open(nil)
		<-answered
		check.OKf(t, <-sent, "the Send that was under way")
		if err := e.Send(wire.Binary, nil); !errors.As(err, &closed) || closed.Code != 4001 {
			t.Errorf("Send after the Close: %v", err)
		}
		check.Slices(t, opcodes(t, endpoint.Client, w.bytes()), []wire.Opcode{wire.Binary, wire.Pong, wire.Close}, "sent")
		if code, first := e.SentClose(); code != 4001 || first {
			t.Errorf("SentClose: %v, %v", code, first)
		}
	})
}

// A Close of our own that is being written when the peer's arrives is the only
// one.
func TestDeferredCloseBehindOurOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newGate()
		e := endpoint.New(w, endpoint.Config{Role: endpoint.Client, Background: func(f func()) { go f() }})
		closed := make(chan error, 1)
		go func() { closed <- e.Close(wire.NormalClosure, "") }()
		synctest.Wait()
		if ev, _ := e.Receive(time.Time{}, []byte("\x88\x02\x0f\xa1")); ev.Kind != endpoint.KindClose {
			t.Errorf("event %+v", ev)
		}
		w.open(nil)
		e.FlushControl()
		check.OK(t, <-closed)
		if got := opcodes(t, endpoint.Client, w.bytes()); !slices.Equal(got, []wire.Opcode{wire.Close}) || e.State() != endpoint.Closed {
			t.Errorf("sent %v, state %v", got, e.State())
		}
	})
}

// No byte is written behind half a frame.
func TestDeferredCloseAfterAFailedWrite(t *testing.T) {
	w := &breaking{left: 0}
	e := endpoint.New(w, endpoint.Config{Role: endpoint.Client, Background: func(f func()) { go f() }})
	if err := e.Send(wire.Binary, []byte("long")); err == nil {
		t.Fatal("no error")
	}
	written := w.out.Len()
	e.Receive(time.Time{}, []byte("\x89\x00\x88\x02\x0f\xa1"))
	e.Receive(time.Time{}, []byte("\x88\x02\x0f\xa1"))
	e.FlushControl()
	if w.out.Len() != written {
		t.Errorf("%d bytes were written behind half a frame", w.out.Len()-written)
	}
}

// A Close frame with a code that may not be sent used to be reported by the
// broken rule alone: the user did not learn that the peer had said "quota used
// up" (nodejs/undici#2679, websockets/ws#1677). Code and reason are not sent
// back (T-H04).
func TestInvalidCloseIsReportedWithItsCodeAndReason(t *testing.T) {
	for _, tt := range []struct {
		payload, text string
		answer        wire.StatusCode
	}{
		{"\x03\xedquota used up", `status code not allowed in a close frame: the peer closed with 1005: "quota used up"`, wire.ProtocolError},
		{"\x00\x00", `status code not allowed in a close frame: the peer closed with 0`, wire.ProtocolError},
		{"\xff\xffx", `status code not allowed in a close frame: the peer closed with 65535: "x"`, wire.ProtocolError},
		{"\x03\xe8\xff", `invalid UTF-8: the peer closed with 1000: "\xff"`, wire.InvalidFramePayloadData},
	} {
		e, out := recorded(endpoint.Config{Role: endpoint.Client})
		ev, _ := e.Receive(time.Time{}, append([]byte{0x88, byte(len(tt.payload))}, tt.payload...))
		var frame *endpoint.CloseFrameError
		var rule *wire.Error
		if ev.Kind != endpoint.KindFailed || !errors.As(ev.Err, &frame) || !errors.As(ev.Err, &rule) {
			t.Fatalf("%+v", ev)
		}
		if frame.Error() != "websocket: "+tt.text || frame.Reason != tt.payload[2:] {
			t.Errorf("%v, reason %q", frame, frame.Reason)
		}
		frames := written(t, endpoint.Client, out.Bytes())
		if len(frames) != 1 || closeCode(frames[0]) != tt.answer || string(frames[0].Payload[2:]) != rule.Reason {
			t.Errorf("%q: answered with %+v", tt.payload, frames)
		}
	}
}

// FlushControl during a write returns when the queued frames are written, also
// if that is none.
func TestFlushControlDuringAWrite(t *testing.T) {
	for _, pings := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			w := newGate()
			e := endpoint.New(w, endpoint.Config{Role: endpoint.Client})
			sent := make(chan error, 1)
			go func() { sent <- e.Send(wire.Binary, []byte("long")) }()
			synctest.Wait()
			for range pings {
				receive(e, whole(endpoint.Client, wire.Ping, ""))
			}
			flushed := make(chan struct{})
			frames := 0
			go func() {
				e.FlushControl()
				frames = len(written(t, endpoint.Client, w.bytes()))
				close(flushed)
			}()
			synctest.Wait()
			select {
			case <-flushed:
				t.Error("it returned during the write")
			default:
			}
			w.open(nil)
			<-flushed
			check.OK(t, <-sent)
			check.Equal(t, frames, 1+pings, "frames")
		})
	}
}

// A Close that waits behind a write counts as sent until the write fails.
func TestCloseBehindAFailedWriteIsNotSent(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		w := newGate()
		e := endpoint.New(w, endpoint.Config{Role: role, Background: func(func()) { t.Error("the lock is free during a write") }})
		sent := make(chan error, 1)
		go func() { sent <- e.SendText("Hello") }()
		<-w.entered
		receive(e, closeFromPeer(role, 4000, ""))
		if code, first := e.SentClose(); code != 4000 || first {
			t.Errorf("sent %v, first %v", code, first)
		}
		w.open(errTransport)
		if err := <-sent; err != e.Err() {
			t.Errorf("Send returned %v", err)
		}
		if code, first := e.SentClose(); code != 0 || first {
			t.Errorf("after the failed write: sent %v, first %v", code, first)
		}
	})
}

// The peer's Close arrives while the queue is written: Pongs that it overtakes
// are sent before the answer (6455-5.5.2-a).
func TestCloseDuringAFlush(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		w := new(hooked)
		var later []func()
		e := endpoint.New(w, endpoint.Config{Role: role, Background: func(f func()) { later = append(later, f) }})
		for _, number := range numbers(1, 3) {
			receive(e, whole(role, wire.Ping, number))
		}
		w.during = func(write int) {
			if write == 1 {
				receive(e, closeFromPeer(role, 4000, ""))
			}
		}
		for _, f := range later {
			f()
		}
		frames := written(t, role, w.out.Bytes())
		check.Slices(t, pongs(frames), numbers(1, 3), "got the Pongs")
		if last := frames[len(frames)-1]; len(frames) != 4 || last.Opcode != wire.Close {
			t.Errorf("wrote %v", frames)
		}
	})
}

// After both Closes no Pong is sent, also if it was queued before the second
// one (6455-5.5.2-a).
func TestNoPongBehindBothCloses(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		w := &hooked{during: func(int) {}}
		var later []func()
		e := endpoint.New(w, endpoint.Config{Role: role, Background: func(f func()) { later = append(later, f) }})
		check.Must(t, e.Close(wire.NormalClosure, ""))
		receive(e, whole(role, wire.Ping, "1"))
		w.during = func(int) {
			receive(e, whole(role, wire.Ping, "2"))
			receive(e, closeFromPeer(role, wire.NormalClosure, ""))
		}
		for _, f := range later {
			f()
		}
		frames := written(t, role, w.out.Bytes())
		check.Slices(t, pongs(frames), numbers(1, 1), "got the Pongs")
		check.Equal(t, len(frames), 2, "frames")
	})
}

// After our Close, FailAsync has no frame to send. It does not wait for a Pong
// that the peer does not read.
func TestFailAsyncDoesNotWaitForAPong(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		w := &switchable{w: io.Discard}
		e := endpoint.New(w, endpoint.Config{Role: role})
		check.Must(t, e.Close(wire.NormalClosure, ""))
		g := newGate()
		w.w = g
		received := make(chan []event)
		go func() { received <- receive(e, whole(role, wire.Ping, "?")) }()
		<-g.entered
		if !e.FailAsync(wire.PolicyViolation, "late", errTransport) {
			t.Error("it has not failed")
		}
		g.open(nil)
		<-received
		check.Slices(t, opcodes(t, role, g.bytes()), []wire.Opcode{wire.Pong}, "wrote")
	})
}

// The answer to the peer's Close waits behind a write. It is not written if that
// write fails, or if the transport ends meanwhile.
func TestCloseIsNotWrittenToABrokenTransport(t *testing.T) {
	for name, end := range map[string]func(w *hooked){
		"failed write":  func(w *hooked) { w.err = errTransport },
		"transport end": func(w *hooked) {},
	} {
		subtestRoles(t, name, func(t *testing.T, role endpoint.Role) {
			w := new(hooked)
			e := endpoint.New(w, endpoint.Config{Role: role, Background: func(func()) { t.Error("the lock is free during a write") }})
			entered, ended := make(chan struct{}), make(chan struct{})
			w.during = func(write int) {
				if write == 1 {
					close(entered)
					<-ended
				}
			}
			sent := make(chan error, 1)
			go func() { sent <- e.SendText("Hello") }()
			<-entered
			receive(e, closeFromPeer(role, 4000, ""))
			end(w)
			e.TransportClosed(io.EOF, func() error { close(ended); return nil })
			if err := <-sent; (err != nil) != (w.err != nil) {
				t.Errorf("Send returned %v", err)
			}
			if code, _ := e.SentClose(); w.writes != 1 || code != 0 || e.CloseCode() != 4000 {
				t.Errorf("%d writes, sent %v, received %v", w.writes, code, e.CloseCode())
			}
		})
	}
}

// A Close payload of one byte has neither a code nor a reason to report.
func TestCloseOfOneByteIsReportedByItsRule(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role})
		receive(e, whole(role, wire.Close, "\x03"))
		var frame *endpoint.CloseFrameError
		if err := e.Err(); !errors.Is(err, wire.ErrClosePayload) || errors.As(err, &frame) {
			t.Errorf("%v", err)
		}
	})
}
