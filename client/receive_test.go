package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// T-H09: a received message belongs to the program. The test keeps all messages
// of a stream, small and large, whole and in fragments, and compares them at
// its end.
func TestReceivedMessagesAreTheProgramsOwn(t *testing.T) {
	c, f := openTCP(t, nil)
	var want []string
	for i := range 300 {
		s := strings.Repeat(fmt.Sprintf("%04d ", i), 1+i*i%3000)
		want = append(want, s)
		switch i % 3 {
		case 0:
			f.send(textFrame(s))
		case 1:
			f.send(binaryFrame([]byte(s)))
		case 2:
			f.send(firstFragment(wire.Text, s[:len(s)/2]), pingFrame("between"), lastFragment(s[len(s)/2:]))
		}
	}
	got := make([]client.Message, len(want))
	for i := range got {
		var err error
		if got[i], err = c.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i, m := range got {
		op := wire.Text
		if i%3 == 1 {
			op = wire.Binary
		}
		if m.Opcode != op || m.Text() != want[i] {
			t.Errorf("message %d has become %v %.50q", i, m.Opcode, m.Payload)
		}
	}
}

// ReceiveInto appends to the program's buffer, or to a larger copy of it, and
// keeps the bytes before the message.
func TestReceiveIntoAppends(t *testing.T) {
	c, f := openTCP(t, nil)
	f.send(textFrame("one"), pingFrame(""), firstFragment(wire.Binary, "tw"), lastFragment("o"), textFrame(""), textFrame("larger than that"))
	buf := make([]byte, 1, 8)
	buf[0] = '>'
	for _, want := range []struct {
		op      wire.Opcode
		payload string
		inPlace bool
	}{
		{wire.Text, "one", true},
		{wire.Binary, "two", true},
		{wire.Text, "", true},
		{wire.Text, "larger than that", false},
	} {
		op, p, err := c.ReceiveInto(t.Context(), buf)
		if err != nil || op != want.op || string(p) != ">"+want.payload {
			t.Fatalf("received %v %q, %v", op, p, err)
		}
		if inPlace := &p[0] == &buf[0]; inPlace != want.inPlace {
			t.Errorf("%q: in the program's buffer: %t", p, inPlace)
		}
	}
	f.send(textFrame("into nothing"))
	if op, p, err := c.ReceiveInto(t.Context(), nil); err != nil || op != wire.Text || string(p) != "into nothing" {
		t.Errorf("received %v %q, %v", op, p, err)
	}
}

// After an error the buffer is unchanged, and the received part of the message
// is kept elsewhere: the program may use the buffer again.
func TestReceiveIntoThatIsGivenUp(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		f.send(firstFragment(wire.Text, "first, "))
		buf := append(make([]byte, 0, 100), "mine"...)
		ctx := check.Within(t, time.Second)
		op, p, err := c.ReceiveInto(ctx, buf)
		if op != 0 || string(p) != "mine" || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v %q, %v", op, p, err)
		}
		clear(buf[:100]) // the program's use of it
		f.send(lastFragment("last"))
		if op, p, err := c.ReceiveInto(t.Context(), buf[:0]); err != nil || op != wire.Text || string(p) != "first, last" {
			t.Errorf("received %v %q, %v", op, p, err)
		}
	})
}

// A large message is the same with and without space in the caller's buffer, in
// fragments with control frames between them, and after a timeout in the middle
// of a frame.
func TestLargeMessageIntoRoom(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 20<<10)
	frames := slices.Concat(firstFragment(wire.Text, large[:100_000]), pingFrame("?"), lastFragment(large[100_000:]), textFrame("next"))
	for _, room := range []int{0, 10, 50_000, len(large), 2 * len(large)} {
		piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
			own := append(make([]byte, 0, room+1), '>')
			f.send(frames[:150_000])
			ctx := check.Within(t, time.Second)
			if _, p, err := c.ReceiveInto(ctx, own); string(p) != ">" || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%d bytes, %v", len(p), err)
			}
			clear(own[:cap(own)]) // the program's use of it
			own[0] = '>'
			f.send(frames[150_000:])
			if _, p, err := c.ReceiveInto(t.Context(), own); err != nil || string(p) != ">"+large {
				t.Fatalf("room for %d: received %d bytes, or others (%v)", room, len(p), err)
			}
			if _, p, err := c.ReceiveInto(t.Context(), own); err != nil || string(p) != ">next" {
				t.Fatalf("room for %d: then received %.20q (%v)", room, p, err)
			}
			f.send(frames)
			op, p, err := c.ReceiveInto(t.Context(), own)
			if err != nil || op != wire.Text || string(p) != ">"+large {
				t.Fatalf("room for %d: received %d bytes at once, or others (%v)", room, len(p), err)
			}
			check.Equal(t, &p[0] == &own[0], (room >= len(large)), "room for %d: in the program's buffer", room)
		})
	}
}

// 6455-6.2-c: an abandoned message without a next one leaves no bytes in the
// buffer.
func TestReceiveIntoAfterAbandonedMessage(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		f.send(firstFragment(wire.Text, "abandoned"))
		check.Must(t, check.Err2(c.NextReader(t.Context())))
		f.send(lastFragment(" message"))
		ctx := check.Within(t, time.Second)
		op, p, err := c.ReceiveInto(ctx, []byte("mine"))
		if op != 0 || string(p) != "mine" || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v %q, %v", op, p, err)
		}
	})
}

// Two concurrent calls that receive are a bug of the program: the second one
// gets an error, and the first one is not disturbed.
func TestConcurrentReceive(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		first := make(chan string)
		go func() {
			m, _ := c.Receive(t.Context())
			first <- m.Text()
		}()
		synctest.Wait()
		_, receive := c.Receive(t.Context())
		_, _, into := c.ReceiveInto(t.Context(), nil)
		_, _, reader := c.NextReader(t.Context())
		var v any
		for name, err := range map[string]error{
			"Receive": receive, "ReceiveInto": into, "NextReader": reader, "ReceiveJSON": c.ReceiveJSON(t.Context(), &v),
		} {
			var usage *client.UsageError
			if !errors.Is(err, client.ErrConcurrentReceive) || !errors.As(err, &usage) {
				t.Errorf("%s: %v", name, err)
			}
			checkErrorText(t, err)
		}
		f.send(textFrame("for the first"))
		if got := <-first; got != "for the first" {
			t.Errorf("the first call received %q", got)
		}
		f.send(textFrame("next"))
		receiveWant(t, c, wire.Text, "next")
	})
}

// ReceiveJSON accepts text and binary. A message that is not JSON, or does not
// fit the value, is consumed, and the next can be received.
func TestJSON(t *testing.T) {
	c, f := openTCP(t, &client.Config{Control: true})
	type point struct{ X, Y int }
	check.Must(t, c.SendJSON(point{1, 2}))
	f.want(1, wire.Text, `{"X":1,"Y":2}`)
	if err := c.SendJSON(make(chan int)); err == nil {
		t.Error("a channel was encoded")
	} else {
		checkErrorText(t, err)
	}

	f.send(textFrame("{bad"), binaryFrame([]byte(`"a string"`)), pingFrame("skipped"), binaryFrame([]byte(`{"X":3,"Y":4}`)))
	var got point
	for _, want := range []string{
		"websocket: decoding a text message of 4 bytes: ",
		"websocket: decoding a binary message of 10 bytes: ",
	} {
		if err := c.ReceiveJSON(t.Context(), &got); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s…", err, want)
		} else {
			checkErrorText(t, err)
		}
	}
	if err := c.ReceiveJSON(t.Context(), &got); err != nil || got != (point{3, 4}) {
		t.Errorf("got %v, %v", got, err)
	}
	f.send(closeFrame(wire.NormalClosure, ""))
	check.As[*client.CloseError](t, c.ReceiveJSON(t.Context(), &got), "got")
}

// Messages ends without an error if the server closed normally, and yields
// every other as its last.
func TestMessages(t *testing.T) {
	for name, tt := range map[string]struct {
		end    []byte // nil: the transport ends
		target any    // nil: no error
	}{
		"1000":                {closeFrame(wire.NormalClosure, "bye"), nil},
		"1001":                {closeFrame(wire.GoingAway, ""), nil},
		"no code":             {closeFrame(0, ""), new(*client.CloseError)},
		"1011":                {closeFrame(wire.InternalError, ""), new(*client.CloseError)},
		"4000":                {closeFrame(4000, ""), new(*client.CloseError)},
		"a broken rule":       {[]byte{0x83, 0}, new(*client.FailError)},
		"the transport's end": {nil, new(*client.LostError)},
	} {
		t.Run(name, func(t *testing.T) {
			c, f := openTCP(t, nil)
			f.send(textFrame("one"), binaryFrame([]byte("two")))
			if tt.end != nil {
				f.send(tt.end)
			}
			var got []string
			var last error
			for m, err := range c.Messages(t.Context()) {
				if last != nil {
					t.Errorf("%v %q, %v after the error %v", m.Opcode, m.Payload, err, last)
				}
				if last = err; err == nil {
					got = append(got, m.Text())
				}
				if tt.end == nil && len(got) == 2 {
					f.nc.Close()
				}
			}
			if strings.Join(got, " ") != "one two" {
				t.Errorf("the messages are %q", got)
			}
			if tt.target == nil && last != nil || tt.target != nil && !errors.As(last, tt.target) {
				t.Errorf("the last error is %v", last)
			}
		})
	}

	t.Run("the context", func(t *testing.T) {
		c, f := openTCP(t, nil)
		f.send(textFrame("one"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		for _, err := range c.Messages(ctx) {
			cancel()
			last = err
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("the last error is %v", last)
		}
		f.send(textFrame("two"))
		receiveWant(t, c, wire.Text, "two")
	})

	t.Run("a loop that is left", func(t *testing.T) {
		c, f := openTCP(t, nil)
		f.send(textFrame("one"), textFrame("two"))
		for range c.Messages(t.Context()) {
			break
		}
		receiveWant(t, c, wire.Text, "two")
	})
}

// With Config.Control, Receive returns the control frames as messages too, in
// order, also between the fragments of a message. They are answered all the
// same.
func TestControl(t *testing.T) {
	c, f := openTCP(t, &client.Config{Control: true})
	f.send(textFrame("a"), pingFrame("p1"), firstFragment(wire.Text, "b"), pingFrame("p2"), pongFrame([]byte("unasked")),
		lastFragment("c"), closeFrame(4001, "enough"))
	for _, want := range []client.Message{
		{Opcode: wire.Text, Payload: []byte("a")},
		{Opcode: wire.Ping, Payload: []byte("p1")},
		{Opcode: wire.Ping, Payload: []byte("p2")},
		{Opcode: wire.Pong, Payload: []byte("unasked")},
		{Opcode: wire.Text, Payload: []byte("bc")},
		{Opcode: wire.Close, Code: 4001, Reason: "enough"},
	} {
		m, err := c.Receive(t.Context())
		if err != nil || m.Opcode != want.Opcode || !bytes.Equal(m.Payload, want.Payload) || m.Code != want.Code || m.Reason != want.Reason {
			t.Fatalf("received %+v, %v; want %+v", m, err, want)
		}
	}
	var closed *client.CloseError
	if _, err := c.Receive(t.Context()); !errors.As(err, &closed) || closed.Code != 4001 || closed.Reason != "enough" {
		t.Errorf("after the Close: %v", err)
	}
	f.want(1, wire.Pong, "p1")
	f.want(1, wire.Pong, "p2")
	f.want(1, wire.Close, closePayload(4001, ""))
}

// With Config.Control, ReceiveInto and NextReader skip control messages.
func TestControlIsSkipped(t *testing.T) {
	c, f := openTCP(t, &client.Config{Control: true})
	f.send(pingFrame("1"), firstFragment(wire.Text, "a"), pingFrame("2"), lastFragment("b"),
		pingFrame("3"), firstFragment(wire.Text, "c"), pingFrame("4"), lastFragment("d"))
	if op, p, err := c.ReceiveInto(t.Context(), []byte(">")); err != nil || op != wire.Text || string(p) != ">ab" {
		t.Errorf("ReceiveInto: %v %q, %v", op, p, err)
	}
	r := nextReader(t, c)
	wantRead(t, r, "cd")
}

// Limits are on by default, and are the Config's (6455-10.4-a, T-A07, T-A09,
// T-G13): the header is enough to see a message too large.
func TestLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		limits client.Limits
		send   []byte
		text   string
	}{
		"message, by default": {
			client.Limits{}, []byte{0x82, 127, 0, 0, 0, 0, 0x10, 0, 0, 0},
			"websocket: connection failed with 1009 (message too big): message of 268435456 bytes exceeds Limits.Message (16777216)",
		},
		"frame": {
			client.Limits{Frame: 3}, []byte{0x82, 4},
			"websocket: connection failed with 1009 (message too big): frame of 4 bytes exceeds Limits.Frame (3)",
		},
		"message in fragments": {
			client.Limits{Message: 3}, []byte{0x02, 2, 'a', 'b', 0x80, 2},
			"websocket: connection failed with 1009 (message too big): message of 4 bytes exceeds Limits.Message (3)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, f := openTCP(t, &client.Config{Limits: tt.limits})
			f.send(tt.send)
			_, err := c.Receive(t.Context())
			var limit *client.LimitError
			var failed *client.FailError
			if !errors.As(err, &limit) || !errors.As(err, &failed) || failed.Code != wire.MessageTooBig {
				t.Fatalf("got %v", err)
			}
			if err.Error() != tt.text {
				t.Errorf("the text is\n%s, want\n%s", err, tt.text)
			}
			frame, _ := f.next()
			if code, _, _ := wire.ParseClosePayload(frame.Payload); frame.Opcode != wire.Close || code != wire.MessageTooBig {
				t.Errorf("the server was sent %v %q", frame.Opcode, frame.Payload)
			}
		})
	}
	t.Run("6455-10.4-b: exactly the limit passes", func(t *testing.T) {
		c, f := openTCP(t, &client.Config{Limits: client.Limits{Message: 3}})
		f.send(textFrame("abc"))
		receiveWant(t, c, wire.Text, "abc")
	})
	t.Run("negative: none", func(t *testing.T) {
		c, f := openTCP(t, &client.Config{Limits: client.Limits{Message: -1}})
		large := strings.Repeat("x", 16<<20+1)
		f.send(textFrame(large))
		receiveWant(t, c, wire.Text, large)
	})
}

// The connection fails with 1008 if an unfinished message makes no progress of
// 64 KiB within AssemblyTimeout, in every call that reads (T-C15, T-A06).
func TestMessageWithoutProgress(t *testing.T) {
	header := string(wire.AppendHeader(nil, wire.Header{Fin: true, Opcode: wire.Binary, Length: 1 << 20}))
	tests := map[string]struct{ before, drip string }{
		"half a header":       {before: "\x82"},
		"a header":            {before: header},
		"half a payload":      {before: header + strings.Repeat("a", 100)},
		"half a message":      {before: "\x01\x02ab"},
		"half a Ping":         {before: "\x89\x02a"},
		"a byte now and then": {before: header, drip: "a"},
	}
	calls := map[string]func(t *testing.T, c *client.Conn) error{
		"Receive": func(t *testing.T, c *client.Conn) error { _, err := c.Receive(t.Context()); return err },
		"ReceiveInto": func(t *testing.T, c *client.Conn) error {
			_, _, err := c.ReceiveInto(t.Context(), nil)
			return err
		},
		"Ping": func(t *testing.T, c *client.Conn) error { _, err := c.Ping(t.Context()); return err },
	}
	for name, tt := range tests {
		for call, receive := range calls {
			subtestPiped(t, name+"/"+call, &client.Config{AssemblyTimeout: 8 * time.Second}, func(t *testing.T, c *client.Conn, f *farEnd) {
				f.send([]byte(tt.before))
				if tt.drip != "" {
					defer f.drip(time.Second, []byte(tt.drip))()
				}
				start := time.Now()
				err := receive(t, c)
				if took := time.Since(start); took < 8*time.Second || took > 9*time.Second {
					t.Errorf("failed after %v", took)
				}
				var failed *client.FailError
				var late *client.TimeoutError
				if !errors.As(err, &failed) || failed.Code != wire.PolicyViolation || !errors.As(err, &late) || late.After != 8*time.Second ||
					!late.Timeout() || !strings.HasSuffix(err.Error(), "no message progress for 8s (AssemblyTimeout)") {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// A message that makes progress has no time limit. Time without a call that
// receives does not count.
func TestMessageThatMakesProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const parts, part = 10, 64 << 10
		c, f := openPipe(t, &client.Config{AssemblyTimeout: 8 * time.Second})
		header := string(wire.AppendHeader(nil, wire.Header{Fin: true, Opcode: wire.Binary, Length: parts * part}))
		go func() {
			f.send([]byte(header))
			for range parts {
				time.Sleep(5 * time.Second)
				f.send([]byte(strings.Repeat("a", part)))
			}
			f.send([]byte("\x01\x02ab"))
		}()
		if m, err := c.Receive(t.Context()); err != nil || len(m.Payload) != parts*part {
			t.Fatalf("%d bytes, %v", len(m.Payload), err)
		}
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if _, err := c.Receive(ctx); !errors.Is(err, ctx.Err()) {
				t.Fatal(err)
			}
			cancel()
			time.Sleep(time.Hour)
		}
		f.send([]byte("\x80\x01c"))
		if m, err := c.Receive(t.Context()); err != nil || m.Text() != "abc" {
			t.Errorf("%q, %v", m.Text(), err)
		}
	})
}
