package chaos

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/leakcheck"
	"github.com/fibersock/fibersock/internal/test/usage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// The checks of a run can fail: each sees the fault that it is for, and no
// fault in a history without one.

// testTarget returns a target whose server is never started.
func testTarget(policy server.SlowPolicy) *target {
	r := &round{
		recorder: new(recorder), run: &run{covered: map[string]int{}}, name: "a round", long: true,
		conns: make(map[uint32]*conn), ended: make(chan struct{}),
	}
	t := &target{round: r, form: forms[0], policy: policy, srv: r.newServer(0, policy)}
	r.targets = []*target{t}
	return t
}

// testConn returns a connection of t, with a peer that behaves.
func testConn(t *target) *conn {
	return &conn{
		id: 7, target: t, style: "/message", kind: kinds[0], faithful: true, began: time.Now(),
		sent: map[uint32]uint32{}, sending: map[uint32]time.Time{}, trouble: map[string]action{},
	}
}

// wantViolation checks that one violation was found, or none if want is "".
func wantViolation(t *testing.T, r *round, i invariant, want string) {
	t.Helper()
	switch {
	case want == "" && len(r.found) > 0:
		t.Errorf("found %+v", r.found)
	case want == "":
	case len(r.found) != 1 || r.found[0].invariant != i || !strings.Contains(r.found[0].detail, want):
		t.Errorf("found %+v, want %q with %q", r.found, i, want)
	}
}

func TestLifecycleSeesFaults(t *testing.T) {
	for _, c := range []struct{ events, want string }{
		{"+Open -Open +Message -Message +Close -Close", ""},
		{"+Open -Open +Message !Message +Error -Error +Close -Close", ""},
		{"", ""}, // never open
		{"+Open -Open +Message -Message", "1 calls of Open and 0 of Close"},
		{"+Open -Open +Close -Close +Close -Close", "Close is called after Close"},
		{"+Open -Open +Close -Close +Message -Message", "Message is called after Close"},
		{"+Open -Open +Open -Open +Close -Close", "a second Open"},
		{"+Message -Message +Open -Open +Close -Close", "Message is called before Open"},
		{"+Close -Close", "Close is called before Open"},
		{"+Open -Open +Message +Writable -Message -Writable +Close -Close", "Writable is called while Message runs"},
		{"+Open -Open +Message +Close -Close", "Close is called while Message runs"},
		{"+Open -Open +Error -Error +Error -Error +Close -Close", "a second Error"},
		{"+Open -Open +Error -Error +Message -Message +Close -Close", "Message is called after Error"},
		{"+Open -Open +Message !Message +Message -Message +Close -Close", "Message is called after a panic"},
		{"+Open -Open +Close", "the handler of Close has not returned"},
	} {
		var l lifecycle
		var errs []error
		for event := range strings.FieldsSeq(c.events) {
			switch name := event[1:]; event[0] {
			case '+':
				errs = append(errs, l.enter(name))
			case '!':
				l.leave("a panic")
			default:
				l.leave("")
			}
		}
		err := errors.Join(append(errs, l.final())...)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.events, err, c.want)
		}
	}
}

func TestParseSeesEveryByte(t *testing.T) {
	for _, size := range []int{headSize, 126, 127, 70_000, 200_000} {
		m := message{action: actBurst, source: 5, seq: 9, arg: 3}
		p := m.append(nil, size)
		if got, err := parse(p); err != nil || got != m || len(p) != size {
			t.Fatalf("%+v of %d bytes, %v", got, len(p), err)
		}
		for i := 0; i < size; i += 1 + size/500 {
			p[i] ^= 1
			if _, err := parse(p); err == nil {
				t.Errorf("of %d bytes, byte %d is wrong, and that is not seen", size, i)
			}
			p[i] ^= 1
		}
		if _, err := parse(p[:size-1]); err == nil {
			t.Error("a byte less is not seen")
		}
		if _, err := parse(append(p[:size:size], 'x')); err == nil {
			t.Error("a byte more is not seen")
		}
	}
}

func TestStreamsSeeFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		drops server.SlowPolicy
		seqs  []uint32
		from  uint32
		want  string
	}{
		{name: "in order", seqs: []uint32{0, 1, 2}},
		{name: "exchanged", seqs: []uint32{0, 2, 1}, want: "message 2 of stream 3 arrived, message 1 is missing"},
		{name: "lost", seqs: []uint32{0, 2}, want: "arrived, message 1 is missing"},
		{name: "the first is lost", seqs: []uint32{1}, want: "arrived, message 0 is missing"},
		{name: "doubled", seqs: []uint32{0, 0}, want: "message 0 of stream 3 arrived after message 0"},
		{name: "dropped", drops: server.SlowDropOldest, seqs: []uint32{4, 9}},
		{name: "dropped and exchanged", drops: server.SlowDropOldest, seqs: []uint32{4, 9, 8}, want: "arrived after message 9"},
		{name: "a broadcast that began before", from: broadcast, seqs: []uint32{5, 6, 7}},
		{name: "Send has reported the dropped message", drops: server.SlowDropNewest, seqs: []uint32{0, 2}, want: "arrived, message 1 is missing"},
		{name: "a broadcast that was dropped", drops: server.SlowDropNewest, from: broadcast, seqs: []uint32{5, 7}},
		{name: "a broadcast with a gap", from: broadcast, seqs: []uint32{5, 7}, want: "arrived, message 6 is missing"},
	} {
		s := streams{drops: c.drops}
		var err error
		for _, seq := range c.seqs {
			err = errors.Join(err, s.check(message{source: 3 | c.from, seq: seq}))
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// A server that breaks the rules is seen by its peer.
func TestPeerSeesFaults(t *testing.T) {
	frame := func(op wire.Opcode, fin bool, p []byte) []byte {
		return wire.AppendFrame(nil, wire.Header{Fin: fin, Opcode: op}, p)
	}
	own := func(seq uint32) []byte {
		return frame(opcodeOf(seq), true, message{source: 7, seq: seq}.append(nil, 100))
	}
	damaged := own(0)
	damaged[50] ^= 1
	closing := frame(wire.Close, true, []byte{3, 0xe8})
	for _, c := range []struct {
		name   string
		frames [][]byte
		i      invariant
		want   string
	}{
		{"no fault", [][]byte{own(0), own(1), frame(wire.Ping, true, nil), closing}, "", ""},
		{"a Pong after the Close", [][]byte{closing, frame(wire.Pong, true, []byte("ping 0"))}, "", ""},
		{"damaged", [][]byte{damaged}, intact, "wrong checksum"},
		{"exchanged", [][]byte{own(1), own(0)}, intact, "message 0 is missing"},
		{"wrong type", [][]byte{frame(wire.Binary, true, message{source: 7}.append(nil, 100))}, intact, "has type binary"},
		{"data after the Close", [][]byte{closing, own(0)}, protocol, "the frame follows a Close"},
		{"two Closes", [][]byte{closing, closing}, protocol, "the frame follows a Close"},
		{"masked", [][]byte{wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Ping, Masked: true}, nil)}, protocol, "masked"},
		{"a reserved bit", [][]byte{{0xc9, 0}}, protocol, "reserved bits"},
		{"messages mixed", [][]byte{frame(wire.Text, false, nil), own(0)}, protocol, "another message has not ended"},
		{"nothing to continue", [][]byte{frame(wire.Continuation, true, nil)}, protocol, "no message to continue"},
		{"a reserved opcode", [][]byte{{0x83, 0}}, protocol, "cannot be read"},
		{"an unasked Pong", [][]byte{frame(wire.Pong, true, []byte("ping 1"))}, protocol, "answers no Ping"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := testTarget(server.SlowClose)
			target.memory = wstest.Listen(nil)
			served := make(chan error, 1)
			go func() {
				nc, err := target.memory.Accept()
				if err != nil {
					served <- err
					return
				}
				defer nc.Close()
				var request [1 << 10]byte
				if _, err = nc.Read(request[:]); err == nil {
					_, err = nc.Write(append([]byte("HTTP/1.1 101 Switching Protocols\r\n\r\n"), slices.Concat(c.frames...)...))
				}
				served <- err
			}()
			p := &peer{conn: testConn(target), ctx: t.Context(), rnd: newRand(1, 1)}
			p.pings.Store(1)
			if err := p.connect(); err != nil {
				t.Fatal(err)
			}
			p.finish()
			if err := <-served; err != nil {
				t.Error(err)
			}
			wantViolation(t, target.round, c.i, c.want)
			target.memory.Close()
		})
	}
}

// The end of a connection is held against both ends' histories.
func TestFinalSeesFaults(t *testing.T) {
	clean := func() *peerEnd {
		return &peerEnd{err: io.EOF, closed: true, sentClose: true, sentCode: 1000, messages: 2, received: map[uint32]uint32{7: 2}}
	}
	cut := &server.LostError{Err: &server.BacklogError{Max: 1}}
	for _, c := range []struct {
		name   string
		policy server.SlowPolicy
		mutate func(k *conn)
		i      invariant
		want   string
	}{
		{"no fault", 0, func(k *conn) {}, "", ""},
		{"Close is missing", 0, func(k *conn) { k.life = lifecycle{opened: 1} }, oneLife, "0 of Close"},
		{"Close twice", 0, func(k *conn) { k.life.closed = 2 }, oneLife, "2 of Close"},
		{"Open is missing", 0, func(k *conn) { k.life = lifecycle{} }, oneLife, "Open was not called"},
		{"no connection", 0, func(k *conn) { k.life, k.upgraded = lifecycle{}, false }, deserved, "cannot connect"},
		{"a message of Send has not arrived", 0, func(k *conn) { k.sent[7] = 3 }, delivered, "Send has accepted 3 messages of stream 7, 2 have arrived"},
		{"the policy has dropped it", server.SlowDropOldest, func(k *conn) { k.sent[7] = 3 }, "", ""},
		{"a message of the peer has not arrived", 0, func(k *conn) { k.handled.Store(1) }, delivered, "handlers have received 1"},
		{"another code", 0, func(k *conn) { k.why = &server.CloseError{Code: 1001} }, deserved, "the peer has sent the code 1000"},
		{"the Close has not arrived", 0, func(k *conn) { k.end.closed = false }, deserved, "has not arrived"},
		{"lost", 0, func(k *conn) { k.why = &server.LostError{Err: io.EOF} }, deserved, "the connection is lost"},
		{"failed", 0, func(k *conn) { k.why = &server.FailError{Code: 1002, Err: wire.ErrInvalidUTF8} }, deserved, "has failed"},
		{"cut for its backlog", server.SlowClose, func(k *conn) { k.why = cut }, "", ""},
		{"cut for its backlog, against the policy", server.SlowDropNewest, func(k *conn) { k.why = cut }, deserved, "the policy is to drop"},
		{"cut by the program", 0, func(k *conn) { k.why = server.ErrClosed; k.disturbed.Store(true) }, "", ""},
		{"cut without a reason", 0, func(k *conn) { k.why = server.ErrClosed }, deserved, "the connection is lost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := testTarget(c.policy)
			k := testConn(target)
			k.life = lifecycle{opened: 1, closed: 1}
			k.upgraded, k.why = true, &server.CloseError{Code: 1000}
			k.handled.Store(2)
			k.sent[7] = 2
			k.end = clean()
			k.note("history of the peer")
			c.mutate(k)
			target.final(k)
			wantViolation(t, target.round, c.i, c.want)
			for _, v := range target.found {
				if !strings.Contains(v.history, "connection 7: TCP, /message") || !strings.Contains(v.history, "history of the peer") || v.round != "a round" {
					t.Errorf("the report lacks the history: %+v", v)
				}
			}
		})
	}
}

func TestStatsFaultsAreSeen(t *testing.T) {
	good := func() server.Stats {
		st := server.Stats{Accepted: 3, Unfinished: 1, Panics: 1}
		st.Refused.Status4xx = 1
		st.Ended.ByClient, st.Ended.Lost = 2, 1
		st.Received.Messages, st.Sent.Messages = 10, 20
		return st
	}
	for _, c := range []struct {
		mutate func(st *server.Stats)
		want   string
	}{
		{func(*server.Stats) {}, ""},
		{func(st *server.Stats) { st.Open = 1 }, "Open 1"},
		{func(st *server.Stats) { st.Opening = 1 }, "Opening 1"},
		{func(st *server.Stats) { st.Backlog = 102 }, "Backlog 102"},
		{func(st *server.Stats) { st.Blocked = 1 }, "Blocked 1"},
		{func(st *server.Stats) { st.Ended.Lost = 0 }, "are 2, Accepted 3"},
		{func(st *server.Stats) { st.Panics = 0 }, "Panics 0, there were 1 to 1"},
		{func(st *server.Stats) { st.Received.Messages = 9 }, "handlers have received 10"},
		{func(st *server.Stats) { st.Sent.Messages = 19 }, "peers have received 20"},
		{func(st *server.Stats) { st.Unfinished = 0 }, "connected 5 times"},
		{func(st *server.Stats) { st.Timeouts.Write = 1 }, "all limits are a minute"},
		{func(st *server.Stats) { st.BacklogPeak = 1 << 30 }, "BacklogPeak"},
	} {
		target := testTarget(server.SlowClose)
		target.opens.Store(3)
		target.panics.Store(1)
		target.handled.Store(10)
		target.dialed.Store(5)
		st := good()
		c.mutate(&st)
		problems := target.statsProblems(st, 20)
		if (len(problems) == 0) != (c.want == "") || c.want != "" && !strings.Contains(strings.Join(problems, "\n"), c.want) {
			t.Errorf("%q, want %q", problems, c.want)
		}
	}
}

// A descriptor and a goroutine that are left are seen.
func TestLeaksAreDetected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := testTarget(server.SlowClose)
		target.checkReleased(leakcheck.Snapshot(), usage.Files())
		wantViolation(t, target.round, released, "")

		before, files := leakcheck.Snapshot(), usage.Files()
		if files > 0 { // else the system does not show them
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			target.checkReleased(before, files)
			f.Close()
			wantViolation(t, target.round, released, fmt.Sprintf("%d descriptors are open, %d were before", files+1, files))
		}

		target = testTarget(server.SlowClose)
		before, files = leakcheck.Snapshot(), usage.Files()
		release := make(chan struct{})
		go func() { <-release }()
		target.checkReleased(before, files)
		close(release)
		wantViolation(t, target.round, released, "1 goroutines are left")
	})
}

// A blocked server is detected, although the waiting clients request nothing
// meanwhile.
func TestStandstillIsSeen(t *testing.T) {
	for standstill, want := range map[time.Duration]string{0: "", time.Second: "", 3 * time.Second: "99th percentile"} {
		target := testTarget(server.SlowClose)
		for range 1000 {
			target.echoes.add(time.Millisecond)
		}
		target.echoes.add(standstill)
		target.checkEchoes()
		wantViolation(t, target.round, prompt, want)
	}
}

func TestStallClockSums(t *testing.T) {
	var s stallClock
	began := time.Now()
	s.add(began.Add(time.Second), time.Second)
	s.add(began.Add(3*time.Second), 2*time.Second)
	for at, want := range map[time.Duration]time.Duration{0: 3 * time.Second, 2 * time.Second: 2 * time.Second, 4 * time.Second: 0} {
		if got := s.since(began.Add(at)); got != want {
			t.Errorf("since %v: %v, want %v", at, got, want)
		}
	}
}

func TestMissingCoverageIsSeen(t *testing.T) {
	r := &run{covered: map[string]int{}}
	r.checkCoverage()
	if want := 1 + len(forms) + len(styles) + len(policies) + len(kinds); r.counts[coverage] != want {
		t.Errorf("%d are missing, want %d", r.counts[coverage], want)
	}
}

// The history keeps the beginning and the end.
func TestHistoryKeepsBothEnds(t *testing.T) {
	k := testConn(testTarget(server.SlowClose))
	for i := range 1000 {
		k.note("event %d.", i)
	}
	text := k.history()
	for _, want := range []string{"event 0.", "event 999.", "event 970.", "… 952 events"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if lines := strings.Count(text, "\n"); lines != historySize+2 {
		t.Errorf("%d lines", lines)
	}
	if i, j := strings.Index(text, "event 998."), strings.Index(text, "event 999."); i > j {
		t.Error("the events are out of order")
	}
}
