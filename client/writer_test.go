package client_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// nextWriter begins a message.
func nextWriter(t *testing.T, c *client.Conn, op wire.Opcode) *client.MessageWriter {
	t.Helper()
	w, err := c.NextWriter(op)
	check.Must(t, err)
	return w
}

func write(t *testing.T, w *client.MessageWriter, s string) {
	t.Helper()
	if n, err := w.Write([]byte(s)); n != len(s) || err != nil {
		t.Fatalf("wrote %d of %d bytes, %v", n, len(s), err)
	}
}

// 6455-6.1-b: the first frame has the message's type, the others are
// continuations, the last has FIN.
func TestWriterFragments(t *testing.T) {
	c, f := openTCP(t, nil)
	w := nextWriter(t, c, wire.Text)
	for _, s := range []string{"one", "two"} {
		write(t, w, s)
		check.Must(t, w.Flush())
	}
	if err := w.Flush(); err != nil { // empty: no frame
		t.Fatal(err)
	}
	write(t, w, "thr")
	write(t, w, "ee")
	check.Must(t, w.Close())
	f.want(0, wire.Text, "one")
	f.want(0, wire.Continuation, "two")
	f.want(1, wire.Continuation, "three")

	w = nextWriter(t, c, wire.Binary)
	write(t, w, "small")
	check.Must(t, w.Close())
	f.want(1, wire.Binary, "small")

	check.Must(t, nextWriter(t, c, wire.Text).Close())
	f.want(1, wire.Text, "")
}

// Small writes are collected to about 4 KiB; a large one is a fragment of its
// own.
func TestWriterCollects(t *testing.T) {
	c, f := openTCP(t, nil)
	w := nextWriter(t, c, wire.Binary)
	var want strings.Builder
	for i := range 1000 {
		s := strings.Repeat(string(rune('a'+i%26)), 10)
		want.WriteString(s)
		write(t, w, s)
	}
	large := strings.Repeat("large", 50_000)
	want.WriteString(large + "end")
	write(t, w, large)
	write(t, w, "end")
	check.Must(t, w.Close())
	var got bytes.Buffer
	frames := 0
	for last := false; !last; frames++ {
		frame, err := f.next()
		check.Must(t, err)
		got.Write(frame.Payload)
		last = frame.Fin
	}
	if got.String() != want.String() {
		t.Error("the message has changed")
	}
	if frames != 5 { // 4090 bytes, 4090, 1820, the large one, the end
		t.Errorf("the message has %d frames", frames)
	}
}

// 6455-5.6-c: a text that is not UTF-8 is not sent. If no frame of it was sent,
// the connection stays open. Otherwise the message cannot be completed, and the
// connection is closed with 1007.
func TestWriterOfTextThatIsNotUTF8(t *testing.T) {
	t.Run("nothing sent", func(t *testing.T) {
		c, f := openTCP(t, nil)
		w := nextWriter(t, c, wire.Text)
		write(t, w, "cut off \xe2\x82")
		check.Is(t, w.Close(), wire.ErrInvalidUTF8, "Close")
		check.Is(t, check.Err(w.Write([]byte("more"))), wire.ErrInvalidUTF8, "Write after it")
		check.OK(t, c.SendText("next"))
		f.want(1, wire.Text, "next")
	})
	t.Run("a part sent", func(t *testing.T) {
		c, f := openTCP(t, nil)
		w := nextWriter(t, c, wire.Text)
		write(t, w, "begun")
		check.Must(t, w.Flush())
		write(t, w, "\xff")
		check.Is(t, w.Flush(), wire.ErrInvalidUTF8, "Flush")
		f.want(0, wire.Text, "begun")
		f.want(1, wire.Close, closePayload(wire.InvalidFramePayloadData, ""))
		check.Is(t, c.SendText("next"), client.ErrClosed, "SendText after it")
	})
}

// A message ends once.
func TestWriterThatIsFinished(t *testing.T) {
	c, f := openTCP(t, nil)
	w := nextWriter(t, c, wire.Text)
	write(t, w, "all")
	check.Must(t, w.Close())
	_, written := w.Write([]byte("more"))
	for name, err := range map[string]error{"Close": w.Close(), "Flush": w.Flush(), "Write": written} {
		check.Is(t, err, client.ErrMessageFinished, "%s after Close", name)
	}
	check.OK(t, c.SendText("next"))
	f.want(1, wire.Text, "all")
	f.want(1, wire.Text, "next")
	for _, op := range []wire.Opcode{wire.Continuation, wire.Ping, wire.Close, 3} {
		if w, err := c.NextWriter(op); w != nil || !errors.Is(err, client.ErrNotData) {
			t.Errorf("a message of type %v: %v, %v", op, w, err)
		}
		check.Is(t, c.Send(op, nil), client.ErrNotData, "Send of a %v", op)
	}
}

// 6455-6.1-c, 6455-5.4-h: while a message is being written, other messages wait
// for its end; control frames do not (6455-5.4-b).
func TestOtherMessagesWaitForWriter(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		w := nextWriter(t, c, wire.Text)
		write(t, w, "fir")
		check.Must(t, c.SendText("before the first fragment"))
		check.Must(t, w.Flush())
		sent := make(chan error, 2)
		go func() { sent <- c.SendText("waits") }()
		synctest.Wait()
		other := nextWriter(t, c, wire.Text)
		go func() { sent <- other.Close() }()
		check.Must(t, c.SendPong([]byte("does not")))
		synctest.Wait()
		if len(sent) > 0 {
			t.Error("a message was sent inside of another")
		}
		write(t, w, "st")
		check.Must(t, w.Close())
		for range 2 {
			check.OK(t, <-sent)
		}
		f.want(1, wire.Text, "before the first fragment")
		f.want(0, wire.Text, "fir")
		f.want(1, wire.Pong, "does not")
		f.want(1, wire.Continuation, "st")
		got := map[string]bool{}
		for range 2 {
			frame, err := f.next()
			if err != nil || !frame.Fin || frame.Opcode != wire.Text {
				t.Fatalf("got %+v, %v", frame, err)
			}
			got[string(frame.Payload)] = true
		}
		if !got["waits"] || !got[""] {
			t.Errorf("got the messages %v", got)
		}
	})
}

// 6455-6.1-a: the end of the connection releases calls that wait for a writer,
// and the writer.
func TestWriterWhenConnectionEnds(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		w := nextWriter(t, c, wire.Text)
		write(t, w, "begun")
		check.Must(t, w.Flush())
		waiting := make(chan error)
		go func() { waiting <- c.SendText("waits") }()
		synctest.Wait()
		f.send(closeFrame(wire.GoingAway, "bye"))
		var closed *client.CloseError
		if _, err := c.Receive(t.Context()); !errors.As(err, &closed) {
			t.Fatal(err)
		}
		if err := <-waiting; !errors.As(err, &closed) {
			t.Errorf("the SendText that waited: %v", err)
		}
		write(t, w, "collected only")
		if n, err := nextWriter(t, c, wire.Binary).Write(make([]byte, 5000)); n != 0 || !errors.As(err, &closed) {
			t.Errorf("a large Write: %d, %v", n, err)
		}
		full := nextWriter(t, c, wire.Binary)
		write(t, full, strings.Repeat("x", 4000))
		if n, err := full.Write(make([]byte, 100)); n != 0 || !errors.As(err, &closed) {
			t.Errorf("a Write that flushes the buffer: %d, %v", n, err)
		}
		if err := w.Close(); !errors.As(err, &closed) {
			t.Errorf("the writer's Close: %v", err)
		}
		f.want(0, wire.Text, "begun")
		f.want(1, wire.Close, closePayload(wire.GoingAway, ""))
	})
}
