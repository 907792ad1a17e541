// Package servers_test checks that the benchmark's commands behave equally and
// describe themselves correctly.
package servers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/wire"
)

// peer is a server command, with its differences from the others.
type peer struct {
	name            string
	noTLS           bool
	noTopics        bool
	noWork          bool
	noDeflate       bool
	noTakeover      bool // of those with compression
	noWindowBits    bool // of those with compression
	reorders        bool // replies of a connection may be reordered
	splitsFragments bool // each fragment returns as a message
	blocksAll       bool // a handler that blocks delays every connection
	losesEmpty      bool // empty messages are not delivered
	notGo           bool // no figures of Go's heap
}

func peers() []peer {
	all := []peer{
		{name: "gorilla", noTakeover: true, noWindowBits: true},
		{name: "coder", noWindowBits: true},
		{name: "gobwas", noTakeover: true, noWindowBits: true},
		{name: "gws"},
		{name: "gws-parallel", reorders: true},
		{name: "xnet", noDeflate: true, splitsFragments: true},
		{name: "fasthttp", noTakeover: true, noWindowBits: true},
		{name: "fibersock"},
		{name: "nbio", noTakeover: true, noWindowBits: true, losesEmpty: true},
		{name: "gnet", noTopics: true, noWork: true, noTLS: true, noDeflate: true, blocksAll: true},
		{name: "minimal-go", noTopics: true, noWork: true, noDeflate: true},
		{name: "npm-ws", noWork: true, notGo: true},
	}
	if runtime.GOOS == "linux" {
		all = append(all, peer{name: "gobwas-poll", noTopics: true, noWork: true, noTLS: true, noDeflate: true})
	}
	if _, ok := compiler(); ok {
		all = append(all, peer{name: "minimal-c", noTopics: true, noWork: true, noTLS: true, noDeflate: true, blocksAll: true, notGo: true})
	}
	return all
}

// each runs f for every peer.
func each(t *testing.T, f func(t *testing.T, p peer)) {
	for _, p := range peers() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			f(t, p)
		})
	}
}

func TestFirstLineDescribesTheServer(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		s := start(t, p.name)
		if s.Name != p.name || s.Loop != "goroutines" && s.Loop != "epoll" || s.Notes == "" {
			t.Errorf("first line %+v", s.Hello)
		}
		want := versionInGoMod(t, s.Module)
		switch p.name {
		case "fibersock": // replaced by the module in the next folder
			want = "devel"
			s.Version, _, _ = strings.Cut(s.Version, "+")
		case "minimal-go":
			want = runtime.Version()
		case "minimal-c":
			want, _, _ = strings.Cut(s.Version, " ")
		case "npm-ws":
			want = versionInPackageJSON(t, "ws")
		}
		if !strings.HasPrefix(s.Version, want) || want == "" {
			t.Errorf("module %q, version %q, want %q", s.Module, s.Version, want)
		}
	})
}

func versionInGoMod(t *testing.T, module string) string {
	t.Helper()
	file, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(module) + ` (v\S+)`).FindSubmatch(file)
	if found == nil {
		return ""
	}
	return string(found[1])
}

func versionInPackageJSON(t *testing.T, name string) string {
	t.Helper()
	file, err := os.ReadFile("../../interop/peers/package.json")
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Dependencies map[string]string }
	if err := json.Unmarshal(file, &list); err != nil {
		t.Fatal(err)
	}
	return list.Dependencies[name]
}

func TestEchoOfEachLengthForm(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		c := start(t, p.name).dial()
		for _, size := range []int{0, 1, 32, 33, 125, 126, 4096, 65535, 65536, 1 << 20, 32} {
			if size == 0 && p.losesEmpty {
				continue
			}
			// A cut character would not be text.
			for _, want := range []wire.Frame{text(strings.Repeat("a", size)), binary(strings.Repeat("aλ", size/3+1)[:size])} {
				c.send(want)
				if m := c.frame(); !m.Fin || m.Opcode != want.Opcode || !bytes.Equal(m.Payload, want.Payload) {
					t.Fatalf("size %d, %v: got %d bytes, %v, FIN %t, or other ones", size, want.Opcode, len(m.Payload), m.Opcode, m.Fin)
				}
			}
		}
	})
}

func TestEchoOfFragmentedMessageAroundPing(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		c := start(t, p.name).dial()
		begun, empty := text("Hel"), full(wire.Continuation, "")
		begun.Fin, empty.Fin = false, false
		c.send(begun, ping("between"), empty, full(wire.Continuation, "lo"), ping("after"))
		var data []string
		var pongs []string
		begin := true
		for len(pongs) < 2 || !begin {
			f := c.frame()
			switch {
			case f.Opcode == wire.Pong:
				pongs = append(pongs, string(f.Payload))
				continue
			case begin:
				data = append(data, "")
			}
			data[len(data)-1] += string(f.Payload)
			begin = f.Fin
		}
		want := []string{"Hello"}
		if p.splitsFragments {
			want = []string{"Hel", "", "lo"}
		}
		if p.reorders && len(data) == 0 { // the pong was quicker
			data = append(data, string(c.message().Payload))
		}
		if !slices.Equal(data, want) || !slices.Equal(pongs, []string{"between", "after"}) {
			t.Errorf("messages %q, pongs %q", data, pongs)
		}
	})
}

func TestEchoOfManyInFlight(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		c := start(t, p.name).dial()
		for _, size := range []int{32, 125, 1000, 16 << 10} {
			frames := sixteen(size)
			c.send(frames...)
			c.wantReplies(frames, p.reorders)
		}
	})
}

// sixteen returns messages of a size, each other than the others.
func sixteen(size int) (frames []wire.Frame) {
	for i := range 16 {
		frames = append(frames, binary(strings.Repeat(string(rune(i+1)), size)))
	}
	return frames
}

// wantReplies reads the echoes of frames.
func (c *rawClient) wantReplies(frames []wire.Frame, inAnyOrder bool) {
	c.t.Helper()
	var got []wire.Frame
	for range frames {
		got = append(got, c.message())
	}
	if inAnyOrder {
		slices.SortFunc(got, func(a, b wire.Frame) int { return bytes.Compare(a.Payload, b.Payload) })
	}
	for i, f := range frames {
		if got[i].Opcode != f.Opcode || !bytes.Equal(got[i].Payload, f.Payload) {
			c.t.Fatalf("reply %d is not the echo: %v, %d bytes", i, got[i].Opcode, len(got[i].Payload))
		}
	}
}

func TestEchoOfMessageThatArrivesByteByByte(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		c := start(t, p.name).dial()
		frames := []wire.Frame{text("first"), text(strings.Repeat("z", 200))}
		for b := masked(frames...); len(b) > 0; b = b[1:] {
			c.write(b[:1])
		}
		c.wantReplies(frames, p.reorders)
	})
}

// A server must buffer output that the client does not read.
func TestEchoToClientThatReadsSlowly(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		c := start(t, p.name).dial()
		if err := c.conn.(*net.TCPConn).SetReadBuffer(256 << 10); err != nil {
			t.Fatal(err)
		}
		frames := sixteen(1 << 20)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			c.send(frames...)
		}()
		c.wantReplies(frames, p.reorders)
		<-sent
	})
}

func TestPingIsAnsweredWithItsPayload(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		c := start(t, p.name).dial()
		for _, size := range []int{0, 4, 125} {
			want := strings.Repeat("p", size)
			c.send(ping(want))
			if f := c.frame(); f.Opcode != wire.Pong || string(f.Payload) != want {
				t.Errorf("ping of %d bytes: got %v, %q", size, f.Opcode, f.Payload)
			}
		}
		c.send(full(wire.Pong, ""), text("on"))
		if m := c.message(); string(m.Payload) != "on" {
			t.Errorf("after a pong that answers nothing: %q", m.Payload)
		}
	})
}

func TestCloseIsAnsweredAndEndsTheConnection(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		s := start(t, p.name)
		other := s.dial()
		c := s.dial()
		c.send(text("last"))
		if m := c.message(); string(m.Payload) != "last" {
			t.Fatalf("got %q", m.Payload)
		}
		c.send(normalClose)
		if f := c.frame(); f.Opcode != wire.Close || !bytes.HasPrefix(f.Payload, normalClose.Payload) {
			t.Errorf("got %v, %q", f.Opcode, f.Payload)
		}
		c.wantEnd()
		other.send(text("still here"))
		if m := other.message(); string(m.Payload) != "still here" {
			t.Errorf("the other connection got %q", m.Payload)
		}
	})
}

func TestConnectionsDoNotMix(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		s := start(t, p.name)
		a, b := s.dial(), s.dial()
		for range 20 {
			a.send(text("of a"))
			b.send(text("of b"))
			if ma, mb := a.message(), b.message(); string(ma.Payload) != "of a" || string(mb.Payload) != "of b" {
				t.Fatalf("a got %q, b got %q", ma.Payload, mb.Payload)
			}
		}
	})
}

func TestBroadcastReachesAllConnections(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		s := start(t, p.name, "-broadcast")
		clients := []*rawClient{s.dial(), s.dial(), s.dial()}
		for _, c := range clients { // which then is in the room
			c.send(ping(""))
			c.frame()
		}
		for i, c := range clients {
			sent := text(strings.Repeat("x", 1+i*1000))
			if i == 1 {
				sent.Opcode = wire.Binary
			}
			c.send(sent)
			for _, to := range clients {
				to.wantReplies([]wire.Frame{sent}, false)
			}
		}
		clients[0].send(normalClose)
		clients[0].frame()
		clients[0].wantEnd()
		left := text("the others")
		clients[1].send(left)
		clients[1].wantReplies([]wire.Frame{left}, false)
		clients[2].wantReplies([]wire.Frame{left}, false)
	})
}

// A message reaches the subscribers of its sender's topic, and no others.
func TestMessagesReachTheirTopic(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		if p.noTopics {
			refuses(t, p.name, "-topics")
			return
		}
		s := start(t, p.name, "-topics")
		clients := []*rawClient{s.dial(), s.dial(), s.dial()}
		for i, c := range clients {
			c.send(binary(fmt.Sprintf("T%015d", i%2)))
			c.send(ping("")) // the subscription is made when its Pong arrives
			c.frame()
		}
		clients[1].send(text("odd"))
		clients[1].wantReplies([]wire.Frame{text("odd")}, false)
		clients[0].send(text("even"))
		for _, c := range []*rawClient{clients[0], clients[2]} {
			c.wantReplies([]wire.Frame{text("even")}, false)
		}
	})
}

func TestBlockingMessageDelaysOnlyItsConnection(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		s := start(t, p.name)
		slow, quick := s.dial(), s.dial()
		blocking := binary(strings.Repeat("B", serve.BlockingSize))
		begin := time.Now()
		slow.send(blocking)
		for _, other := range []wire.Frame{
			text(string(blocking.Payload)), binary(string(blocking.Payload[1:])), binary(strings.Repeat("C", serve.BlockingSize)),
		} {
			quick.send(other)
			quick.wantReplies([]wire.Frame{other}, false)
		}
		if took := time.Since(begin); took > 900*time.Millisecond && !p.blocksAll {
			t.Errorf("another connection waited for %v", took)
		}
		slow.wantReplies([]wire.Frame{blocking}, false)
		if took := time.Since(begin); took < time.Second || took > 3*time.Second {
			t.Errorf("the message took %v, want 1s and little more", took)
		}
	})
}

// No processor makes so many dependent steps in the shortest time.
func TestHandlersComputeBeforeTheyEcho(t *testing.T) {
	const steps, shortest = 50_000_000, 10 * time.Millisecond
	each(t, func(t *testing.T, p peer) {
		if p.noWork {
			refuses(t, p.name, "-work", "1")
			return
		}
		c := start(t, p.name, fmt.Sprint("-work=", steps)).dial()
		begin := time.Now()
		c.send(text("hello"))
		c.wantReplies([]wire.Frame{text("hello")}, false)
		if took := time.Since(begin); took < shortest {
			t.Errorf("the reply took %v", took)
		}
	})
}

// The self-description of a peer must be true.
func TestUTF8IsCheckedWhereItIsSaid(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		s := start(t, p.name)
		c := s.dial()
		c.send(text("κόσμε"))
		if m := c.message(); string(m.Payload) != "κόσμε" {
			t.Fatalf("got %q", m.Payload)
		}
		c.send(text("a\xff"))
		want := wire.Text
		if s.UTF8 {
			want = wire.Close
		}
		if f := c.frame(); f.Opcode != want {
			t.Errorf("utf8 %t, and text that is not UTF-8 was answered with %v, %q", s.UTF8, f.Opcode, f.Payload)
		}
	})
}

func TestMessageOverTheLimitIsRefused(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		c := start(t, p.name, "-max-message", "1000").dial()
		c.send(text(strings.Repeat("x", 1000)))
		if m := c.message(); len(m.Payload) != 1000 {
			t.Fatalf("got %d bytes", len(m.Payload))
		}
		c.send(text(strings.Repeat("x", 2000)))
		if f, err := c.readFrame(); err == nil && f.Opcode != wire.Close {
			t.Errorf("a message of twice the limit was answered with %v, %d bytes", f.Opcode, len(f.Payload))
		}
	})
}
