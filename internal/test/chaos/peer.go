package chaos

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// peer is the client's end of a connection. Its script runs on one goroutine,
// and another reads.
type peer struct {
	*conn
	ctx context.Context
	raw net.Conn // below TLS
	nc  net.Conn
	rnd *rand.Rand // the script's
	seq uint32     // of the next message

	readPause gate         // closed: nothing is read
	oneByte   atomic.Bool  // one byte is read at a time
	pace      atomic.Int64 // pause after each read of little, in nanoseconds; 0: reads are large
	silent    bool         // guarded by wmu: neither Pings nor a Close are answered

	wmu sync.Mutex // guards writing

	control chan []byte   // answers of the reader
	wake    chan struct{} // capacity 1: a message has arrived
	done    chan struct{} // closed when the reader has ended
	writers sync.WaitGroup

	own   atomic.Uint32 // received messages of this connection's handlers
	pings atomic.Uint32 // sent by the script
	end   peerEnd       // owned by the reader; the fields about sent frames are guarded by wmu
	rest  []byte        // received after the opening handshake's response
}

// gate blocks its waiters while it is closed. The zero value is open.
type gate struct{ opened atomic.Pointer[chan struct{}] } // nil: open

func (g *gate) close() {
	opened := make(chan struct{})
	g.opened.CompareAndSwap(nil, &opened)
}

func (g *gate) open() {
	if opened := g.opened.Swap(nil); opened != nil {
		close(*opened)
	}
}

func (g *gate) wait(done <-chan struct{}) {
	if opened := g.opened.Load(); opened != nil {
		select {
		case <-*opened:
		case <-done:
		}
	}
}

// errRefused is the error of a response other than 101.
var errRefused = errors.New("the opening handshake was refused")

// connect makes the connection up to the 101, and starts to read.
func (p *peer) connect() error {
	t := p.target
	nc, err := t.dial(p.ctx)
	if err != nil {
		return err
	}
	p.raw, p.nc = nc, nc
	_ = nc.SetDeadline(time.Now().Add(t.patience()))
	if tcp, ok := nc.(*net.TCPConn); ok && p.kind.reads != fully {
		size := 32 << 10
		if p.kind.flood {
			size = 4 << 10 // the kernel buffers little of the answers
		}
		_ = tcp.SetReadBuffer(size)
	}
	if t.form.secure {
		cfg := &tls.Config{InsecureSkipVerify: true, ServerName: "chaos.example"}
		if p.kind.tls != "" {
			cfg.ServerName = p.kind.tls
		}
		if p.kind.keys {
			u, err := dialKeyUpdater(p.ctx, nc, cfg)
			if err != nil {
				nc.Close()
				return err
			}
			p.nc = u
		} else {
			tc := tls.Client(nc, cfg)
			if err := tc.HandshakeContext(p.ctx); err != nil {
				nc.Close()
				return err
			}
			p.nc = tc
		}
	}
	if _, err := io.WriteString(p.nc, p.request()); err != nil {
		p.raw.Close()
		return err
	}
	if err := p.response(); err != nil {
		p.raw.Close()
		return err
	}
	p.note("peer: 101")
	p.mu.Lock()
	p.upgraded = true
	p.mu.Unlock()
	p.start()
	return nil
}

func (p *peer) request() string {
	return fmt.Sprintf("GET %s?%d HTTP/1.1\r\nHost: chaos.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", p.style, p.id)
}

// response reads the response, which must be a 101.
func (p *peer) response() error {
	buf := make([]byte, 0, 4<<10)
	for {
		n, err := p.nc.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if head, rest, whole := strings.Cut(string(buf), "\r\n\r\n"); whole {
			if !strings.HasPrefix(head, "HTTP/1.1 101 ") {
				line, _, _ := strings.Cut(head, "\r\n")
				return fmt.Errorf("%w: %s", errRefused, line)
			}
			p.rest = []byte(rest)
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d bytes of the response: %w", len(buf), err)
		}
		if len(buf) == cap(buf) {
			return errors.New("the response has no end")
		}
	}
}

// start starts the reader, and the writer of its answers.
func (p *peer) start() {
	p.control = make(chan []byte, 16)
	p.wake = make(chan struct{}, 1)
	p.done = make(chan struct{})
	p.writers.Go(func() {
		for {
			select {
			case <-p.done:
				return
			case frame := <-p.control:
				p.answer(frame)
			}
		}
	})
	go func() {
		defer close(p.done)
		if p.kind.flood && p.kind.keys {
			p.end.err = p.discard()
		} else {
			p.end.err = p.read()
		}
		p.note("peer: reading has ended: %v", p.end.err)
	}()
}

// read reads and checks frames until the connection ends, and returns why.
func (p *peer) read() error {
	in := streams{drops: p.target.policy}
	defer func() { p.end.received = in.next }()
	buf := append(make([]byte, 0, 256<<10), p.rest...)
	var message []byte // in fragments
	var opcode wire.Opcode
	for {
		for {
			f, n, err := wire.DecodeFrame(buf)
			if err != nil {
				p.target.violated(protocol, p.conn, "the server has sent a frame that cannot be read: %v", err)
				return err
			}
			if n == 0 {
				break
			}
			if err := p.rules(f, opcode); err != nil {
				p.target.violated(protocol, p.conn, "the server has sent %v of %d bytes: %v", f.Opcode, len(f.Payload), err)
				return err
			}
			if f.Opcode.IsControl() {
				p.controlled(f)
			} else {
				if f.Opcode != wire.Continuation {
					opcode = f.Opcode
				}
				payload := f.Payload
				if len(message) > 0 || !f.Fin {
					message = append(message, f.Payload...)
					payload = message
				}
				if f.Fin {
					if err := p.arrived(&in, opcode, payload); err != nil {
						return err
					}
					message, opcode = message[:0], 0
				}
			}
			buf = append(buf[:0], buf[n:]...)
		}
		p.readPause.wait(p.ctx.Done())
		room := buf[len(buf):cap(buf)]
		if len(room) == 0 {
			p.target.violated(protocol, p.conn, "the server has sent a frame of more than %d bytes", cap(buf))
			return errors.New("frame too long")
		}
		if pace := p.pace.Load(); pace > 0 && !(p.faithful && p.target.over()) {
			room = room[:min(len(room), 4<<10)]
			if p.oneByte.Load() {
				room = room[:1]
			}
			time.Sleep(time.Duration(pace))
		}
		n, err := p.nc.Read(room)
		buf = buf[:len(buf)+n]
		if err != nil {
			if n > 0 {
				continue
			}
			if len(buf) > 0 {
				err = fmt.Errorf("after %d bytes of a frame: %w", len(buf), err)
			}
			return err
		}
	}
}

// discard reads records and does not decrypt them.
func (p *peer) discard() error {
	var buf [4 << 10]byte
	for {
		p.readPause.wait(p.ctx.Done())
		time.Sleep(time.Duration(p.pace.Load()))
		if _, err := p.raw.Read(buf[:]); err != nil {
			return err
		}
	}
}

// rules checks a frame of the server. opcode is of the message in fragments
// that is under way, 0 if none is.
func (p *peer) rules(f wire.Frame, opcode wire.Opcode) error {
	switch {
	case p.end.closed && f.Opcode != wire.Pong: // the answer to an earlier Ping
		return errors.New("the frame follows a Close")
	case f.Masked:
		return errors.New("the frame is masked")
	case f.RSV != 0:
		return errors.New("the frame has reserved bits")
	case f.Opcode == wire.Continuation && opcode == 0:
		return errors.New("there is no message to continue")
	case f.Opcode.IsData() && opcode != 0:
		return errors.New("another message has not ended")
	}
	return f.Check()
}

// arrived checks a message.
func (p *peer) arrived(in *streams, op wire.Opcode, payload []byte) error {
	if p.style == "/hostile" {
		return nil
	}
	m, err := parse(payload)
	if err == nil {
		err = in.check(m)
	}
	if err == nil && op != opcodeOf(m.seq) {
		err = fmt.Errorf("message %d of stream %s has type %v", m.seq, streamName(m.source), op)
	}
	if err != nil {
		p.target.violated(intact, p.conn, "the peer has received: %v", err)
		return err
	}
	p.end.count++
	if m.source == p.id {
		p.own.Add(1)
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// controlled answers a control frame.
func (p *peer) controlled(f wire.Frame) {
	switch f.Opcode {
	case wire.Ping:
		p.later(p.frame(wire.Pong, f.Payload, true))
	case wire.Pong:
		var n uint32
		if p.kind.pongs && string(f.Payload) == floodedPing { // read at the end of a round
			return
		}
		if _, err := fmt.Sscanf(string(f.Payload), "ping %d", &n); err != nil || n >= p.pings.Load() {
			p.target.violated(protocol, p.conn, "Pong %q answers no Ping", f.Payload)
		}
	case wire.Close:
		p.end.closed = true
		if len(f.Payload) >= 2 {
			p.end.code = wire.StatusCode(f.Payload[0])<<8 | wire.StatusCode(f.Payload[1])
		}
		p.note("peer: Close %d has arrived", p.end.code)
		p.later(p.frame(wire.Close, f.Payload, true))
	}
}

// later queues a frame for the writer: the reader never blocks.
func (p *peer) later(frame []byte) {
	for {
		select {
		case p.control <- frame:
			return
		default:
		}
		select {
		case <-p.control: // the oldest: the latest Ping must be answered
		default:
		}
	}
}

// frame returns a frame of the peer, with an arbitrary key.
func (p *peer) frame(op wire.Opcode, payload []byte, fin bool) []byte {
	return wire.AppendFrame(nil, wire.Header{Fin: fin, Opcode: op, Masked: true, Key: wire.MaskingKey(0x5a17c3b1 * (uint32(len(payload)) + 1))}, payload)
}

// errClosing is the error of writes after the peer's Close.
var errClosing = errors.New("the peer has sent its Close")

// write writes complete frames that end so many messages.
func (p *peer) write(frames []byte, messages uint32) error {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	return p.writeLocked(frames, messages)
}

// writeLocked is write for a caller that holds wmu.
func (p *peer) writeLocked(frames []byte, messages uint32) error {
	if p.end.sentClose {
		return errClosing
	}
	if frames[0]&0xf == byte(wire.Close) {
		p.end.sentClose, p.end.sentCode = true, wire.NoStatusReceived
		if f, _, err := wire.DecodeFrame(append([]byte(nil), frames...)); err == nil && len(f.Payload) >= 2 {
			p.end.sentCode = wire.StatusCode(f.Payload[0])<<8 | wire.StatusCode(f.Payload[1])
		}
	}
	_, err := p.nc.Write(frames)
	if err == nil {
		p.end.messages += messages
	}
	return err
}

// answer writes a frame unless the peer is silent.
func (p *peer) answer(frame []byte) {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	if !p.silent {
		_ = p.writeLocked(frame, 0)
	}
}

// noAnswers stops the answers to Pings and Close.
func (p *peer) noAnswers() {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	p.silent = true
}

// writeInPieces is write with pieces of random sizes.
func (p *peer) writeInPieces(frames []byte, messages uint32) error {
	if p.rnd.IntN(3) > 0 {
		return p.write(frames, messages)
	}
	p.wmu.Lock()
	defer p.wmu.Unlock()
	if p.end.sentClose {
		return errClosing
	}
	for len(frames) > 0 {
		n := min(len(frames), 1+p.rnd.IntN(1+p.rnd.IntN(1+len(frames))))
		if _, err := p.nc.Write(frames[:n]); err != nil {
			return err
		}
		frames = frames[n:]
	}
	p.end.messages += messages
	return nil
}

// message sends a message of size bytes, now and then in fragments with Pings
// between them.
func (p *peer) message(a action, arg, size int) error {
	m := message{action: a, source: p.id, seq: p.seq, arg: uint32(arg)}
	payload := m.append(nil, size)
	op := opcodeOf(p.seq)
	p.seq++
	var frames []byte
	if p.rnd.IntN(5) == 0 {
		for n := 1 + p.rnd.IntN(4); n > 0; n-- {
			part := p.rnd.IntN(len(payload) + 1)
			frames = append(frames, p.frame(op, payload[:part], false)...)
			payload, op = payload[part:], wire.Continuation
			if p.rnd.IntN(2) == 0 {
				frames = append(frames, p.ping()...)
			}
		}
	}
	frames = append(frames, p.frame(op, payload, true)...)
	if a != actEcho {
		p.note("peer: message %d: %v %d, %d bytes", m.seq, a, arg, size)
	}
	return p.writeInPieces(frames, 1)
}

// ping returns the next Ping.
func (p *peer) ping() []byte {
	return p.frame(wire.Ping, fmt.Appendf(nil, "ping %d", p.pings.Add(1)-1), true)
}

// await waits for so many messages of the own handlers, and reports whether
// they have arrived.
func (p *peer) await(messages uint32) bool {
	for p.own.Load() < messages {
		select {
		case <-p.wake:
		case <-p.done:
			return p.own.Load() >= messages
		}
	}
	return true
}

// close makes the closing handshake. It reports a server that does not answer.
func (p *peer) close() {
	code := []wire.StatusCode{0, 1000, 1001, 3000, 4999}[p.rnd.IntN(5)]
	payload, err := wire.AppendClosePayload(nil, code, "")
	if err != nil {
		panic(err)
	}
	err = p.write(p.frame(wire.Close, payload, true), 0)
	p.note("peer: sends Close %d: %v", code, err)
	p.finish()
}

// finish waits for the end of the connection and records it.
func (p *peer) finish() {
	<-p.done
	p.writers.Wait()
	if errors.Is(p.end.err, os.ErrDeadlineExceeded) {
		p.target.stuck(inTime, p.conn, "the peer waits for the connection's end for %v", p.target.patience())
	}
	p.raw.Close()
	end := p.end
	end.at = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn.end = &end
}

// reset resets the connection.
func (p *peer) reset() {
	p.note("peer: resets the connection")
	switch nc := p.raw.(type) {
	case *net.TCPConn:
		_ = nc.SetLinger(0)
		nc.Close()
	case interface{ Reset() }:
		nc.Reset()
	default:
		nc.Close()
	}
}

// abandon resets the connection and waits for the reader.
func (p *peer) abandon() {
	p.reset()
	p.readPause.open()
	p.oneByte.Store(false) // TLS may have buffered decrypted bytes
	p.pace.Store(0)
	if p.done != nil {
		<-p.done
		p.writers.Wait()
	}
}
