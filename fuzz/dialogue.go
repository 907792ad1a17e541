package fuzz

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// Dialogue reads data as a program for a client and a server, connected by a
// pipe that an adversary controls. The program selects calls, valid and
// invalid, fragments, the number of bytes that the pipe delivers, closes,
// limits, and the point at which the transport breaks. After the program an
// intact transport delivers all bytes, and one endpoint closes.
//
// Messages must arrive complete, in order and once. A successful call writes a
// frame; a failed one writes and changes nothing. After the end nothing is sent
// or delivered. Both endpoints report the end that the peer's frames imply. No
// endpoint writes more than calls and answers require.
func Dialogue(data []byte) int {
	p := &program{data[:min(len(data), 1<<10)]}
	d := newDialogue(p.byte(), p.byte())
	for p.more() && !d.cut {
		d.step(p)
	}
	d.finish()
	return worth(len(d.client.events)+len(d.server.events) > 0)
}

// dialogue is a client and a server with the record of all calls.
type dialogue struct {
	client, server *side
	cut            bool // the transport has ended
}

func newDialogue(client, server byte) *dialogue {
	d := &dialogue{client: newSide(client &^ 1), server: newSide(server | 1)}
	d.client.peer, d.server.peer = d.server, d.client
	return d
}

// step executes the next bytes of the program.
func (d *dialogue) step(p *program) {
	code := p.byte()
	s := d.client
	if code&1 != 0 {
		s = d.server
	}
	switch code >> 1 % 12 {
	case 0:
		s.send(wire.Text, []byte(repeat(p.uint16())))
	case 1:
		s.send(wire.Binary, []byte(strings.Repeat("\xff\x00", p.uint16())))
	case 2:
		s.send(wire.Opcode(p.byte()), p.bytes(int(p.byte()%4)))
	case 3:
		s.fragment(wire.Text, int(p.byte()), false)
	case 4:
		s.fragment(wire.Binary, int(p.byte()), p.byte()&1 != 0)
	case 5:
		s.control("ping", s.engine.Ping, p.text())
	case 6:
		s.control("pong", s.engine.Pong, p.text())
	case 7:
		s.close(wire.StatusCode(p.uint16()), p.text())
	case 8, 9:
		s.deliver(1 + int(p.byte()))
	case 10:
		s.deliver(1 + p.uint16())
	case 11:
		if what := p.byte(); what < 32 {
			s.written.broken, s.written.room = true, int(what)
		} else if what == 255 {
			d.cut = true
		}
	}
}

// finish lets everything through, and makes the client close.
func (d *dialogue) finish() {
	whole := !d.cut && !d.client.written.broken && !d.server.written.broken
	if whole {
		d.settle()
		d.client.finishMessage()
		d.server.finishMessage()
		d.client.close(wire.NormalClosure, "done")
		d.settle()
	}
	for _, s := range []*side{d.client, d.server} {
		if whole && (s.engine.State() != endpoint.Closed || s.engine.Err() == nil) {
			violated("when one side has closed and all has come through, both know the end", "%s: state %v, error %v", s, s.engine.State(), s.engine.Err())
		}
		s.lose()
		s.check(whole)
	}
}

// settle delivers until both endpoints are idle.
func (d *dialogue) settle() {
	for d.client.pending()+d.server.pending() > 0 {
		d.client.deliver(d.server.pending())
		d.server.deliver(d.client.pending())
	}
}

// side is one end of a dialogue.
type side struct {
	*player
	peer   *side
	limits limits

	sent      []string // messages to the peer, in order
	written   *transport
	delivered int // how many bytes of written the peer has had
	calls     int // that wrote a frame
	answered  int // Pings

	message  *endpoint.MessageWriter // being sent in fragments
	content  []byte                  // of it, as far as it is sent
	received []byte                  // delivered to this side
}

func newSide(kind byte) *side {
	cfg, limits := streamConfig(kind)
	p := newPlayer(cfg)
	return &side{player: p, written: &p.written, limits: limits}
}

func (s *side) String() string {
	if s.client {
		return "client"
	}
	return "server"
}

// letters is a text in which there are code points of every length.
const letters = "aé€😀"

// repeat returns a text of about n bytes.
func repeat(n int) string { return strings.Repeat(letters, n/len(letters)) }

// able reports whether a call can send.
func (s *side) able() bool { return s.engine.State() == endpoint.Open && !s.written.broken }

// call makes a call that sends one frame, or is wrong, and reports whether it
// sent it.
func (s *side) call(what string, legal bool, call func() error) bool {
	able, before, state := s.able(), s.written.Len(), s.engine.State()
	broken := s.written.broken
	err := call()
	wrote := s.written.Len() - before
	if want := able && legal; (err == nil) != want || (wrote > 0) != want && !broken {
		violated("a call that is right on a connection that is open sends a frame, any other fails and sends nothing",
			"%s %s: legal is %v, state %v, broken is %v: error %v, %d bytes written", s, what, legal, state, broken, err, wrote)
	}
	if after := s.engine.State(); !legal && after != state {
		violated("a call that is wrong changes nothing", "%s %s: state %v, then %v", s, what, state, after)
	}
	if err == nil {
		s.calls++
	}
	return err == nil
}

// fragmenting reports whether a message is incomplete, which blocks other
// messages.
func (s *side) fragmenting() bool {
	return s.message != nil && s.message.Began() && !s.message.Done() && s.engine.State() == endpoint.Open
}

func (s *side) send(op wire.Opcode, payload []byte) {
	if s.fragmenting() {
		return
	}
	bad, complete := decodeUTF8(payload)
	legal := op == wire.Binary || op == wire.Text && bad < 0 && complete
	kept := string(payload)
	if s.call("send", legal, func() error { return s.engine.Send(op, payload) }) {
		s.sent = append(s.sent, messageEvent(op, payload))
	}
	if string(payload) != kept {
		violated("sent payloads stay unchanged", "%q became %q", kept, payload)
	}
}

// fragment sends the next n bytes of a message, which begins if there is none.
func (s *side) fragment(op wire.Opcode, n int, final bool) {
	if s.message == nil || s.message.Done() {
		s.message, _ = s.engine.NextWriter(op)
		s.content = nil
	}
	end := len(s.content) + n
	if s.message.Opcode() == wire.Text && final {
		end += (len(letters) - end%len(letters)) % len(letters)
	}
	piece := []byte(strings.Repeat(letters, end/len(letters)+1)[len(s.content):end])
	if !s.call("fragment", true, func() error { return s.message.WriteFragment(piece, final) }) {
		return
	}
	s.content = append(s.content, piece...)
	if final {
		s.sent = append(s.sent, messageEvent(s.message.Opcode(), s.content))
	}
}

// finishMessage sends the last fragment of a message that is under way.
func (s *side) finishMessage() {
	if s.fragmenting() {
		s.fragment(s.message.Opcode(), 0, true)
	}
}

func (s *side) control(what string, send func([]byte) error, payload string) {
	if s.call(what, len(payload) <= 125, func() error { return send([]byte(payload)) }) {
		s.sent = append(s.sent, fmt.Sprintf("%s %q", what, payload))
	}
}

func (s *side) close(code wire.StatusCode, reason string) {
	bad, complete := decodeUTF8([]byte(reason))
	legal := code == 0 && reason == "" || mayBeSent(int(code)) && len(reason) <= 123 && bad < 0 && complete
	if !s.call("close", legal, func() error { return s.engine.Close(code, reason) }) {
		return
	}
	if code == 0 {
		code = wire.NoStatusReceived
	}
	s.sent = append(s.sent, fmt.Sprintf("closed with %d %q", int(code), reason))
}

// pending returns how many bytes the peer has not had.
func (s *side) pending() int { return s.written.Len() - s.delivered }

// deliver gives this side the next n bytes from its peer.
func (s *side) deliver(n int) {
	n = min(n, s.peer.pending())
	if n == 0 {
		return
	}
	piece := slices.Clone(s.peer.written.Bytes()[s.peer.delivered:][:n])
	s.peer.delivered += n
	s.received = append(s.received, piece...)
	told := len(s.events)
	open := s.engine.State() == endpoint.Open && !s.written.broken
	s.receive(piece)
	for _, ev := range s.events[told:] {
		pong, isPing := strings.CutPrefix(ev.what, "ping ")
		code, isClose := strings.CutPrefix(ev.what, "closed with ")
		failure, isFailure := strings.CutPrefix(ev.what, "failed with ")
		switch {
		case isPing && !s.written.broken:
			s.answered++
			s.sent = append(s.sent, "pong "+pong)
		case isClose && open:
			code, _, _ = strings.Cut(code, " ")
			s.sent = append(s.sent, fmt.Sprintf("closed with %s %q", code, ""))
		case isFailure && open:
			s.sent = append(s.sent, "closed with "+failure+anyReason)
		}
	}
}

// check compares the events of this side after the end. whole reports that all
// bytes were delivered.
func (s *side) check(whole bool) {
	want := (&naive{server: !s.client, limits: s.limits}).run(s.received)
	if !sameEvents(s.events, want.events, false) {
		violated("the events are those of the peer's frames", "%s\n got %v\nwant %v", s, s.events, want.events)
	}
	var told []string
	failed := false
	for _, ev := range s.events {
		if strings.HasPrefix(ev.what, "failed with ") {
			failed = true
			continue
		}
		told = append(told, ev.what)
	}
	if failed && !strings.HasPrefix(s.end, "failed with 1009") && !strings.HasPrefix(s.end, "failed with 1008") {
		violated("the peer breaks no rule but a limit", "%s: %s, which is %s", s, s.end, s.cause)
	}
	said := s.peer.sent
	if len(told) > len(said) || !slices.EqualFunc(told, said[:len(told)], saidSo) {
		violated("messages arrive whole, in order and once", "to the %s\nsent %q\ntold %q", s, said, told)
	}
	s.checkWritten()
	if whole && !failed && !s.peer.failed() && !s.heardAll(told, said) {
		violated("messages sent before the Close arrive", "to the %s\nsent %q\ntold %q", s, said, told)
	}
}

// anyReason matches the reason of a Close that fails the connection.
const anyReason = " …"

// saidSo reports whether a received Close equals the sent one.
func saidSo(told, said string) bool {
	known, any := strings.CutSuffix(said, anyReason)
	return told == said || any && strings.HasPrefix(told, known+" ")
}

// heardAll reports whether the received messages are all that were sent before
// the Close.
func (s *side) heardAll(told, said []string) bool {
	for i, what := range said {
		if strings.HasPrefix(what, "closed with ") {
			return len(told) == i+1
		}
	}
	return len(told) == len(said)
}

func (s *side) failed() bool { return strings.HasPrefix(s.end, "failed with ") }

// checkWritten checks the frames that this side wrote: one for each call and
// each Ping, and at most one Close as an answer.
func (s *side) checkWritten() {
	list, rest := frames(s.written.Bytes(), s.client)
	if len(rest) > 0 && !s.written.broken {
		violated("an endpoint writes whole frames", "%s: % x after %d frames", s, rest, len(list))
	}
	least := s.calls + s.answered
	if len(list) < least || len(list) > least+1 {
		violated("an endpoint writes a frame for a call, a Ping and a Close, and no more",
			"%s: %d frames for %d calls and %d Pings", s, len(list), s.calls, s.answered)
	}
}
