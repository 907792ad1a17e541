package sockets_test

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/client/sockets"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// counting is the handler of a server that answers "N" with the texts "0" to
// "N-1", and "end" with a Close.
var counting = server.Handler{Message: func(c *server.Conn, _ wire.Opcode, p []byte) {
	n, err := strconv.Atoi(string(p))
	if err != nil {
		_ = c.Close(wire.NormalClosure, "")
	}
	for i := range n {
		_ = c.SendText(strconv.Itoa(i))
	}
}}

// send sends a message to an echo server, and waits until every effect of it is
// received.
func send(t *testing.T, set *sockets.Set, name, text string) {
	t.Helper()
	check.OK(t, set.Send(name, text))
	synctest.Wait()
}

// numbers returns the texts of from to to-1.
func numbers(from, to int) []string {
	var list []string
	for i := from; i < to; i++ {
		list = append(list, strconv.Itoa(i))
	}
	return list
}

// wantMessages checks the result of Messages.
func wantMessages(t *testing.T, set *sockets.Set, name string, limit int, want []string) {
	t.Helper()
	list, err := set.Messages(name, limit)
	var got []string
	for _, m := range list {
		got = append(got, m.Text())
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Messages with limit %d: %q, %v, want %q", limit, got, err, want)
	}
}

// wantDropped checks the counters of dropped messages.
func wantDropped(t *testing.T, set *sockets.Set, name string, byReceive, byHandler uint64) {
	t.Helper()
	info, err := set.Info(name)
	if err != nil || info.Dropped != byReceive || info.HandlerDropped != byHandler {
		t.Errorf("%+v, %v, want %d dropped before Receive and %d before the handler", info, err, byReceive, byHandler)
	}
}

// T-H14
func TestReceiveTimeoutIsNoDisconnect(t *testing.T) {
	for _, c := range []struct{ timeout, want time.Duration }{
		{0, 10 * time.Second},
		{time.Millisecond, time.Millisecond},
		{time.Minute, time.Minute},
	} {
		check.Bubble(t, c.timeout.String(), func(t *testing.T) {
			var set sockets.Set
			connect(t, &set, "x", &sockets.Options{Config: serve(t, echo)})
			start := time.Now()
			_, err := set.Receive("x", c.timeout)
			wantTimeout(t, err, fmt.Sprintf(`websocket: connection "x": no message for %v`, c.want))
			if time.Since(start) != c.want || !set.IsConnected("x") {
				t.Errorf("after %v, connected: %t", time.Since(start), set.IsConnected("x"))
			}
			send(t, &set, "x", "hello")
			wantText(t, &set, "x", "hello")
		})
	}
}

func TestReceiveWithoutTimeoutWaits(t *testing.T) {
	withSet(t, echo, sockets.Options{}, func(t *testing.T, set *sockets.Set) {
		time.AfterFunc(24*time.Hour, func() { _ = set.Send("x", "at last") })
		if m, err := set.Receive("x", -1); err != nil || m.Text() != "at last" {
			t.Errorf("%q, %v", m.Text(), err)
		}
	})
}

func TestEachMessageGoesToOneReceive(t *testing.T) {
	withSet(t, counting, sockets.Options{}, func(t *testing.T, set *sockets.Set) {
		const receivers = 20
		got := make(chan string, receivers)
		for range receivers {
			go func() {
				m, err := set.Receive("x", 0)
				check.OK(t, err)
				got <- m.Text()
			}()
		}
		synctest.Wait()
		send(t, set, "x", strconv.Itoa(receivers))
		var all []string
		for range receivers {
			all = append(all, <-got)
		}
		slices.Sort(all)
		want := numbers(0, receivers)
		slices.Sort(want)
		if !slices.Equal(all, want) {
			t.Errorf("received %q", all)
		}
	})
}

func TestRestIsReceivedAfterTheEnd(t *testing.T) {
	withSet(t, counting, sockets.Options{}, func(t *testing.T, set *sockets.Set) {
		send(t, set, "x", "2")
		send(t, set, "x", "end")
		wantMessages(t, set, "x", 0, numbers(0, 2))
		wantText(t, set, "x", "0")
		wantText(t, set, "x", "1")
		for range 2 {
			_, err := set.Receive("x", 0)
			wantNotOpen(t, "Receive", err, "x")
		}
		wantMessages(t, set, "x", 0, numbers(0, 2))
	})
}

func TestMessagesAreTheNewest(t *testing.T) {
	withSet(t, counting, sockets.Options{}, func(t *testing.T, set *sockets.Set) {
		wantMessages(t, set, "x", 0, nil)
		send(t, set, "x", "150")
		for limit, want := range map[int][]string{
			0:   numbers(100, 150), // the default
			3:   numbers(147, 150),
			1e9: numbers(50, 150),
			-1:  numbers(50, 150), // the default of MaxHistory
		} {
			wantMessages(t, set, "x", limit, want)
		}
	})
}

func TestHistoryIsAsLargeAsTheOptionsSay(t *testing.T) {
	for _, c := range []struct {
		name string
		opts sockets.Options
		want []string
	}{
		{"as many messages", sockets.Options{MaxHistory: 7}, numbers(993, 1000)},
		{"as many bytes", sockets.Options{MaxHistoryBytes: 8}, numbers(998, 1000)},
		{"more than the default", sockets.Options{MaxHistory: 2000, MaxHistoryBytes: -1}, numbers(0, 1000)},
	} {
		check.Bubble(t, c.name, func(t *testing.T) {
			c.opts.Config = serve(t, counting)
			var set sockets.Set
			connect(t, &set, "x", &c.opts)
			send(t, &set, "x", "1000")
			wantMessages(t, &set, "x", -1, c.want)
			wantDropped(t, &set, "x", uint64(1000-len(c.want)), 0)
			wantText(t, &set, "x", c.want[0])
			wantDropped(t, &set, "x", uint64(1000-len(c.want)), 0)
		})
	}
}

func TestHistoryIsBoundedByOneMiBByDefault(t *testing.T) {
	withSet(t, echo, sockets.Options{}, func(t *testing.T, set *sockets.Set) {
		for range 3 {
			check.Must(t, set.Send("x", make([]byte, 512<<10)))
		}
		synctest.Wait()
		if list, err := set.Messages("x", -1); err != nil || len(list) != 2 {
			t.Errorf("%d messages of 512 KiB are kept, %v", len(list), err)
		}
	})
}

func TestWithoutHistoryReceivedMessagesAreReleased(t *testing.T) {
	withSet(t, counting, sockets.Options{DropReceived: true}, func(t *testing.T, set *sockets.Set) {
		send(t, set, "x", "3")
		wantText(t, set, "x", "0")
		wantMessages(t, set, "x", -1, numbers(1, 3))
		handled := collect(t, set)
		synctest.Wait()
		if !slices.Equal(*handled, numbers(1, 3)) {
			t.Errorf("handled %q", *handled)
		}
		wantMessages(t, set, "x", -1, nil)
		wantDropped(t, set, "x", 0, 0)
		_, err := set.Receive("x", time.Second)
		wantTimeout(t, err, `websocket: connection "x": no message for 1s`)
	})
}

// T-H09
func TestMessageIsTheProgramsOwn(t *testing.T) {
	withSet(t, echo, sockets.Options{}, func(t *testing.T, set *sockets.Set) {
		spoil := func(m client.Message) {
			if m.Text() != "hello" {
				t.Errorf("got %q", m.Text())
			}
			copy(m.Payload, "xxxxx")
		}
		check.Must(t, set.OnMessage("x", spoil))
		send(t, set, "x", "hello")
		list, err := set.Messages("x", 0)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		spoil(list[0])
		m, err := set.Receive("x", 0)
		check.Must(t, err)
		spoil(m)
		wantMessages(t, set, "x", 0, []string{"hello"})
	})
}

func TestControlMessagesAreReceivedIfAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := serve(t, server.Handler{Message: func(c *server.Conn, _ wire.Opcode, p []byte) {
			if string(p) == "ping" {
				_ = c.SendPing([]byte("p"))
			} else {
				_ = c.Close(wire.GoingAway, "bye")
			}
		}})
		cfg.Control = true
		var set sockets.Set
		connect(t, &set, "x", &sockets.Options{Config: cfg})
		send(t, &set, "x", "ping")
		send(t, &set, "x", "end")
		if m, err := set.Receive("x", 0); err != nil || m.Opcode != wire.Ping || m.Text() != "p" {
			t.Errorf("%+v, %v, want the Ping", m, err)
		}
		if m, err := set.Receive("x", 0); err != nil || m.Opcode != wire.Close || m.Code != wire.GoingAway || m.Reason != "bye" {
			t.Errorf("%+v, %v, want the Close", m, err)
		}
		_, err := set.Receive("x", 0)
		wantNotOpen(t, "Receive", err, "x")
	})
}

func TestHandlerGetsAllInOrderAndSoDoesReceive(t *testing.T) {
	withSet(t, counting, sockets.Options{}, func(t *testing.T, set *sockets.Set) {
		send(t, set, "x", "2") // before the handler is set
		wantText(t, set, "x", "0")
		handled := collect(t, set)
		send(t, set, "x", "50")
		check.Slices(t, *handled, append([]string{"1"}, numbers(0, 50)...), "handled")
		for _, want := range append([]string{"1"}, numbers(0, 50)...) {
			wantText(t, set, "x", want)
		}
		wantDropped(t, set, "x", 0, 0)
	})
}

// T-C09: a blocked handler does not block the reader.
func TestBlockedHandlerDoesNotBlockTheReader(t *testing.T) {
	withSet(t, counting, sockets.Options{MaxHistory: 10}, func(t *testing.T, set *sockets.Set) {
		release := make(chan struct{})
		var handled []string
		check.Must(t, set.OnMessage("x", func(m client.Message) {
			<-release
			handled = append(handled, m.Text())
		}))
		send(t, set, "x", "1")    // blocks the handler
		send(t, set, "x", "1000") // it returns after all are read
		check.OKf(t, check.Err(set.Ping("x")), "Ping")
		wantMessages(t, set, "x", 2, numbers(998, 1000))
		wantDropped(t, set, "x", 991, 990)
		close(release)
		synctest.Wait()
		check.Slices(t, handled, append([]string{"0"}, numbers(990, 1000)...), "handled")
		wantDropped(t, set, "x", 991, 990)
	})
}

func TestHandlerReplacesTheFormerOne(t *testing.T) {
	withSet(t, counting, sockets.Options{}, func(t *testing.T, set *sockets.Set) {
		var first, second []string
		handle := func(handler func(client.Message)) {
			check.OK(t, set.OnMessage("x", handler))
		}
		handle(func(m client.Message) {
			first = append(first, m.Text())
			if m.Text() == "2" {
				handle(func(m client.Message) { second = append(second, m.Text()) })
			}
		})
		send(t, set, "x", "5")
		if !slices.Equal(first, numbers(0, 3)) || !slices.Equal(second, numbers(3, 5)) {
			t.Errorf("handled %q and %q", first, second)
		}
	})
}

func TestHandlerGetsTheRestAfterTheEnd(t *testing.T) {
	withSet(t, counting, sockets.Options{}, func(t *testing.T, set *sockets.Set) {
		send(t, set, "x", "3")
		send(t, set, "x", "end")
		var handled []string
		handler := func(m client.Message) { handled = append(handled, m.Text()) }
		check.Must(t, set.OnMessage("x", handler))
		synctest.Wait()
		if !slices.Equal(handled, numbers(0, 3)) {
			t.Errorf("handled %q", handled)
		}
		wantNotOpen(t, "OnMessage when nothing is left", set.OnMessage("x", handler), "x")
	})
}

func TestHandlerIsNotCalledAfterClose(t *testing.T) {
	withSet(t, counting, sockets.Options{}, func(t *testing.T, set *sockets.Set) {
		release := make(chan struct{})
		var handled []string
		check.Must(t, set.OnMessage("x", func(m client.Message) {
			handled = append(handled, m.Text())
			<-release
		}))
		send(t, set, "x", "3")
		check.OKf(t, set.Close("x"), "Close")
		close(release)
		synctest.Wait()
		if !slices.Equal(handled, numbers(0, 1)) {
			t.Errorf("handled %q", handled)
		}
	})
}

func TestHandlerMayUseItsOwnConnection(t *testing.T) {
	withSet(t, echo, sockets.Options{}, func(t *testing.T, set *sockets.Set) {
		result := make(chan error, 1)
		check.Must(t, set.OnMessage("x", func(m client.Message) {
			if m.Text() == "again" {
				result <- set.Close("x")
				return
			}
			_, err := set.Ping("x")
			result <- errors.Join(err, set.Send("x", "again"))
		}))
		send(t, set, "x", "hello")
		for range 2 {
			check.OK(t, <-result)
		}
	})
}

func TestHandlerThatPanicsEndsItsConnection(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler func(client.Message)
		value   any
		text    string
	}{
		{"panic", func(client.Message) { panic("oh no") }, "oh no", "oh no"},
		{"runtime.Goexit", func(client.Message) { runtime.Goexit() }, client.ErrGoexit, "runtime.Goexit was called"},
	} {
		check.Bubble(t, c.name, func(t *testing.T) {
			codes := make(chan wire.StatusCode, 1)
			h := counting
			h.Close = func(_ *server.Conn, code wire.StatusCode, _ string) { codes <- code }
			cfg := serve(t, h)
			var set sockets.Set
			connect(t, &set, "x", &sockets.Options{Config: cfg})
			connect(t, &set, "other", &sockets.Options{Config: cfg})
			check.Must(t, set.OnMessage("x", c.handler))
			send(t, &set, "x", "1")
			if code := <-codes; code != wire.InternalError {
				t.Errorf("the server received the code %v", code)
			}
			wantText(t, &set, "x", "0") // Receive returns it all the same
			for call, err := range calls(&set, "x") {
				wantNotOpen(t, call, err, "x")
				var failed *client.FailError
				var panicked *client.PanicError
				if !errors.As(err, &failed) || failed.Code != wire.InternalError || !errors.As(err, &panicked) || panicked.Value != c.value {
					t.Fatalf("%s: %v", call, err)
				}
				if !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), c.text) || !strings.Contains(string(panicked.Stack), "messages_test.go") {
					t.Errorf("%s: %v\n%s", call, err, panicked.Stack)
				}
			}
			if !set.IsConnected("other") {
				t.Error("another connection has ended too")
			}
		})
	}
}

func TestHandlerAfterOneThatPanickedGetsTheRest(t *testing.T) {
	withSet(t, counting, sockets.Options{}, func(t *testing.T, set *sockets.Set) {
		send(t, set, "x", "3")
		check.Must(t, set.OnMessage("x", func(client.Message) { panic("oh no") }))
		synctest.Wait()
		handled := collect(t, set)
		synctest.Wait()
		if !slices.Equal(*handled, numbers(1, 3)) {
			t.Errorf("handled %q", *handled)
		}
	})
}
