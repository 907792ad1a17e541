package chaos

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/fibersock/fibersock/internal/test/hostile"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// kind is a kind of peer.
type kind struct {
	name     string
	faithful bool   // it reads, answers Pings, and ends with a closing handshake
	exempt   bool   // no other connection closes it
	isolated bool   // no handler of another connection sends to it
	lasting  bool   // it lasts as long as the round, if time limits are long
	flood    bool   // it sends small frames that need answers, as fast as it can
	reads    reads  //
	keys     bool   // it encrypts its records itself
	tls      string // the requested server name
	needsTLS bool   // only forms with TLS have it
	pongs    bool   // the peer may send many Pings and not read the Pongs
	only     func(t *target) bool
	style    string // "": any
	connects bool   // play connects; else it begins with the connection open
	play     func(p *peer)
}

func (k kind) String() string { return k.name }

// reads is the speed at which a peer reads.
type reads int

const (
	fully reads = iota
	slowly
)

// kinds are all kinds but the probes, which each round has.
var kinds = []kind{
	{name: "talker", faithful: true, play: (*peer).talk},
	{name: "troublemaker", connects: true, faithful: true, play: (*peer).makeTrouble},
	{name: "resetter", connects: true, play: (*peer).resetSometime},
	{name: "half-closer", play: (*peer).halfClose},
	{name: "trickling writer", lasting: true, exempt: true, play: (*peer).trickle},
	{name: "slow reader", faithful: true, reads: slowly, play: (*peer).readSlowly},
	{name: "stops reading for a while", faithful: true, reads: slowly, play: (*peer).stopReadingForAWhile},
	{name: "never reads", lasting: true, reads: slowly, isolated: true, exempt: true, only: mayStopReading, play: (*peer).stopReading},
	{name: "closes and never reads", lasting: true, reads: slowly, isolated: true, exempt: true, style: "/serve", play: (*peer).closeUnread},
	{name: "closes and reads byte by byte", reads: slowly, lasting: true, isolated: true, exempt: true, style: "/serve", play: (*peer).closeTrickling},
	{name: "ignores the Close", lasting: true, exempt: true, play: (*peer).ignoreClose},
	{name: "silent", lasting: true, exempt: true, play: (*peer).fallSilent},
	{name: "handshake that stalls", connects: true, play: (*peer).stall},
	{name: "handshake with trouble", connects: true, play: (*peer).troubledHandshake},
	{name: "KeyUpdates and messages", faithful: true, needsTLS: true, keys: true, play: (*peer).updateKeys},
	{name: "flood of KeyUpdates", flood: true, needsTLS: true, keys: true, reads: slowly, isolated: true, exempt: true, play: (*peer).floodKeys},
	{name: "flood of Pings", pongs: true, flood: true, reads: slowly, isolated: true, exempt: true, play: (*peer).floodPings},
	{name: "TLS callback panics", needsTLS: true, tls: panicName, play: (*peer).abandon},
	{name: "TLS callback exits", needsTLS: true, tls: goexitName, play: (*peer).abandon},
	{name: "hostile", pongs: true, connects: true, style: "/hostile", isolated: true, play: (*peer).attack},
}

var probe = kind{name: "probe", connects: true, faithful: true, exempt: true, play: (*peer).echo}

// mayStopReading excludes policies under which a handler blocks until the peer
// reads: MaxBlocked allows few of them.
func mayStopReading(t *target) bool { return t.policy != server.SlowBlock }

// styles are the paths of handlers.
var styles = []string{"/message", "/partial", "/serve"}

// open connects, and records a failure of a peer that behaves.
func (p *peer) open() bool {
	err := p.connect()
	if err == nil {
		return true
	}
	p.note("peer: cannot connect: %v", err)
	if len(p.trouble) == 0 && !p.target.leaving() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.conn.end = &peerEnd{at: time.Now(), err: err}
	}
	return false
}

// echo measures an echo every few milliseconds.
func (p *peer) echo() {
	if !p.open() {
		time.Sleep(5 * time.Millisecond)
		return
	}
	pace := time.NewTicker(echoPeriod)
	defer pace.Stop()
	for n := uint32(1); !p.target.over(); n++ {
		began := time.Now()
		if p.message(actEcho, 60+p.rnd.IntN(100), headSize) != nil || !p.await(n) {
			break
		}
		p.target.echoes.add(time.Since(began))
		<-pace.C
	}
	p.close()
}

// harmless are actions that end no connection, with their largest argument.
var harmless = []struct {
	action action
	most   int
}{
	{actSleep, 4000}, {actBlock, 1}, {actCross, 4}, {actCross, 4}, {actCross, 4}, {actBroadcast, 1}, {actBurst, 12}, {actPush, 6},
	{actFragments, 5}, {actGoroutine, 10}, {actPing, 1}, {actPreparedCross, 3}, {actNothing, 1},
}

// script sends n messages with harmless actions.
func (p *peer) script(n int) {
	for range n {
		size := headSize
		switch p.rnd.IntN(10) {
		case 0:
			size = 1 << (6 + p.rnd.IntN(11))
		case 1:
			size = 120 + p.rnd.IntN(12)
		case 2:
			size = 65530 + p.rnd.IntN(12)
		}
		a, arg := actEcho, 50+p.rnd.IntN(200)
		if i := p.rnd.IntN(24); i < len(harmless) {
			a, arg = harmless[i].action, 1+p.rnd.IntN(harmless[i].most)
		} else if i == len(harmless) {
			arg = 1 << (6 + p.rnd.IntN(11))
		}
		if p.message(a, arg, size) != nil || p.target.over() {
			return
		}
		if p.rnd.IntN(4) == 0 {
			own := p.own.Load()
			if err := p.message(actEcho, 60, headSize); err != nil || !p.await(own+1) {
				return
			}
		}
	}
}

func (p *peer) talk() {
	p.script(1 + p.rnd.IntN(25))
	p.close()
}

// makeTrouble requests an action that ends a connection.
func (p *peer) makeTrouble() {
	endings := []action{actPanic, actGoexit, actClose, actCut, actCloseOther, actCutOther}
	how := endings[p.rnd.IntN(len(endings))]
	if at := []string{"", "", "Open", "Writable", "Error", "Close", "Serve"}[p.rnd.IntN(7)]; at != "" && (how == actPanic || how == actGoexit) {
		p.trouble[at] = how
	}
	if !p.open() {
		return
	}
	p.script(p.rnd.IntN(6))
	_ = p.message(how, 0, headSize)
	if how == actCloseOther || how == actCutOther {
		p.script(3)
	}
	if len(p.trouble) > 0 {
		_ = p.message(actBurst, 16, headSize)
	}
	p.close()
}

func (p *peer) resetSometime() {
	if p.rnd.IntN(6) == 0 { // before the handshake is done
		nc, err := p.target.dial(p.ctx)
		if err != nil {
			return
		}
		p.raw = nc
		_, _ = io.WriteString(nc, p.request()[:p.rnd.IntN(len(p.request()))])
		p.reset()
		return
	}
	if !p.open() {
		return
	}
	p.script(p.rnd.IntN(6))
	switch p.rnd.IntN(4) {
	case 0:
		_ = p.message(actBlock, 0, headSize)
		p.script(4) // more than the receive queue of Serve holds
	case 1:
		_ = p.message(actBurst, 30, headSize)
	case 2:
		p.noAnswers()
		frame := p.frame(wire.Binary, make([]byte, 1000), true)
		p.wmu.Lock()
		_, _ = p.nc.Write(frame[:p.rnd.IntN(len(frame))])
		p.wmu.Unlock()
	}
	p.abandon()
}

func (p *peer) halfClose() {
	p.script(p.rnd.IntN(6))
	if p.rnd.IntN(2) == 0 {
		_ = p.message(actBurst, 16, headSize)
	}
	p.note("peer: half-closes")
	p.wmu.Lock()
	err := errors.New("no CloseWrite")
	if half, ok := p.nc.(interface{ CloseWrite() error }); ok {
		err = half.CloseWrite()
	}
	if tcp, ok := p.raw.(*net.TCPConn); ok && err == nil {
		switch {
		case p.rnd.IntN(2) == 0:
			err = tcp.CloseWrite()
		case p.target.form.secure: // bytes behind close_notify, after which TLS has set a deadline
			_ = tcp.SetWriteDeadline(time.Time{})
			_, _ = tcp.Write(make([]byte, 1+p.rnd.IntN(10_000)))
		}
	}
	p.wmu.Unlock()
	if err != nil {
		p.note("peer: %v", err)
		p.abandon()
		return
	}
	p.finish()
}

// trickle sends a message byte by byte, until AssemblyTimeout or the end of the
// round.
func (p *peer) trickle() {
	p.script(p.rnd.IntN(3))
	p.noAnswers() // an answer would be inside a frame
	p.note("peer: trickles")
	if !p.target.long {
		p.limitLife("AssemblyTimeout", p.target.srv.AssemblyTimeout)
	}
	payload := message{action: actEcho, source: p.id, seq: p.seq, arg: 60}.append(nil, 4000)
	for _, b := range p.frame(opcodeOf(p.seq), payload, true) {
		p.wmu.Lock()
		_, err := p.nc.Write([]byte{b})
		p.wmu.Unlock()
		if err != nil || !p.target.pause(2*time.Millisecond, p.done) {
			break
		}
	}
	if p.target.long {
		p.abandon()
	} else {
		p.finish()
	}
}

// readSlowly requests many messages and reads all of them slowly.
func (p *peer) readSlowly() {
	p.pace.Store(int64(200 * time.Microsecond))
	p.script(p.rnd.IntN(4))
	_ = p.message([]action{actBurst, actPush}[p.rnd.IntN(2)], 4+p.rnd.IntN(8), headSize)
	p.script(p.rnd.IntN(4))
	p.close()
}

// stopReadingForAWhile stops reading and continues.
func (p *peer) stopReadingForAWhile() {
	p.script(p.rnd.IntN(3))
	p.note("peer: stops reading")
	p.readPause.close()
	_ = p.message([]action{actBurst, actPush, actGoroutine}[p.rnd.IntN(3)], 6+p.rnd.IntN(12), headSize)
	p.target.pause(time.Duration(20+p.rnd.IntN(200))*time.Millisecond, p.done)
	p.readPause.open()
	p.note("peer: reads on")
	p.script(p.rnd.IntN(3))
	p.close()
}

// stopReading stops reading for good. With short limits the server must end the
// connection.
func (p *peer) stopReading() {
	p.readPause.close()
	p.note("peer: stops reading")
	for !p.target.over() {
		_ = p.nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		if p.message(actBurst, 16, headSize) != nil {
			break
		}
		p.target.pause(time.Millisecond, p.done) // some policies never make it wait
	}
	if p.target.long {
		p.target.pause(time.Hour, nil)
	} else {
		p.limitLife("WriteTimeout", p.target.srv.WriteTimeout)
		p.awaitEnd()
	}
	p.abandon()
}

// awaitEnd waits until the server's end of the connection has ended.
func (p *peer) awaitEnd() {
	for {
		if !p.endedTime().IsZero() || p.ctx.Err() != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// closeUnread requests many messages of Serve, sends a Close, and never reads.
func (p *peer) closeUnread() {
	p.readPause.close()
	p.note("peer: stops reading")
	err := p.closeInBurst()
	if p.target.long {
		p.target.pause(time.Hour, nil)
	} else {
		if err == nil {
			p.limitLife("WriteTimeout", p.target.srv.WriteTimeout)
		}
		p.awaitEnd()
	}
	p.abandon()
}

// closeInBurst requests many messages and sends a Close.
func (p *peer) closeInBurst() error {
	_ = p.nc.SetWriteDeadline(time.Now().Add(time.Second))
	_ = p.message(actBurst, 64, headSize)
	p.target.pause(20*time.Millisecond, nil)
	err := p.write(p.frame(wire.Close, []byte{0x03, 0xe8}, true), 0)
	p.note("peer: sends Close 1000: %v", err)
	return err
}

// closeTrickling requests many messages of Serve, sends a Close, and reads byte
// by byte. The server must end the connection soon, so that Shutdown returns
// while the peer still reads.
func (p *peer) closeTrickling() {
	p.oneByte.Store(true)
	p.pace.Store(int64(5 * time.Millisecond))
	p.note("peer: reads byte by byte")
	if p.closeInBurst() == nil {
		p.limitLife("the peer's Close", 0)
	}
	p.target.pause(time.Hour, p.done)
	if p.target.ending == withPeers && !p.target.long { // CloseTimeout bounds that
		<-p.target.shut
	}
	p.abandon()
}

// endBy waits for the end of the connection. With short limits the server must
// end it by an option.
func (p *peer) endBy(option string, within time.Duration) {
	if p.target.long {
		p.target.pause(time.Hour, p.done)
		p.abandon()
		return
	}
	p.limitLife(option, within)
	p.finish()
}

// ignoreClose requests a Close and does not answer it.
func (p *peer) ignoreClose() {
	p.noAnswers()
	_ = p.message(actClose, 0, headSize)
	p.endBy("CloseTimeout", p.target.srv.CloseTimeout)
}

// fallSilent reads, and sends nothing, not even a Pong.
func (p *peer) fallSilent() {
	p.noAnswers()
	p.note("peer: falls silent")
	s := p.target.srv
	p.endBy("PongTimeout", s.PingInterval+s.PingInterval/4+s.PongTimeout)
}

// stall sends part of an opening handshake or ClientHello, and waits.
func (p *peer) stall() {
	nc, err := p.target.dial(p.ctx)
	if err != nil {
		return
	}
	p.raw = nc
	defer nc.Close()
	began := time.Now()
	limit := p.target.patience()
	_ = nc.SetDeadline(began.Add(limit))
	text := p.request()
	if p.target.form.secure {
		text = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + text // half a ClientHello
	}
	_, _ = io.WriteString(nc, text[:p.rnd.IntN(len(p.request())-4)])
	if p.target.long {
		p.target.pause(time.Duration(p.rnd.IntN(200))*time.Millisecond, nil)
		return
	}
	var b [512]byte
	for err == nil {
		_, err = nc.Read(b[:])
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		p.target.stuck(inTime, p.conn, "the opening handshake has stalled, and the connection lasts for %v (HandshakeTimeout %v)", limit, p.target.srv.HandshakeTimeout)
	} else if took := time.Since(began); took > p.target.srv.HandshakeTimeout+p.target.slack(began) && !p.target.leaving() {
		p.target.violated(inTime, p.conn, "the opening handshake has stalled, and the connection lasted for %v (HandshakeTimeout %v)", took, p.target.srv.HandshakeTimeout)
	}
}

// troubledHandshake makes Authorize panic or exit its goroutine.
func (p *peer) troubledHandshake() {
	p.trouble["Authorize"] = []action{actPanic, actGoexit}[p.rnd.IntN(2)]
	if p.open() {
		p.abandon()
	}
}

// updateKeys sends KeyUpdates between messages.
func (p *peer) updateKeys() {
	u := p.nc.(*keyUpdater)
	for range 1 + p.rnd.IntN(12) {
		p.script(1)
		p.wmu.Lock()
		var records []byte
		for i := range p.rnd.IntN(4) {
			records = u.appendKeyUpdate(records, i == 0 && p.rnd.IntN(2) == 0)
		}
		_, err := u.raw.Write(records)
		p.wmu.Unlock()
		if err != nil {
			break
		}
	}
	p.close()
}

// floodKeys requests new keys all the time, and reads a little or nothing of
// the answers.
func (p *peer) floodKeys() {
	p.note("peer: floods KeyUpdates")
	if p.rnd.IntN(2) == 0 {
		p.pace.Store(int64(20 * time.Millisecond))
	} else {
		p.readPause.close()
	}
	u := p.nc.(*keyUpdater)
	p.flood(u.raw, func() (records []byte) {
		for range 15 { // crypto/tls accepts 16 without data between them
			records = u.appendKeyUpdate(records, true)
		}
		return u.appendRecord(records, recordData, p.frame(wire.Pong, nil, true))
	})
}

// flood writes bytes of next until the round is over.
func (p *peer) flood(nc net.Conn, next func() []byte) {
	for n := 0; !p.target.over(); n++ {
		p.wmu.Lock()
		_ = nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, err := nc.Write(next())
		p.wmu.Unlock()
		if err != nil {
			p.note("peer: after %d writes: %v", n, err)
			break
		}
		time.Sleep(200 * time.Microsecond) // yields, if there is one processor
	}
	p.note("peer: ends the flood")
	p.abandon()
}

// floodedPing is the payload of a Ping of a flood.
var floodedPing = strings.Repeat("!", 125)

// floodPings sends Pings all the time and does not read.
func (p *peer) floodPings() {
	p.note("peer: floods Pings and does not read")
	p.readPause.close()
	var pings []byte
	for range 100 {
		pings = append(pings, p.frame(wire.Ping, []byte(floodedPing), true)...)
	}
	p.flood(p.nc, func() []byte { return pings })
}

// attack runs an attack of package hostile.
func (p *peer) attack() {
	attacks := hostile.Against(hostile.Server)
	a := attacks[p.rnd.IntN(len(attacks))]
	t := p.target
	if a.BelowTLS && !t.form.secure {
		return
	}
	p.note("peer: attack %q", a.Name)
	ctx, cancel := context.WithTimeout(p.ctx, t.longest())
	defer cancel()
	go func() {
		select {
		case <-t.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	nc, err := t.dial(p.ctx)
	if err != nil {
		return
	}
	defer nc.Close()
	if t.form.secure && !a.BelowTLS {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, ServerName: "chaos.example"})
	}
	hostile.Attacker{Victim: hostile.Server, Target: fmt.Sprintf("/hostile?%d", p.id), Pause: time.Millisecond}.Play(ctx, nc, a)
}

// hostileMessage is Message for attackers.
func (t *target) hostileMessage(c *server.Conn, op wire.Opcode, p []byte) {
	t.during(c, "Message", func(*conn) {
		t.handled.Add(1)
		left := 200 // a push ends at the first error, which some policies never return
		_ = hostile.Victim{
			Send: func(op wire.Opcode, p []byte) error {
				if left--; left < 0 {
					return errors.New("enough")
				}
				return c.Send(op, p)
			},
			Close: func() error { return c.Close(wire.NormalClosure, "") },
			Ping:  func() error { return c.SendPing([]byte("there?")) },
		}.Respond(op, p)
	})
}
