package permessage_test

import (
	"bytes"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/wire"
)

// link is a server's endpoint and its client's, which receives the messages.
type link struct {
	server, client *endpoint.Endpoint
	out            bytes.Buffer // of the server
}

func newLink(t *testing.T, deflate *permessage.Deflate) *link {
	t.Helper()
	answer := parse(t, "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10")
	ours, err := deflate.Accepted(answer)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := new(permessage.Deflate).Negotiated(answer)
	if err != nil {
		t.Fatal(err)
	}
	l := new(link)
	l.server = endpoint.New(&l.out, endpoint.Config{Role: endpoint.Server, Compression: ours})
	l.client = endpoint.New(new(bytes.Buffer), endpoint.Config{Role: endpoint.Client, Compression: theirs})
	return l
}

// send sends a text from the server to the client. It returns the size of the
// frame.
func (l *link) send(t *testing.T, text string) int {
	t.Helper()
	l.out.Reset()
	if err := l.server.SendText(text); err != nil {
		t.Fatal(err)
	}
	size := l.out.Len()
	if ev, _ := l.client.Receive(time.Time{}, l.out.Bytes()); ev.Kind != endpoint.KindMessage || string(ev.Payload) != text {
		t.Fatalf("received %+v", ev)
	}
	return size
}

// Beyond the budget, the senders that have been idle longest forget their
// windows; their clients notice nothing but larger messages.
func TestMemoryBudget(t *testing.T) {
	const windows = 10
	deflate := &permessage.Deflate{MemoryBudget: windows << 10}
	var links []*link
	for range 2 * windows {
		links = append(links, newLink(t, deflate))
	}
	fresh := links[0].send(t, tick(0))
	for n := range 50 {
		for _, l := range links[1:] {
			l.send(t, tick(n))
			if size := links[0].send(t, tick(n)); size > fresh/2 {
				t.Fatalf("a message of the busiest sender has %d bytes, %d without a window", size, fresh)
			}
		}
		if st := deflate.Stats(); st.Windows > windows<<10 {
			t.Fatalf("the windows have %d bytes", st.Windows)
		}
	}
	if st := deflate.Stats(); st.Windows < windows<<10/2 || st.Forgotten < 50 || st.Declined != 0 {
		t.Errorf("%+v", st)
	}
	runtime.KeepAlive(links)
}

// Windows of receivers cannot be forgotten: while they exceed the budget, new
// connections do without compression, on both sides.
func TestMemoryBudgetDeclines(t *testing.T) {
	deflate := &permessage.Deflate{MemoryBudget: 4 << 10}
	open := func() (answered, offered bool) {
		return deflate.Answer(parse(t, "permessage-deflate")) != nil, deflate.Offers() != nil
	}
	if answered, offered := open(); !answered || !offered {
		t.Fatal("declined within the budget")
	}
	var links []*link
	for range 8 {
		l := newLink(t, deflate)
		var in bytes.Buffer
		compression, _ := new(permessage.Deflate).Negotiated(parse(t, "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10"))
		client := endpoint.New(&in, endpoint.Config{Role: endpoint.Client, Compression: compression})
		for n := range 20 {
			in.Reset()
			if err := client.SendText(tick(n)); err != nil {
				t.Fatal(err)
			}
			if ev, _ := l.server.Receive(time.Time{}, in.Bytes()); ev.Kind != endpoint.KindMessage || string(ev.Payload) != tick(n) {
				t.Fatalf("received %+v", ev)
			}
		}
		links = append(links, l)
	}
	if st := deflate.Stats(); st.Windows < 8<<10 || st.Windows > 10<<10 {
		t.Errorf("%+v", st)
	}
	if answered, offered := open(); answered || offered {
		t.Error("accepted beyond the budget")
	}
	if st := deflate.Stats(); st.Declined != 2 {
		t.Errorf("%+v", st)
	}
	links[0].send(t, tick(1))
	links[0].send(t, tick(1)) // without a window
	runtime.KeepAlive(links)

	// The memory of ended connections is given back with the garbage.
	links = nil
	for deadline := time.Now().Add(time.Minute); deflate.Stats().Windows > 0 && time.Now().Before(deadline); {
		runtime.GC() // its cleanups are called later, by another goroutine
		runtime.Gosched()
	}
	if answered, offered := open(); !answered || !offered {
		t.Errorf("declined without connections: %+v", deflate.Stats())
	}
}

// Senders on many goroutines share a budget.
func TestMemoryBudgetOfManyGoroutines(t *testing.T) {
	deflate := &permessage.Deflate{MemoryBudget: 3 << 10}
	var all sync.WaitGroup
	for range 8 {
		l := newLink(t, deflate)
		all.Go(func() {
			for n := range 200 {
				l.out.Reset()
				m, err := l.server.NextWriter(wire.Text)
				if err == nil {
					err = m.WriteFragment([]byte(tick(n)), false)
				}
				if err == nil {
					err = m.WriteFragment([]byte(tick(n+1)), true)
				}
				if err != nil {
					t.Error(err)
					return
				}
				for b := l.out.Bytes(); len(b) > 0; {
					ev, used := l.client.Receive(time.Time{}, b)
					b = b[used:]
					if ev.Kind != endpoint.KindMessage || string(ev.Payload) != tick(n)+tick(n+1) {
						t.Errorf("received %+v", ev)
						return
					}
				}
			}
		})
	}
	all.Wait()
	if st := deflate.Stats(); st.Windows > 8<<10 || st.Forgotten == 0 {
		t.Errorf("%+v", st)
	}
}

// Messages for all connections, and messages that arrive in parts, count too.
func TestMemoryBudgetCountsEveryWindow(t *testing.T) {
	deflate := &permessage.Deflate{MemoryBudget: 1 << 20}
	l := newLink(t, deflate)
	if got := deflate.Stats().Windows; got != 0 {
		t.Errorf("%d bytes before the first message", got)
	}
	l.send(t, tick(1))
	sent := deflate.Stats().Windows
	m, err := endpoint.Prepare(wire.Text, []byte(tick(2)+tick(3)+tick(4)+tick(5)))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.server.SendPrepared(m); err != nil {
		t.Fatal(err)
	}
	if got := deflate.Stats().Windows; sent == 0 || got <= sent {
		t.Errorf("%d bytes after a message, %d after one for all", sent, got)
	}

	var in bytes.Buffer
	compression, _ := new(permessage.Deflate).Negotiated(parse(t, "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10"))
	client := endpoint.New(&in, endpoint.Config{Role: endpoint.Client, Compression: compression})
	if err := client.SendText(tick(1)); err != nil {
		t.Fatal(err)
	}
	before := deflate.Stats().Windows
	half := in.Len() / 2
	if ev, _ := l.server.Receive(time.Time{}, in.Bytes()[:half]); ev.Kind != endpoint.KindNone {
		t.Fatalf("received %+v", ev)
	}
	parked := deflate.Stats().Windows
	if parked <= before || parked > before+4<<10 { // without the tables
		t.Errorf("%d bytes inside a message, %d before it", parked, before)
	}
	if ev, _ := l.server.Receive(time.Time{}, in.Bytes()[half:]); ev.Kind != endpoint.KindMessage || string(ev.Payload) != tick(1) {
		t.Fatalf("received %+v", ev)
	}
	runtime.KeepAlive(l)
}
