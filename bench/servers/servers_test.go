// Package servers_test checks that the benchmark's commands behave equally and
// describe themselves correctly.
package servers_test

import (
	"bytes"
	"net"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/bench/internal/serve"
)

// peer is a server command, with its differences from the others.
type peer struct {
	name            string
	noTLS           bool
	noDeflate       bool
	reorders        bool // replies of a connection may be reordered
	splitsFragments bool // each fragment returns as a message
	blocksAll       bool // a handler that blocks delays every connection
}

func peers() []peer {
	all := []peer{
		{name: "gorilla"},
		{name: "coder"},
		{name: "gobwas"},
		{name: "gws"},
		{name: "gws-parallel", reorders: true},
		{name: "xnet", noDeflate: true, splitsFragments: true},
		{name: "fasthttp"},
		{name: "fibersock", noDeflate: true},
		{name: "minimal-go", noDeflate: true},
	}
	if runtime.GOOS == "linux" {
		all = append(all, peer{name: "gobwas-poll", noTLS: true, noDeflate: true})
	}
	if _, ok := compiler(); ok {
		all = append(all, peer{name: "minimal-c", noTLS: true, noDeflate: true, blocksAll: true})
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

func TestEchoOfEachLengthForm(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		c := start(t, p.name).dial()
		for _, size := range []int{0, 1, 32, 33, 125, 126, 4096, 65535, 65536, 1 << 20, 32} {
			for _, opcode := range []byte{opText, opBinary} {
				want := bytes.Repeat([]byte("aλ"), size/3+1)[:size]
				if opcode == opText { // which a cut character would not be
					want = bytes.Repeat([]byte("a"), size)
				}
				c.send(frame{fin: true, opcode: opcode, payload: want})
				m := c.frame()
				if !m.fin || m.opcode != opcode || !bytes.Equal(m.payload, want) {
					t.Fatalf("size %d, opcode %d: got %d bytes, opcode %d, FIN %t, or other ones", size, opcode, len(m.payload), m.opcode, m.fin)
				}
			}
		}
	})
}

func TestEchoOfFragmentedMessageAroundPing(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		c := start(t, p.name).dial()
		c.send(
			frame{opcode: opText, payload: []byte("Hel")},
			frame{fin: true, opcode: opPing, payload: []byte("between")},
			frame{opcode: opContinuation, payload: nil},
			frame{fin: true, opcode: opContinuation, payload: []byte("lo")},
			frame{fin: true, opcode: opPing, payload: []byte("after")},
		)
		var data []string
		var pongs []string
		begin := true
		for len(pongs) < 2 || !begin {
			f := c.frame()
			switch {
			case f.opcode == opPong:
				pongs = append(pongs, string(f.payload))
				continue
			case begin:
				data = append(data, "")
			}
			data[len(data)-1] += string(f.payload)
			begin = f.fin
		}
		want := []string{"Hello"}
		if p.splitsFragments {
			want = []string{"Hel", "", "lo"}
		}
		if p.reorders && len(data) == 0 { // the pong was quicker
			data = append(data, string(c.message().payload))
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
			var frames []frame
			for i := range byte(16) {
				frames = append(frames, frame{fin: true, opcode: opBinary, payload: bytes.Repeat([]byte{i + 1}, size)})
			}
			c.send(frames...)
			c.wantReplies(frames, p.reorders)
		}
	})
}

// wantReplies reads the echoes of frames.
func (c *rawClient) wantReplies(frames []frame, inAnyOrder bool) {
	c.t.Helper()
	var got []frame
	for range frames {
		got = append(got, c.message())
	}
	if inAnyOrder {
		slices.SortFunc(got, func(a, b frame) int { return bytes.Compare(a.payload, b.payload) })
	}
	for i, f := range frames {
		if got[i].opcode != f.opcode || !bytes.Equal(got[i].payload, f.payload) {
			c.t.Fatalf("reply %d is not the echo: opcode %d, %d bytes", i, got[i].opcode, len(got[i].payload))
		}
	}
}

func TestEchoOfMessageThatArrivesByteByByte(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		c := start(t, p.name).dial()
		frames := []frame{
			{fin: true, opcode: opText, payload: []byte("first")},
			{fin: true, opcode: opText, payload: bytes.Repeat([]byte("z"), 200)},
		}
		var wire []byte
		for _, f := range frames {
			wire = f.appendMasked(wire)
		}
		for i := range wire {
			c.write(wire[i : i+1])
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
		var frames []frame
		for i := range byte(16) {
			frames = append(frames, frame{fin: true, opcode: opBinary, payload: bytes.Repeat([]byte{i + 1}, 1<<20)})
		}
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
			want := bytes.Repeat([]byte("p"), size)
			c.send(frame{fin: true, opcode: opPing, payload: want})
			if f := c.frame(); f.opcode != opPong || !bytes.Equal(f.payload, want) {
				t.Errorf("ping of %d bytes: got opcode %d, %q", size, f.opcode, f.payload)
			}
		}
		c.send(frame{fin: true, opcode: opPong}, frame{fin: true, opcode: opText, payload: []byte("on")})
		if m := c.message(); string(m.payload) != "on" {
			t.Errorf("after a pong that answers nothing: %q", m.payload)
		}
	})
}

func TestCloseIsAnsweredAndEndsTheConnection(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		s := start(t, p.name)
		other := s.dial()
		c := s.dial()
		c.send(frame{fin: true, opcode: opText, payload: []byte("last")})
		if m := c.message(); string(m.payload) != "last" {
			t.Fatalf("got %q", m.payload)
		}
		c.send(frame{fin: true, opcode: opClose, payload: []byte{1000 >> 8, 1000 & 0xff}})
		if f := c.frame(); f.opcode != opClose || !bytes.HasPrefix(f.payload, []byte{1000 >> 8, 1000 & 0xff}) {
			t.Errorf("got opcode %d, %q", f.opcode, f.payload)
		}
		c.wantEnd()
		other.send(frame{fin: true, opcode: opText, payload: []byte("still here")})
		if m := other.message(); string(m.payload) != "still here" {
			t.Errorf("the other connection got %q", m.payload)
		}
	})
}

func TestConnectionsDoNotMix(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		s := start(t, p.name)
		a, b := s.dial(), s.dial()
		for range 20 {
			a.send(frame{fin: true, opcode: opText, payload: []byte("of a")})
			b.send(frame{fin: true, opcode: opText, payload: []byte("of b")})
			if ma, mb := a.message(), b.message(); string(ma.payload) != "of a" || string(mb.payload) != "of b" {
				t.Fatalf("a got %q, b got %q", ma.payload, mb.payload)
			}
		}
	})
}

func TestBroadcastReachesAllConnections(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		s := start(t, p.name, "-broadcast")
		clients := []*rawClient{s.dial(), s.dial(), s.dial()}
		for _, c := range clients { // which then is in the room
			c.send(frame{fin: true, opcode: opPing})
			c.frame()
		}
		for i, c := range clients {
			sent := frame{fin: true, opcode: opText, payload: bytes.Repeat([]byte("x"), 1+i*1000)}
			if i == 1 {
				sent.opcode = opBinary
			}
			c.send(sent)
			for _, to := range clients {
				to.wantReplies([]frame{sent}, false)
			}
		}
		clients[0].send(frame{fin: true, opcode: opClose, payload: []byte{1000 >> 8, 1000 & 0xff}})
		clients[0].frame()
		clients[0].wantEnd()
		left := frame{fin: true, opcode: opText, payload: []byte("the others")}
		clients[1].send(left)
		clients[1].wantReplies([]frame{left}, false)
		clients[2].wantReplies([]frame{left}, false)
	})
}

func TestBlockingMessageDelaysOnlyItsConnection(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		s := start(t, p.name)
		slow, quick := s.dial(), s.dial()
		blocking := frame{fin: true, opcode: opBinary, payload: bytes.Repeat([]byte("B"), serve.BlockingSize)}
		begin := time.Now()
		slow.send(blocking)
		for _, other := range []frame{
			{fin: true, opcode: opText, payload: blocking.payload},
			{fin: true, opcode: opBinary, payload: blocking.payload[1:]},
			{fin: true, opcode: opBinary, payload: bytes.Repeat([]byte("C"), serve.BlockingSize)},
		} {
			quick.send(other)
			quick.wantReplies([]frame{other}, false)
		}
		if took := time.Since(begin); took > 900*time.Millisecond && !p.blocksAll {
			t.Errorf("another connection waited for %v", took)
		}
		slow.wantReplies([]frame{blocking}, false)
		if took := time.Since(begin); took < time.Second || took > 3*time.Second {
			t.Errorf("the message took %v, want 1s and little more", took)
		}
	})
}

// The self-description of a peer must be true.
func TestUTF8IsCheckedWhereItIsSaid(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		s := start(t, p.name)
		c := s.dial()
		c.send(frame{fin: true, opcode: opText, payload: []byte("κόσμε")})
		if m := c.message(); string(m.payload) != "κόσμε" {
			t.Fatalf("got %q", m.payload)
		}
		c.send(frame{fin: true, opcode: opText, payload: []byte("a\xff")})
		want := byte(opText)
		if s.UTF8 {
			want = opClose
		}
		if f := c.frame(); f.opcode != want {
			t.Errorf("utf8 %t, and text that is not UTF-8 was answered with opcode %d, %q", s.UTF8, f.opcode, f.payload)
		}
	})
}

func TestMessageOverTheLimitIsRefused(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		c := start(t, p.name, "-max-message", "1000").dial()
		c.send(frame{fin: true, opcode: opText, payload: bytes.Repeat([]byte("x"), 1000)})
		if m := c.message(); len(m.payload) != 1000 {
			t.Fatalf("got %d bytes", len(m.payload))
		}
		c.send(frame{fin: true, opcode: opText, payload: bytes.Repeat([]byte("x"), 2000)})
		if f, err := readFrame(c.in); err == nil && f.opcode != opClose {
			t.Errorf("a message of twice the limit was answered with opcode %d, %d bytes", f.opcode, len(f.payload))
		}
	})
}
