//go:build !race && !lockcheck

package permessage_test

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/wire"
)

// heap returns the number of bytes of heap memory in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // the second one drops the unused buffers of the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A connection with compression costs nothing until its first compressed
// message, and then its windows, as docs/compression.md says (T-B10).
func TestMemoryOfConnections(t *testing.T) {
	for _, c := range []struct {
		deflate  *permessage.Deflate
		messages int // more than the windows hold
		many     int // connections: the more, the less other memory matters
		most     int64
	}{
		{&permessage.Deflate{WindowBits: 9}, 8, 2000, 1<<10 + states},
		{&permessage.Deflate{}, 20, 500, 8<<10 + states},
		{&permessage.Deflate{WindowBits: 15}, 150, 50, 64<<10 + states},
		{&permessage.Deflate{Mode: permessage.NoContextTakeover}, 8, 2000, states},
	} {
		name := fmt.Sprintf("mode %d, %d bits", c.deflate.Mode, c.deflate.WindowBits)
		answer := c.deflate.Answer(parse(t, "permessage-deflate; client_max_window_bits"))
		compression, err := c.deflate.Accepted(answer)
		if err != nil {
			t.Fatal(err)
		}
		offered, err := c.deflate.Negotiated(answer)
		if err != nil {
			t.Fatal(err)
		}
		var in strings.Builder
		peer := endpoint.New(&in, endpoint.Config{Role: endpoint.Client, Compression: offered})
		for n := range c.messages {
			if err := peer.SendText(strings.Repeat(tick(n), 3)); err != nil { // above all thresholds
				t.Fatal(err)
			}
		}

		cfg := endpoint.NewSharedConfig(endpoint.Config{Role: endpoint.Server, Compression: compression})
		windows := c.most - states
		var idle, each int64
		fits := false
		for n := 0; n < attempts && !fits; n++ {
			idle, each = memoryOf(t, cfg, c.many, in.String(), func(e *endpoint.Endpoint, text []byte) error { return e.Send(wire.Text, text) })
			fits = each <= c.most && each >= windows-windows/50
		}
		if idle > 200+64 {
			t.Errorf("%s: an idle endpoint has %d bytes", name, idle)
		}
		t.Logf("%s: %d bytes, limit %d", name, each, c.most)
		if !fits {
			t.Errorf("%s: a connection costs %d bytes, want the windows and at most %d in all", name, each, c.most)
		}
	}
}

// attempts are the times that memory is measured. Goroutines of earlier tests may
// free some of theirs meanwhile.
const attempts = 10

// A connection to which only messages for all connections are sent has no window
// of the sender, also if it has received compressed ones.
func TestSharedMessagesNeedNoWindow(t *testing.T) {
	shared, err := endpoint.Prepare(wire.Text, []byte(strings.Repeat(tick(1), 20)))
	if err != nil {
		t.Fatal(err)
	}
	for _, budget := range []int64{0, 1 << 30} {
		deflate := &permessage.Deflate{MemoryBudget: budget}
		answer := deflate.Answer(parse(t, "permessage-deflate; client_no_context_takeover"))
		compression, err := deflate.Accepted(answer)
		if err != nil {
			t.Fatal(err)
		}
		offered, err := deflate.Negotiated(answer)
		if err != nil {
			t.Fatal(err)
		}
		var in strings.Builder
		peer := endpoint.New(&in, endpoint.Config{Role: endpoint.Client, Compression: offered})
		if err := peer.SendText(strings.Repeat(tick(0), 20)); err != nil {
			t.Fatal(err)
		}
		cfg := endpoint.NewSharedConfig(endpoint.Config{Role: endpoint.Server, Compression: compression})
		const most = 1 << 10 // less than the text
		each := int64(most)
		for n := 0; n < attempts && each >= most; n++ {
			_, each = memoryOf(t, cfg, 500, in.String(), func(e *endpoint.Endpoint, _ []byte) error { return e.SendPrepared(shared) })
		}
		if each >= most {
			t.Errorf("budget %d: a connection costs %d bytes", budget, each)
		}
	}
}

// memoryOf returns the bytes of an endpoint without messages, and of one that
// has received the frames in and sent replies, beside that. It makes many of
// them.
func memoryOf(t *testing.T, cfg *endpoint.SharedConfig, many int, in string, reply func(e *endpoint.Endpoint, text []byte) error) (idle, each int64) {
	before := heap()
	ends := make([]endpoint.Endpoint, many)
	for i := range ends {
		ends[i].Init(io.Discard, cfg)
	}
	idle = heap() - before
	for i := range ends {
		e := &ends[i]
		for b := []byte(in); len(b) > 0; {
			ev, n := e.Receive(time.Time{}, b)
			b = b[n:]
			if ev.Kind != endpoint.KindMessage {
				t.Fatalf("got %+v", ev)
			}
			if err := reply(e, ev.Payload); err != nil {
				t.Fatal(err)
			}
		}
		e.Receive(time.Time{}, nil)
	}
	each = (heap() - before - idle) / int64(many)
	runtime.KeepAlive(ends)
	return idle / int64(many), each
}

// states are the bytes beside the windows: the coder, of 80 bytes, the fields of
// the endpoint that hold it, of 24, and some of the runtime's.
const states = 120
