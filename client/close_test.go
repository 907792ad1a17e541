package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// closeCall is a call of Close in progress.
type closeCall struct {
	took time.Duration
	err  error
	done chan struct{}
}

func startClose(c *client.Conn, code wire.StatusCode, reason string) *closeCall {
	call := &closeCall{done: make(chan struct{})}
	start := time.Now()
	go func() {
		defer close(call.done)
		call.err = c.Close(code, reason)
		call.took = time.Since(start)
	}()
	return call
}

// over reports whether the call has returned. All other goroutines of the
// bubble must be blocked.
func (call *closeCall) over() bool {
	synctest.Wait()
	select {
	case <-call.done:
		return true
	default:
		return false
	}
}

// 6455-7.1.2-a, 6455-7.1.1-b, 6455-5.5.1-j, 6455-7.1.3-a: Close sends a Close
// with code and reason, waits for the server's, and then for the server to
// close TCP.
func TestClosingHandshake(t *testing.T) {
	for name, tt := range map[string]struct {
		code    wire.StatusCode
		reason  string
		payload string
		answer  []byte
	}{
		"code and reason":            {3001, "x", "\x0b\xb9x", closeFrame(3001, "")},
		"code":                       {wire.NormalClosure, "", "\x03\xe8", closeFrame(wire.NormalClosure, "")},
		"neither":                    {0, "", "", closeFrame(0, "")},
		"6455-5.5.1-k: both at once": {wire.GoingAway, "", "\x03\xe9", closeFrame(wire.InternalError, "my own")},
	} {
		subtestPiped(t, name, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
			if c.State() != client.Open || c.Err() != nil {
				t.Errorf("before: %v, %v", c.State(), c.Err())
			}
			call := startClose(c, tt.code, tt.reason)
			f.want(1, wire.Close, tt.payload)
			if call.over() || c.State() != client.Closing {
				t.Errorf("before the server's Close: %v, %v", c.State(), call.err)
			}
			f.send(tt.answer)
			if call.over() || c.State() != client.Closed {
				t.Errorf("before the end of TCP: %v, %v", c.State(), call.err)
			}
			f.nc.Close()
			if !call.over() || call.err != nil {
				t.Errorf("after the end of TCP: %v", call.err)
			}
			if frame, err := f.next(); err == nil {
				t.Errorf("one more frame: %v %q", frame.Opcode, frame.Payload)
			}
			var closed *client.CloseError
			if !errors.As(c.Err(), &closed) {
				t.Errorf("the connection ended with %v", c.Err())
			}
		})
	}
}

// 6455-5.5.1-j: Close waits at most CloseTimeout for a server that answers the
// Close and never closes TCP. The closing handshake is complete: there is no
// error.
func TestServerThatNeverClosesTCP(t *testing.T) {
	for name, tt := range map[string]struct {
		option, cut, want time.Duration // cut: when CloseNow is called; 0: never
	}{
		"default":            {0, 0, client.DefaultCloseTimeout},
		"set":                {time.Second, 0, time.Second},
		"CloseNow":           {0, time.Second, time.Second},
		"negative: CloseNow": {-1, 30 * time.Second, 30 * time.Second},
	} {
		subtestPiped(t, name, &client.Config{CloseTimeout: tt.option}, func(t *testing.T, c *client.Conn, f *farEnd) {
			if tt.cut > 0 {
				defer time.AfterFunc(tt.cut, func() { c.CloseNow() }).Stop()
			}
			f.send(closeFrame(wire.NormalClosure, ""))
			call := startClose(c, wire.NormalClosure, "")
			<-call.done
			if call.took != tt.want || call.err != nil {
				t.Errorf("Close returned after %v with %v", call.took, call.err)
			}
			f.want(1, wire.Close, "\x03\xe8")
			f.wantEnd()
		})
	}
	subtestPiped(t, "when the server closed first", nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		f.send(closeFrame(wire.GoingAway, ""))
		start := time.Now()
		var closed *client.CloseError
		if _, err := c.Receive(t.Context()); !errors.As(err, &closed) || time.Since(start) != 0 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		f.want(1, wire.Close, "\x03\xe9")
		f.wantEnd()
		if took := time.Since(start); took != client.DefaultCloseTimeout {
			t.Errorf("the client closed TCP after %v", took)
		}
	})
}

// The connection is aborted if the server never answers the Close.
func TestServerThatNeverAnswersClose(t *testing.T) {
	for name, tt := range map[string]struct {
		option, cut, want time.Duration // cut: when CloseNow is called; 0: never
		stream            []byte        // sent by the server in a loop
	}{
		"default":                          {0, 0, client.DefaultCloseTimeout, nil},
		"the option's time":                {time.Second, 0, time.Second, nil},
		"CloseNow":                         {0, time.Second, time.Second, nil},
		"negative: CloseNow":               {-1, 30 * time.Second, 30 * time.Second, nil},
		"6455-7.1.2-b: and sends messages": {0, 0, client.DefaultCloseTimeout, textFrame(strings.Repeat("x", 50_000))},
		"6455-7.1.2-b: and sends Pings":    {0, 0, client.DefaultCloseTimeout, pingFrame("")},
	} {
		subtestPiped(t, name, &client.Config{CloseTimeout: tt.option}, func(t *testing.T, c *client.Conn, f *farEnd) {
			streaming := make(chan struct{})
			go func() {
				defer close(streaming)
				for tt.stream != nil {
					if _, err := f.nc.Write(tt.stream); err != nil {
						return
					}
					time.Sleep(10 * time.Millisecond) // of the bubble's time
				}
			}()
			if tt.cut > 0 {
				defer time.AfterFunc(tt.cut, func() { c.CloseNow() }).Stop()
			}
			start := time.Now()
			err := c.Close(wire.NormalClosure, "")
			if took := time.Since(start); took != tt.want {
				t.Errorf("Close returned after %v", took)
			}
			var lost *client.LostError
			var timeout *client.TimeoutError
			switch {
			case tt.cut > 0:
				if err != client.ErrClosed {
					t.Errorf("Close returned %v", err)
				}
			case !errors.As(err, &lost) || !errors.As(err, &timeout) || timeout.Option != "CloseTimeout" || timeout.After != tt.want:
				t.Errorf("Close returned %v", err)
			}
			checkErrorText(t, err)
			if c.State() != client.Closed || c.Err() != err || c.CloseCode() != wire.AbnormalClosure {
				t.Errorf("the connection is %v: %v, code %v", c.State(), c.Err(), c.CloseCode())
			}
			<-streaming
		})
	}
}

// A writer that is blocked by a server that does not read delays Close and
// SendClose by no more than CloseTimeout.
func TestCloseBehindStalledWriter(t *testing.T) {
	for name, end := range map[string]func(c *client.Conn) error{
		"Close": func(c *client.Conn) error { return c.Close(wire.NormalClosure, "") },
		"SendClose": func(c *client.Conn) error {
			err := c.SendClose(wire.NormalClosure, "")
			if err == nil { // sent before the message
				_, err = c.Receive(t.Context())
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := tcpPair(t)
			c, _ := openOver(t, ours, theirs, &client.Config{CloseTimeout: 50 * time.Millisecond, WriteTimeout: -1})
			sent := make(chan error)
			go func() { sent <- c.SendBinary(make([]byte, 64<<20)) }()
			if err := end(c); err == nil {
				t.Error("the closing handshake was done")
			}
			check.Is(t, <-sent, net.ErrClosed, "the writer")
			check.Is(t, c.Err(), net.ErrClosed, "the end")
		})
	}
}

// 6455-5.5.1-l: concurrent and repeated calls of Close send one Close frame.
func TestCloseByMany(t *testing.T) {
	c, f := openTCP(t, nil)
	var done, own int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			err := c.Close(wire.NormalClosure, "")
			mu.Lock()
			defer mu.Unlock()
			var closed *client.CloseError
			switch {
			case err == nil:
				done++
			case errors.Is(err, client.ErrClosed), errors.As(err, &closed):
				own++
			default:
				t.Errorf("Close: %v", err)
			}
		})
	}
	f.want(1, wire.Close, "\x03\xe8")
	f.send(closeFrame(wire.NormalClosure, ""))
	f.hangUp()
	all.Wait()
	f.wantEnd()
	if done != 1 || own != 99 {
		t.Errorf("%d calls closed the connection, %d found it closed", done, own)
	}
	check.Is(t, c.Close(wire.NormalClosure, ""), net.ErrClosed, "Close of a closed connection")
}

// 6455-7.4-a,b,c,k, 6455-5.5.1-c, T-H05: Close refuses an invalid code or
// reason before it has any effect, and so does SendClose: the connection stays
// open, also after CloseTimeout.
func TestCloseThatCannotBeSent(t *testing.T) {
	piped(t, &client.Config{CloseTimeout: 1}, testCloseThatCannotBeSent)
}

func testCloseThatCannotBeSent(t *testing.T, c *client.Conn, f *farEnd) {
	for _, tt := range []struct {
		code   wire.StatusCode
		reason string
		want   error
	}{
		{wire.NoStatusReceived, "", wire.ErrStatusCode},
		{66536, "", wire.ErrStatusCode}, // 1000 in 16 bits
		{1000, strings.Repeat("x", 124), wire.ErrReasonTooLong},
		{1000, "\xff", wire.ErrInvalidUTF8},
		{0, "a reason", wire.ErrReasonWithoutCode},
	} {
		for name, end := range map[string]func(wire.StatusCode, string) error{"Close": c.Close, "SendClose": c.SendClose} {
			err := end(tt.code, tt.reason)
			var rule *wire.Error
			if !errors.Is(err, tt.want) || !errors.As(err, &rule) {
				t.Errorf("%s(%d, %.10q): %v", name, tt.code, tt.reason, err)
			}
			checkErrorText(t, err)
		}
	}
	time.Sleep(time.Second)
	synctest.Wait()
	if c.State() != client.Open || c.Err() != nil {
		t.Errorf("the connection is %v: %v", c.State(), c.Err())
	}
	f.send(textFrame("still open"))
	receiveWant(t, c, wire.Text, "still open")
	check.Must(t, c.SendText("nothing before"))
	f.want(1, wire.Text, "nothing before")
}

// 6455-5.5.1-e, 6455-5.1-e, 6455-6.1-a: after its Close the client sends only
// answers to Pings (6455-5.5.2-a), and after the server's Close not even those.
// Messages between the two are kept for Receive.
func TestAfterClose(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		begun := nextWriter(t, c, wire.Text)
		call := startClose(c, wire.NormalClosure, "")
		f.want(1, wire.Close, "\x03\xe8")
		f.send(textFrame("kept"), pingFrame("still answered"), firstFragment(wire.Text, "and "), lastFragment("this"))
		f.want(1, wire.Pong, "still answered")
		if call.over() {
			t.Fatal(call.err)
		}
		_, ping := c.Ping(t.Context())
		for name, err := range map[string]error{
			"SendText": c.SendText("x"), "SendBinary": c.SendBinary(nil), "SendJSON": c.SendJSON(1), "SendPong": c.SendPong(nil),
			"Ping": ping, "a message": begun.Close(), "Close": c.Close(1000, ""),
		} {
			check.Is(t, err, client.ErrClosed, "%s", name)
		}
		f.send(closeFrame(wire.NormalClosure, "bye"), pingFrame("too late"), textFrame("too late"))
		f.hangUp()
		<-call.done
		if call.err != nil {
			t.Error(call.err)
		}
		receiveWant(t, c, wire.Text, "kept")
		receiveWant(t, c, wire.Text, "and this")
		var closed *client.CloseError
		if m, err := c.Receive(t.Context()); !errors.As(err, &closed) || closed.Reason != "bye" {
			t.Errorf("received %v %q, %v", m.Opcode, m.Payload, err)
		}
		if frame, err := f.next(); err == nil {
			t.Errorf("one more frame: %v %q", frame.Opcode, frame.Payload)
		}
	})
}

// Close keeps a bounded number of bytes for Receive. It finds the server's
// Close behind any number of messages, also while no call receives.
func TestCloseKeepsABoundedBacklog(t *testing.T) {
	for name, message := range map[string][]byte{
		"messages":  binaryFrame(make([]byte, 100<<10)),
		"fragments": middleFragment(strings.Repeat("x", 100<<10)),
	} {
		t.Run(name, func(t *testing.T) {
			c, f := openTCP(t, nil)
			if name == "fragments" {
				f.send(firstFragment(wire.Binary, ""))
			}
			for range 50 {
				f.send(message)
			}
			if name == "fragments" {
				f.send(lastFragment(""))
			}
			f.send(closeFrame(wire.NormalClosure, ""))
			f.hangUp()
			check.OK(t, c.Close(wire.NormalClosure, ""))
			kept := 0
			for {
				m, err := c.Receive(t.Context())
				if err != nil {
					break
				}
				kept += len(m.Payload)
			}
			if kept > 1<<20+200<<10 {
				t.Errorf("%d bytes were kept", kept)
			}
		})
	}
}

// Close is called while another call receives.
func TestCloseWhileReceiving(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		received := make(chan string)
		go func() {
			for m, err := range c.Messages(context.Background()) {
				check.OK(t, err)
				received <- m.Text()
			}
			close(received)
		}()
		synctest.Wait()
		call := startClose(c, wire.NormalClosure, "")
		f.want(1, wire.Close, "\x03\xe8")
		f.send(textFrame("the last"), closeFrame(wire.NormalClosure, ""))
		if got := <-received; got != "the last" {
			t.Errorf("received %q", got)
		}
		if m, more := <-received; more {
			t.Errorf("received %q", m)
		}
		f.nc.Close()
		if <-call.done; call.err != nil {
			t.Error(call.err)
		}
	})
}

// If the server breaks the closing handshake, Close returns the cause.
func TestClosingHandshakeThatFails(t *testing.T) {
	for name, tt := range map[string]struct {
		end    func(f *farEnd)
		target any
	}{
		"a broken rule":       {func(f *farEnd) { f.send([]byte{0x83, 0}) }, new(*client.FailError)},
		"an invalid code":     {func(f *farEnd) { f.send([]byte{0x88, 2, 0x03, 0xed}) }, new(*client.FailError)},
		"the transport's end": {func(f *farEnd) { f.nc.Close() }, new(*client.LostError)},
	} {
		subtestPiped(t, name, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
			call := startClose(c, wire.NormalClosure, "")
			f.want(1, wire.Close, "\x03\xe8")
			tt.end(f)
			synctest.Wait()
			f.nc.Close()
			if <-call.done; !errors.As(call.err, tt.target) || !errors.Is(call.err, net.ErrClosed) {
				t.Errorf("Close: %v", call.err)
			}
			if frame, err := f.next(); err == nil {
				t.Errorf("6455-5.5.1-l: one more frame: %v %q", frame.Opcode, frame.Payload)
			}
		})
	}
}

// CloseNow sends nothing, returns at once, may be called again, and releases
// all blocked calls.
func TestCloseNow(t *testing.T) {
	ours, theirs := tcpPair(t)
	c, f := openOver(t, ours, theirs, &client.Config{WriteTimeout: -1})
	f.send(firstFragment(wire.Text, "begun"))
	r := nextReader(t, c)
	check.Must(t, check.Err(io.ReadFull(r, make([]byte, 5))))
	w := nextWriter(t, c, wire.Binary)
	var all sync.WaitGroup
	wait := func(name string, call func() error) {
		all.Go(func() {
			check.Is(t, call(), client.ErrClosed, "%s", name)
		})
	}
	wait("read", func() error { _, err := r.Read(make([]byte, 1)); return err })
	wait("write", func() error { _, err := w.Write(make([]byte, 64<<20)); return err })
	// The server's reads show that the large message is being sent; it never
	// reads all of it.
	check.Must(t, check.Err(io.ReadFull(f.nc, make([]byte, 1<<20))))
	wait("send", func() error { return c.SendText("x") })
	wait("ping", func() error { _, err := c.Ping(t.Context()); return err })
	for range 3 {
		check.OKf(t, c.CloseNow(), "CloseNow")
	}
	all.Wait()
	if c.State() != client.Closed || !errors.Is(c.Err(), client.ErrClosed) {
		t.Errorf("the connection is %v: %v", c.State(), c.Err())
	}
}

// A server closes with 4001 and closes TCP before the client reads the Close,
// so that the client's writes fail with "broken pipe". Close and Ping must
// return the code, not the failed write (python-websockets/websockets#349,
// boostorg/beast#802; 6455-7.1.5-a).
func TestCloseCodeIsReportedAfterAFailedWrite(t *testing.T) {
	for name, call := range map[string]func(ctx context.Context, c *client.Conn) error{
		"Close": func(ctx context.Context, c *client.Conn) error { return c.Close(wire.NormalClosure, "") },
		"Ping": func(ctx context.Context, c *client.Conn) error {
			_, err := c.Ping(ctx)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := tcpPair(t)
			c, _ := openOver(t, ours, theirs, nil)
			theirs.Write(append(textFrame("welcome"), closeFrame(4001, "token expired")...))
			theirs.Close()
			for c.SendText("subscribe") == nil { // until the reset has arrived
				runtime.Gosched()
			}
			var closed *client.CloseError
			if err := call(t.Context(), c); !errors.As(err, &closed) || closed.Code != 4001 || closed.Reason != "token expired" {
				t.Errorf("got %v", err)
			}
			receiveWant(t, c, wire.Text, "welcome")
			if _, err := c.Receive(t.Context()); !errors.As(err, &closed) {
				t.Errorf("Receive: %v", err)
			}
		})
	}
}

// Close after a failed write used to leave the transport open for ever
// (golang/go#10866, alpacax/alpamon#443), also if the server sent nothing more.
func TestCloseAfterAFailedWriteReleasesTheTransport(t *testing.T) {
	for name, hangs := range map[string]bool{"the server is gone": false, "reading goes on": true, "another call receives": true} {
		check.Bubble(t, name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			nc := &writeFails{Conn: ours}
			c, f := openOver(t, nc, theirs, nil)
			nc.fails.Store(true)
			if !hangs {
				f.nc.Close()
			}
			if err := c.SendText("x"); !errors.Is(err, io.ErrShortBuffer) {
				t.Fatalf("Send: %v", err)
			}
			if name == "another call receives" {
				go c.Receive(context.Background())
				synctest.Wait()
				check.Is(t, check.Err(c.Ping(t.Context())), io.ErrShortBuffer, "Ping")
			}
			start := time.Now()
			var lost *client.LostError
			if err := c.Close(wire.NormalClosure, ""); !errors.As(err, &lost) || !errors.Is(err, io.ErrShortBuffer) {
				t.Errorf("Close: %v", err)
			}
			if took := time.Since(start); took > time.Second || !hangs && took > 0 {
				t.Errorf("Close took %v", took)
			}
			if _, err := f.nc.Read(make([]byte, 1)); err != io.EOF && hangs {
				t.Errorf("the server got %v", err)
			}
			if !nc.closed.Load() {
				t.Error("the transport is open")
			}
		})
	}
}

// writeFails is a net.Conn whose writes fail while fails is set.
type writeFails struct {
	net.Conn
	fails, closed atomic.Bool
}

func (w *writeFails) Write(p []byte) (int, error) {
	if w.fails.Load() {
		return 0, io.ErrShortBuffer
	}
	return w.Conn.Write(p)
}

func (w *writeFails) Close() error {
	w.closed.Store(true)
	return w.Conn.Close()
}

// A message that is given up in the middle closes the connection with a Close
// that no call waits for. A later Close waits for the end, and releases the
// transport.
func TestCloseAfterAnAbandonedMessage(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		w := nextWriter(t, c, wire.Text)
		io.WriteString(w, "begun")
		check.Must(t, w.Flush())
		io.WriteString(w, "\xff")
		if err := w.Flush(); !errors.Is(err, wire.ErrInvalidUTF8) {
			t.Fatal(err)
		}
		f.want(0, wire.Text, "begun")
		f.want(1, wire.Close, "\x03\xef")
		call := startClose(c, wire.NormalClosure, "")
		if call.over() {
			t.Errorf("Close returned %v", call.err)
		}
		f.send(closeFrame(wire.InvalidFramePayloadData, ""))
		f.hangUp()
		if <-call.done; call.err != nil {
			t.Errorf("Close: %v", call.err)
		}
	})
}

// NextReader that waited when Close was called, and whose message the program
// then does not read, used to keep the server's Close from being found for the
// whole CloseTimeout.
func TestCloseDuringNextReader(t *testing.T) {
	for name, tt := range map[string]struct {
		message []byte
		reads   bool // a Read is in progress when Close is called
		err     error
		text    string
	}{
		"a whole message":         {textFrame("hello"), false, nil, "hello"},
		"a part of a message":     {firstFragment(wire.Text, "hel"), false, client.ErrReaderAbandoned, ""},
		"a Read that is the last": {middleFragment("lo"), true, client.ErrReaderAbandoned, ""},
	} {
		subtestPiped(t, name, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
			readers := make(chan io.Reader, 1)
			if tt.reads {
				f.send(firstFragment(wire.Text, "hel"))
			}
			go func() {
				_, r, err := c.NextReader(context.Background())
				check.OK(t, err)
				if tt.reads {
					io.ReadFull(r, make([]byte, 4))
				}
				readers <- r
			}()
			synctest.Wait()
			call := startClose(c, wire.NormalClosure, "")
			f.want(1, wire.Close, "\x03\xe8")
			f.send(tt.message)
			synctest.Wait()
			f.send(closeFrame(wire.NormalClosure, ""))
			time.Sleep(time.Second)
			f.nc.Close()
			if <-call.done; call.err != nil || call.took > time.Second {
				t.Errorf("Close returned %v after %v", call.err, call.took)
			}
			b, err := io.ReadAll(<-readers)
			if string(b) != tt.text || !errors.Is(err, tt.err) {
				t.Errorf("read %q, %v", b, err)
			}
		})
	}
}

// Close does not abandon a reader that is read slowly: the message is delivered
// to its end.
func TestCloseWhileAReaderIsInUse(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		f.send(firstFragment(wire.Text, "a"))
		r := nextReader(t, c)
		check.Must(t, check.Err(io.ReadFull(r, make([]byte, 1))))
		reading := make(chan string, 1)
		go func() {
			b, err := io.ReadAll(r)
			reading <- fmt.Sprintf("%s %v", b, err)
		}()
		synctest.Wait()
		call := startClose(c, wire.NormalClosure, "")
		f.want(1, wire.Close, "\x03\xe8")
		for range 20 {
			f.send(middleFragment("b"))
			time.Sleep(100 * time.Millisecond)
		}
		f.send(lastFragment("c"), closeFrame(wire.NormalClosure, ""))
		f.hangUp()
		check.Equal(t, <-reading, strings.Repeat("b", 20)+"c <nil>", "read")
		if <-call.done; call.err != nil {
			t.Error(call.err)
		}
	})
}

// After CloseNow, Receive used to return messages that had arrived before, and
// panicked at a Close among them if Config.Control was set.
func TestCloseNowDropsMessages(t *testing.T) {
	for _, control := range []bool{false, true} {
		piped(t, &client.Config{Control: control}, func(t *testing.T, c *client.Conn, f *farEnd) {
			f.send(append(append(textFrame("one"), textFrame("two")...), closeFrame(wire.NormalClosure, "")...))
			receiveWant(t, c, wire.Text, "one")
			check.OK(t, c.CloseNow())
			for range 3 {
				if m, err := c.Receive(t.Context()); !errors.Is(err, client.ErrClosed) || m.Opcode != 0 {
					t.Errorf("Receive: %v %q, %v", m.Opcode, m.Payload, err)
				}
			}
			check.Is(t, check.Err2(c.NextReader(t.Context())), client.ErrClosed, "NextReader")
		})
	}
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		f.send(textFrame("one"))
		r := nextReader(t, c)
		c.CloseNow()
		if b, err := io.ReadAll(r); len(b) > 0 || !errors.Is(err, client.ErrClosed) {
			t.Errorf("read %q, %v", b, err)
		}
	})
}

// SendClose sends a Close and does not wait. Messages are received until the
// server's Close arrives.
func TestSendClose(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		start := time.Now()
		check.Must(t, c.SendClose(wire.GoingAway, "later"))
		if c.State() != client.Closing || c.Err() != nil || c.CloseCode() != 0 {
			t.Errorf("the connection is %v: %v, code %v", c.State(), c.Err(), c.CloseCode())
		}
		f.want(1, wire.Close, "\x03\xe9later")
		check.Is(t, c.SendText("x"), client.ErrClosed, "Send after SendClose")
		check.Is(t, c.SendClose(wire.GoingAway, ""), client.ErrClosed, "a second SendClose")
		f.send(textFrame("late"), closeFrame(4000, "bye"))
		receiveWant(t, c, wire.Text, "late")
		var closed *client.CloseError
		if _, err := c.Receive(t.Context()); !errors.As(err, &closed) || closed.Code != 4000 {
			t.Errorf("Receive: %v", err)
		}
		if c.State() != client.Closed || c.CloseCode() != 4000 || c.CloseReason() != "bye" || time.Since(start) != 0 {
			t.Errorf("the connection is %v after %v: code %v %q", c.State(), time.Since(start), c.CloseCode(), c.CloseReason())
		}
		f.hangUp()
	})
}

// Close may be called after SendClose, in order to wait for the server.
func TestCloseAfterSendClose(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		check.Must(t, c.SendClose(wire.NormalClosure, ""))
		call := startClose(c, wire.GoingAway, "")
		if call.over() {
			t.Fatalf("Close has returned %v", call.err)
		}
		f.send(closeFrame(wire.NormalClosure, ""))
		f.hangUp()
		if <-call.done; call.err != nil {
			t.Errorf("Close: %v", call.err)
		}
		f.want(1, wire.Close, "\x03\xe8")
	})
}

// After SendClose the connection lasts for CloseTimeout at most, whether the
// server answers or the application receives.
func TestSendCloseWithoutAnAnswer(t *testing.T) {
	for name, receives := range map[string]bool{"nobody receives": false, "a call receives": true} {
		subtestPiped(t, name, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
			start := time.Now()
			check.Must(t, c.SendClose(wire.NormalClosure, ""))
			if receives {
				var timeout *client.TimeoutError
				if _, err := c.Receive(t.Context()); !errors.As(err, &timeout) || timeout.Option != "CloseTimeout" {
					t.Errorf("Receive: %v", err)
				}
			}
			f.want(1, wire.Close, "\x03\xe8")
			f.wantEnd()
			if took := time.Since(start); took != client.DefaultCloseTimeout || c.State() != client.Closed {
				t.Errorf("the connection is %v after %v: %v", c.State(), took, c.Err())
			}
		})
	}
}
