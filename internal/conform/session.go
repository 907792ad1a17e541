package conform

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
	"unicode/utf8"
)

// How long the judge waits, if the case does not say.
const (
	openTimeout  = 5 * time.Second // for the opening handshake
	closeTimeout = time.Second     // for the answer to a Close
	dropTimeout  = time.Second     // for the server to end TCP after the closing handshake
)

// A session is one connection to a peer under test, from the end of the opening handshake to the end of TCP.
//
// All that is known of it belongs to the goroutine of run. Two others move octets, and timers come as
// functions in do.
type session struct {
	c        *Case
	role     Role // the judge's
	patience float64
	rounds   int // of a case with many messages
	conn     net.Conn
	out      *writer
	do       chan func()
	in       chan []byte   // octets from the peer; the reader waits for back
	back     chan struct{} // they were used
	readErr  chan error
	done     chan struct{} // closed when TCP has ended
	timers   []*time.Timer
	log      *wireLog
	opened   time.Time
	deflate  *agreement // what was agreed on compression, nil if nothing

	reader  frameReader
	message assembly
	owed    []byte // the payload of the Ping whose Pong waits until the peer reads; nil for none

	script    []step   // what is left of the case's
	pieces    []func() // of a frame that is being written
	received  []Event
	kept      int                         // octets of payload in received
	onMessage func(binary bool, p []byte) // the case's own, in place of received
	verdict   Verdict                     // the case's own
	why       string
	broken    string // the first rule that the peer broke
	measured  time.Duration

	// The closing handshake.
	local, remote *CloseInfo
	badClose      string // the fault in the peer's Close besides its code
	remoteFirst   bool   // the peer's Close arrived before the judge sent one
	closedByMe    bool
	failedByMe    bool
	droppedByMe   bool
	wasClean      bool
	notClean      string
	whyDropped    string
	closeTimedOut bool
	dropTimedOut  bool
	ended         bool
}

// assembly is a message of which fragments came.
type assembly struct {
	begun      bool
	binary     bool
	compressed bool
	payload    []byte
}

// newSession returns a session on conn, whose opening handshake is done. c is nil for a session that is no case.
func newSession(conn net.Conn, role Role, c *Case, o Options) *session {
	s := &session{
		c: c, role: role, patience: o.patience(), rounds: cmp.Or(o.Rounds, echoRounds), conn: conn, opened: time.Now(),
		out:     newWriter(conn, pauseOf(c)),
		do:      make(chan func()),
		in:      make(chan []byte),
		back:    make(chan struct{}),
		readErr: make(chan error, 1),
		done:    make(chan struct{}),
		log:     new(wireLog),
	}
	s.reader.check = s.checkHeader
	if c != nil {
		s.script = c.script
	}
	return s
}

// pauseOf returns the pause between octets that are written one by one, or some at a time. A case
// that measures time has none: the time would be that of the pauses.
func pauseOf(c *Case) time.Duration {
	if c != nil && c.measures {
		return 0
	}
	return spacing
}

// run plays the case and returns when TCP has ended. early is what the peer sent behind its part of the opening handshake.
func (s *session) run(early []byte) {
	go s.read(early)
	if s.c != nil && s.c.play != nil {
		s.c.play(s)
	}
	s.resume()
	var cause error
	for over := false; !over; {
		select {
		case p := <-s.in:
			s.came(p)
			s.back <- struct{}{}
		case f := <-s.do:
			f()
		case cause = <-s.readErr:
			over = true
		}
	}
	s.end(cause)
}

var readBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// read hands what comes to run.
func (s *session) read(early []byte) {
	if len(early) > 0 {
		s.in <- early
		<-s.back
	}
	pooled := readBuffers.Get().(*[64 << 10]byte)
	defer readBuffers.Put(pooled)
	buf := pooled[:]
	for {
		n, err := s.conn.Read(buf)
		if n > 0 {
			s.in <- buf[:n]
			<-s.back
		}
		if err != nil {
			s.readErr <- err
			return
		}
	}
}

// end is called when TCP has ended.
func (s *session) end(cause error) {
	s.ended = true
	close(s.done)
	for _, t := range s.timers {
		t.Stop()
	}
	who := "the peer ended TCP"
	if s.droppedByMe || s.out.finished() {
		who = "the judge ended TCP"
	}
	s.note(LogEndOfTCP, "%s (%v)", who, cause)
	if s.remote != nil && s.reader.partial() {
		s.breach("the octets after its Close are no frame (RFC 6455, 5.5.1)")
		s.wasClean, s.notClean = false, "the peer sent octets after its Close"
	}
	s.out.abort()
	s.conn.Close()
	<-s.out.done
	if !s.wasClean && s.notClean == "" {
		switch {
		case s.local == nil && s.remote == nil:
			s.notClean = "TCP ended without a Close from either side"
		case s.remote == nil:
			s.notClean = "TCP ended without a Close from the peer"
		}
	}
}

// after calls f in d, unless TCP has ended.
func (s *session) after(d time.Duration, f func()) {
	s.timers = append(s.timers, time.AfterFunc(d, func() { s.post(f) }))
}

// post has f called by run. It may be called from any goroutine.
func (s *session) post(f func()) {
	select {
	case s.do <- f:
	case <-s.done:
	}
}

// patient is how long d is for the peer under test.
func (s *session) patient(d time.Duration) time.Duration {
	return time.Duration(float64(d) * s.patience)
}

// resume goes on with the script, until it waits.
func (s *session) resume() {
	for len(s.script) > 0 {
		next := s.script[0]
		s.script = s.script[1:]
		wait := next(s)
		if wait == nil {
			continue
		}
		s.note(LogTimer, "waiting %v", wait.time)
		s.after(wait.time, func() {
			if s.local != nil || s.remote != nil || s.ended {
				return
			}
			s.note(LogTimer, "waited %v, and the connection is still open", wait.time)
			if wait.tag != "" {
				s.receive(Event{Kind: EventTimeout, Tag: wait.tag})
			}
			s.resume()
		})
		return
	}
}

// What a case does.

// send sends frames, all of them in one write if nothing else is asked for.
func (s *session) send(frames ...frame) { s.sendIn(whole, frames...) }

// A pacing is how octets are written.
type pacing int

const (
	whole    pacing = 0  // together with what is written before and after
	byItself pacing = -1 // each frame in a write of its own
)

// sendIn sends frames as c says; c > 0 is how many octets are written at a time.
func (s *session) sendIn(c pacing, frames ...frame) {
	for _, f := range frames {
		key := s.key()
		s.logFrame(LogTxFrame, f, key)
		b := make([]byte, 0, 14+len(f.payload))
		b = f.appendHeader(b, len(f.payload), key)
		s.write(c, appendMasked(b, f.payload, key, 0))
	}
}

// sendPieces sends one frame with the payload in pieces: it returns functions that write one after another, the first with the header.
func (s *session) sendPieces(f frame, pieces ...[]byte) []func() {
	key := s.key()
	f.payload = bytes.Join(pieces, nil)
	b := f.appendHeader(nil, len(f.payload), key)
	var writes []func()
	offset := 0
	for i, p := range pieces {
		b = appendMasked(b, p, key, offset)
		octets := b
		writes = append(writes, func() {
			if i == 0 {
				s.logFrame(LogTxFrame, f, key)
			}
			s.write(byItself, octets)
		})
		offset += len(p)
		b = nil
	}
	return writes
}

func (s *session) key() *[4]byte {
	if s.role == Client {
		return newKey()
	}
	return nil
}

func (s *session) write(c pacing, octets []byte) {
	if c <= 0 {
		s.log.sent(s.at(), octets)
		how := joined
		if c == byItself {
			how = alone
		}
		s.out.write(octets, how)
		return
	}
	for chunk := range slices.Chunk(octets, int(c)) {
		s.log.sent(s.at(), chunk)
		s.out.write(chunk, spaced)
	}
}

// noCode, as a Close's code, is that it has an empty payload.
const noCode = -1

// closePayload returns the payload of a Close.
func closePayload(code int, reason string) []byte {
	if code == noCode {
		return nil
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// sendClose sends a Close with this payload, which may be illegal, and counts it as the judge's part of the closing
// handshake.
func (s *session) sendClose(payload []byte) {
	if s.local != nil {
		return
	}
	s.local = &CloseInfo{Code: noCode}
	if len(payload) >= 2 {
		s.local = &CloseInfo{Code: int(binary.BigEndian.Uint16(payload)), Reason: string(payload[2:])}
	}
	s.closedByMe = s.remote == nil
	s.send(frame{opcode: opClose, fin: true, payload: payload})
	if s.remote == nil {
		s.after(s.patient(closeTimeout), func() {
			if s.remote == nil {
				s.closeTimedOut = true
				s.drop("the peer did not answer the Close in time")
			}
		})
	}
}

// kill ends what is still there in d: at first with a Close, then without.
func (s *session) kill(d time.Duration) {
	s.after(s.patient(d), func() {
		s.note(LogTimer, "%v are over", d)
		s.fail(1001, "Going Away")
	})
}

// closeIn sends a Close without a code in d.
func (s *session) closeIn(d time.Duration) {
	s.after(s.patient(d), func() {
		s.note(LogTimer, "%v are over", d)
		s.sendClose(nil)
	})
}

// fail is what the judge does when a rule was broken or time is over: it sends a Close, or ends TCP if it has sent
// one already.
func (s *session) fail(code int, why string) {
	s.failedByMe = true
	if s.local != nil {
		s.drop(why)
		return
	}
	s.sendClose(closePayload(code, why))
}

// drop ends TCP where the peer should have.
func (s *session) drop(why string) {
	s.note(LogNote, "the judge ends TCP: %s", why)
	s.droppedByMe = true
	if s.whyDropped == "" {
		s.whyDropped = why
	}
	if s.closedByMe || s.remote == nil {
		s.wasClean = false
		s.notClean = why
	}
	s.abort()
}

// abort ends TCP at once, by a reset where that is possible.
func (s *session) abort() {
	conn := s.conn
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secured.NetConn()
	}
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		tcp.SetLinger(0)
	}
	s.out.abort()
	conn.Close()
}

// judge sets the verdict of a case that judges by itself; the first stands.
func (s *session) judge(v Verdict, format string, args ...any) {
	if s.verdict == "" {
		s.verdict = v
		s.why = fmt.Sprintf(format, args...)
		s.note(LogNote, "%s: %s", v, s.why)
	}
}

// What comes.

// came takes octets apart.
func (s *session) came(p []byte) {
	s.log.came(s.at(), p)
	reported := s.reader.partial() && s.reader.broken != nil // of a frame that began in an earlier chunk
	for len(p) > 0 {
		rest, complete, err := s.reader.read(p)
		p = rest
		if complete {
			s.logRxFrame(s.reader.info, s.reader.payload)
		}
		if broken := s.reader.broken; broken != nil && !reported && (complete || s.reader.partial()) {
			s.violated(1002, "%v", broken)
		}
		if err != nil {
			s.violated(1002, "%v", err)
			s.drop("the octets that follow cannot be read as frames")
			return
		}
		if complete && s.reader.broken == nil {
			s.frame(s.reader.info, s.reader.payload)
		}
		reported = false
	}
}

// frame handles a frame whose header breaks no rule. payload is valid until it returns.
func (s *session) frame(f FrameInfo, payload []byte) {
	switch f.Opcode {
	case opClose:
		s.closed(payload)
	case opPing:
		s.pong(payload)
	case opPong:
		s.receive(Event{Kind: EventPong, Payload: bytes.Clone(payload), Size: len(payload)})
	default:
		s.fragment(f, payload)
	}
}

// maxUnread is the number of octets that may be queued for the peer when a Pong is added.
const maxUnread = 64 << 10

// pong answers a Ping. While the peer does not read, only its last Ping gets an answer, which RFC
// 6455, 5.5.3 allows: a peer that floods Pings must not fill the judge's memory.
func (s *session) pong(payload []byte) {
	if s.local != nil {
		return
	}
	if s.out.queued() < maxUnread {
		s.send(frame{opcode: opPong, fin: true, payload: bytes.Clone(payload)})
		return
	}
	waits := s.owed != nil
	s.owed = append(s.owed[:0], payload...)
	if s.owed == nil {
		s.owed = []byte{}
	}
	if !waits {
		s.out.whenEmpty(func() {
			s.post(func() {
				last := s.owed
				s.owed = nil
				s.pong(last)
			})
		})
	}
}

// checkHeader returns the rule of RFC 6455, Section 5, that the header of a frame of the peer
// breaks. length is the length field of 7 bits.
func (s *session) checkHeader(f FrameInfo, length int) error {
	compressed := f.RSV == 4 && s.deflate != nil && (f.Opcode == opText || f.Opcode == opBinary)
	switch {
	case f.Masked && s.role == Client:
		return fmt.Errorf("a server masked a frame (RFC 6455, 5.1)")
	case !f.Masked && s.role == Server:
		return fmt.Errorf("a client did not mask a frame (RFC 6455, 5.1)")
	case f.RSV != 0 && !compressed:
		return fmt.Errorf("a frame with opcode %d has reserved bits set: %03b (RFC 6455, 5.2)", f.Opcode, f.RSV)
	case f.Opcode > opPong || f.Opcode > opBinary && f.Opcode < opClose:
		return fmt.Errorf("a frame has the reserved opcode %d (RFC 6455, 5.2)", f.Opcode)
	case f.Opcode >= opClose && !f.Fin:
		return fmt.Errorf("a control frame is fragmented (RFC 6455, 5.5)")
	case f.Opcode >= opClose && length > 125:
		return fmt.Errorf("a control frame has more than 125 bytes of payload (RFC 6455, 5.5)")
	case s.remote != nil && f.Opcode < opClose:
		return fmt.Errorf("a data frame follows the Close (RFC 6455, 5.5.1)")
	case f.Opcode == opContinuation && !s.message.begun:
		return fmt.Errorf("a continuation frame continues no message (RFC 6455, 5.4)")
	case (f.Opcode == opText || f.Opcode == opBinary) && s.message.begun:
		return fmt.Errorf("a message begins inside of another (RFC 6455, 5.4)")
	}
	return nil
}

// fragment takes a data frame.
func (s *session) fragment(f FrameInfo, payload []byte) {
	m := &s.message
	if f.Opcode != opContinuation {
		*m = assembly{begun: true, binary: f.Opcode == opBinary, compressed: f.RSV == 4, payload: m.payload[:0]}
	}
	if len(m.payload)+len(payload) > maxMessage {
		s.violated(1009, "a message has more than %d bytes, and the judge has sent none of more than %d", maxMessage, maxMessage/2)
		s.drop("the message has no end")
		return
	}
	data := payload // of a message in one frame, which needs no copy
	if len(m.payload) > 0 || !f.Fin {
		m.payload = append(m.payload, payload...)
		data = m.payload
	}
	if !f.Fin {
		return
	}
	m.begun = false
	if m.compressed {
		var err error
		if data, err = s.deflate.inflate(data); err != nil {
			s.violated(1007, "a compressed message cannot be inflated (RFC 7692, 7.2.2): %v", err)
			return
		}
	}
	if !m.binary && !utf8.Valid(data) {
		s.violated(1007, "a text message is not UTF-8 (RFC 6455, 8.1): %.64q", data)
		return
	}
	if s.failedByMe {
		return
	}
	if s.onMessage != nil {
		s.onMessage(m.binary, data)
		return
	}
	s.receive(Event{Kind: EventMessage, Binary: m.binary, Payload: bytes.Clone(data), Size: len(data)})
}

// The events of a session are bounded: no case expects more than a dozen, of some 256 KiB.
const (
	maxEvents = 1000
	maxEvent  = 8 << 20 // octets of payload that are kept whole, of all events
)

// receive records an event, and closes if all that the case expects are there.
func (s *session) receive(e Event) {
	switch {
	case len(s.received) == maxEvents:
		return
	case s.kept > maxEvent:
		e.Payload = bytes.Clone(e.Payload[:min(len(e.Payload), maxKept)])
	}
	s.kept += len(e.Payload)
	s.received = append(s.received, e)
	if s.c != nil && s.c.closesByItself() && sameEvents(s.received, s.c.Expected[0].Events) {
		s.sendClose(closePayload(1000, ""))
	}
}

// violated fails the connection with code, because the peer broke a rule.
func (s *session) violated(code int, format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	s.breach(why)
	s.fail(code, cutText(why, 100))
}

// breach records that the peer broke a rule.
func (s *session) breach(why string) {
	s.note(LogNote, "the peer broke a rule: %s", why)
	if s.broken == "" {
		s.broken = why
	}
}

// closed takes the peer's Close.
func (s *session) closed(payload []byte) {
	if s.remote != nil {
		s.note(LogNote, "a second Close")
		return
	}
	s.remote = &CloseInfo{Code: noCode}
	s.remoteFirst = s.local == nil
	switch {
	case len(payload) == 1:
		s.badClose = "its payload is one byte"
	case len(payload) >= 2:
		s.remote = &CloseInfo{Code: int(binary.BigEndian.Uint16(payload)), Reason: string(payload[2:])}
		if !utf8.Valid(payload[2:]) {
			s.badClose = fmt.Sprintf("its reason is not UTF-8: %q", payload[2:])
		}
	}
	bad := s.badClose != "" || !mayBeSent(s.remote.Code)
	if bad {
		s.note(LogNote, "the peer's Close is illegal: code %d %s", s.remote.Code, s.badClose)
	}
	switch {
	case s.local != nil:
		s.wasClean = s.notClean == ""
	case bad:
		s.wasClean = true
		s.failedByMe = true
		s.sendClose(closePayload(1002, ""))
		s.closedByMe = true
	default:
		s.wasClean = true
		s.sendClose(closePayload(1000, ""))
	}
	s.shaken()
}

// mayBeSent reports whether an endpoint may send a Close with this code. 1012 to 1014, which came after RFC 6455, are
// not among them: the cases are of the RFC.
func mayBeSent(code int) bool {
	return code == noCode || code >= 1000 && code <= 1003 || code >= 1007 && code <= 1011 || code >= 3000 && code <= 4999
}

// shaken is called when both Close frames are there: the server ends TCP.
func (s *session) shaken() {
	if s.role == Server {
		if s.closedByMe {
			s.abort()
			return
		}
		s.out.finish()
		s.after(s.patient(dropTimeout), s.abort) // if the peer does not take it
		return
	}
	s.after(s.patient(dropTimeout), func() {
		s.dropTimedOut = true
		s.drop("the server did not end TCP after the closing handshake")
	})
}

// The log.

func (s *session) at() time.Duration { return time.Since(s.opened) }

func (s *session) note(kind LogKind, format string, args ...any) {
	s.log.add(LogEntry{At: s.at(), Kind: kind, Text: fmt.Sprintf(format, args...)})
}

func (s *session) logFrame(kind LogKind, f frame, key *[4]byte) {
	info := FrameInfo{Opcode: f.opcode, Fin: f.fin, RSV: f.rsv}
	if key != nil {
		info.Masked, info.Key = true, *key
	}
	s.log.frame(s.at(), kind, info, f.payload)
}

func (s *session) logRxFrame(f FrameInfo, payload []byte) {
	s.log.frame(s.at(), LogRxFrame, f, payload)
}

// cutText returns at most n bytes of a text, and whole code points.
func cutText(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
