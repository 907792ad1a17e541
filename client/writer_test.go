package client_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/wire"
)

// nextWriter begins a message.
func nextWriter(t *testing.T, c *client.Conn, op wire.Opcode) *client.MessageWriter {
	t.Helper()
	w, err := c.NextWriter(op)
	if err != nil {
		t.Fatal(err)
	}
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
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil { // empty: no frame
		t.Fatal(err)
	}
	write(t, w, "thr")
	write(t, w, "ee")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f.want(0, wire.Text, "one")
	f.want(0, wire.Continuation, "two")
	f.want(1, wire.Continuation, "three")

	w = nextWriter(t, c, wire.Binary)
	write(t, w, "small")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f.want(1, wire.Binary, "small")

	if err := nextWriter(t, c, wire.Text).Close(); err != nil {
		t.Fatal(err)
	}
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
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	frames := 0
	for last := false; !last; frames++ {
		frame, err := f.next()
		if err != nil {
			t.Fatal(err)
		}
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

// 6455-5.6-a: a fragment of a text may end inside a code point, at every byte.
func TestWriterCutsInsideCodePoints(t *testing.T) {
	c, f := openTCP(t, nil)
	const text = "aä€𝄞"
	w := nextWriter(t, c, wire.Text)
	for i := range len(text) {
		write(t, w, text[i:i+1])
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for last := false; !last; {
		frame, err := f.next()
		if err != nil {
			t.Fatal(err)
		}
		got, last = append(got, frame.Payload...), frame.Fin
	}
	if string(got) != text {
		t.Errorf("the message is %q", got)
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
		if err := w.Close(); !errors.Is(err, wire.ErrInvalidUTF8) {
			t.Errorf("Close: %v", err)
		}
		if _, err := w.Write([]byte("more")); !errors.Is(err, client.ErrMessageFinished) {
			t.Errorf("Write after it: %v", err)
		}
		if err := c.SendText("next"); err != nil {
			t.Error(err)
		}
		f.want(1, wire.Text, "next")
	})
	t.Run("a part sent", func(t *testing.T) {
		c, f := openTCP(t, nil)
		w := nextWriter(t, c, wire.Text)
		write(t, w, "begun")
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		write(t, w, "\xff")
		if err := w.Flush(); !errors.Is(err, wire.ErrInvalidUTF8) {
			t.Errorf("Flush: %v", err)
		}
		f.want(0, wire.Text, "begun")
		f.want(1, wire.Close, closePayload(wire.InvalidFramePayloadData, ""))
		if err := c.SendText("next"); !errors.Is(err, client.ErrClosed) {
			t.Errorf("SendText after it: %v", err)
		}
	})
}

// A message ends once.
func TestWriterThatIsFinished(t *testing.T) {
	c, f := openTCP(t, nil)
	w := nextWriter(t, c, wire.Text)
	write(t, w, "all")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, written := w.Write([]byte("more"))
	for name, err := range map[string]error{"Close": w.Close(), "Flush": w.Flush(), "Write": written} {
		if !errors.Is(err, client.ErrMessageFinished) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	if err := c.SendText("next"); err != nil {
		t.Error(err)
	}
	f.want(1, wire.Text, "all")
	f.want(1, wire.Text, "next")
	for _, op := range []wire.Opcode{wire.Continuation, wire.Ping, wire.Close, 3} {
		if w, err := c.NextWriter(op); w != nil || !errors.Is(err, client.ErrNotData) {
			t.Errorf("a message of type %v: %v, %v", op, w, err)
		}
		if err := c.Send(op, nil); !errors.Is(err, client.ErrNotData) {
			t.Errorf("Send of a %v: %v", op, err)
		}
	}
}

// 6455-6.1-c, 6455-5.4-h: while a message is being written, other messages wait
// for its end; control frames do not (6455-5.4-b).
func TestOtherMessagesWaitForWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := openPipe(t, nil)
		w := nextWriter(t, c, wire.Text)
		write(t, w, "fir")
		if err := c.SendText("before the first fragment"); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		sent := make(chan error, 2)
		go func() { sent <- c.SendText("waits") }()
		synctest.Wait()
		other := nextWriter(t, c, wire.Text)
		go func() { sent <- other.Close() }()
		if err := c.SendPong([]byte("does not")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(sent) > 0 {
			t.Error("a message was sent inside of another")
		}
		write(t, w, "st")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-sent; err != nil {
				t.Error(err)
			}
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
	synctest.Test(t, func(t *testing.T) {
		c, f := openPipe(t, nil)
		w := nextWriter(t, c, wire.Text)
		write(t, w, "begun")
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
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
