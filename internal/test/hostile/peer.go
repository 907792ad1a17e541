package hostile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// peer is who plays an attack. Once the connection has ended, its methods do
// nothing.
type peer struct {
	Attacker
	ctx context.Context
	nc  net.Conn
	err error  // why the connection has ended
	in  []byte // has come and was not looked at
}

// send sends all of it at once, and reports whether that went well.
func (p *peer) send(parts ...string) bool {
	for _, part := range parts {
		if p.err != nil {
			return false
		}
		_, p.err = io.WriteString(p.nc, part)
	}
	return p.err == nil
}

// flood sends it over and over until the connection ends. What it sends at a
// time is a few KiB.
func (p *peer) flood(part string) {
	chunk := []byte(strings.Repeat(part, (4<<10-1)/len(part)+1))
	for sent := 0; p.err == nil; {
		_, p.err = p.nc.Write(chunk)
		sent += len(chunk)
		if p.Breath > 0 && sent >= 64<<10 {
			sent = 0
			p.wait(p.Breath)
		}
	}
}

// drip sends byte by byte, with a pause behind each.
func (p *peer) drip(bytes string) {
	for i := range len(bytes) {
		if !p.send(bytes[i:i+1]) || !p.wait(p.Pause) {
			return
		}
	}
}

// dripOn sends it byte by byte, over and over until the connection ends, which it
// sees though it sends little.
func (p *peer) dripOn(bytes string) {
	go func() {
		defer p.cut()
		io.Copy(io.Discard, p.nc) // the end comes here first
	}()
	for p.err == nil {
		p.drip(bytes)
	}
}

// wait waits, and reports whether there is a reason to go on.
func (p *peer) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.ctx.Done():
		p.fail(p.ctx.Err())
		return false
	}
}

// more reads once.
func (p *peer) more() bool {
	if p.err != nil {
		return false
	}
	var buf [2 << 10]byte
	n, err := p.nc.Read(buf[:])
	p.in = append(p.in, buf[:n]...)
	if n == 0 {
		p.fail(err)
	}
	return n > 0
}

// drain reads and forgets what comes until the connection ends.
func (p *peer) drain() {
	for p.more() {
		p.in = p.in[:0]
	}
}

// hold does nothing, least of all read, until the attack is over.
func (p *peer) hold() { <-p.ctx.Done() }

// deaf makes the room small in which the system keeps what is not read.
func (p *peer) deaf() {
	if small, ok := p.transport().(interface{ SetReadBuffer(int) error }); ok {
		_ = small.SetReadBuffer(4 << 10) // a wish
	}
}

// await reads until a frame of this opcode has come, and returns its payload.
func (p *peer) await(op wire.Opcode) []byte {
	for {
		f, n, err := wire.DecodeFrame(p.in)
		if err != nil {
			p.fail(err)
			return nil
		}
		p.in = p.in[n:]
		if n > 0 && f.Opcode == op {
			return f.Payload
		}
		if n == 0 && !p.more() {
			return nil
		}
	}
}

// head reads the head of a request or response.
func (p *peer) head() (*handshake.Request, *handshake.Response) {
	var requests handshake.RequestParser
	var responses handshake.ResponseParser
	for {
		var request *handshake.Request
		var response *handshake.Response
		var n int
		var err error
		if p.Victim == Client {
			request, n, err = requests.Parse(p.in)
		} else {
			response, n, err = responses.Parse(p.in)
		}
		p.in = p.in[n:]
		if err != nil {
			p.fail(err)
		}
		if request != nil || response != nil || !p.more() {
			return request, response
		}
	}
}

// open makes the opening handshake, with further header fields for the victim.
func (p *peer) open(fields ...string) {
	if p.Victim == Client {
		if key, ok := p.key(); ok {
			p.send(response(append(accepting(key), fields...)...))
		}
		return
	}
	p.send(request(p.Target, append(asking(), fields...)...))
	if _, response := p.head(); response != nil && response.Status != 101 {
		p.fail(fmt.Errorf("hostile: refused with status %d", response.Status))
	}
}

// key reads a client's request and returns its key.
func (p *peer) key() (key string, ok bool) {
	request, _ := p.head()
	if request == nil {
		return "", false
	}
	return request.Header.Get("Sec-WebSocket-Key"), true
}

// frame returns a frame of the attacker's.
func (p *peer) frame(op wire.Opcode, payload string) string { return p.part(op, payload, true) }

// part returns a frame that may be a fragment.
func (p *peer) part(op wire.Opcode, payload string, final bool) string {
	return string(wire.AppendFrame(nil, p.header(op, int64(len(payload)), final), []byte(payload)))
}

// announce returns the header of a frame whose payload does not come with it.
func (p *peer) announce(op wire.Opcode, length int64, final bool) string {
	return string(wire.AppendHeader(nil, p.header(op, length, final)))
}

func (p *peer) header(op wire.Opcode, length int64, final bool) wire.Header {
	return wire.Header{Fin: final, Opcode: op, Length: length, Masked: p.Victim == Server, Key: maskingKey}
}

// maskingKey is that of all frames of hostile clients, who need none that is
// unpredictable.
const maskingKey wire.MaskingKey = 0x5ad0c0de

// closing returns a Close frame with any code and reason.
func (p *peer) closing(code uint16, reason string) string {
	return p.frame(wire.Close, string([]byte{byte(code >> 8), byte(code)})+reason)
}

// reset cuts the connection in the rudest way that its transport has.
func (p *peer) reset() {
	switch nc := p.transport().(type) {
	case interface{ Reset() }:
		nc.Reset()
	case interface{ SetLinger(int) error }:
		_ = nc.SetLinger(0)
	}
	p.cut()
	p.fail(errors.New("hostile: reset"))
}

// cut closes the connection, below TLS, which would wait for the victim.
func (p *peer) cut() { _ = p.transport().Close() }

// transport returns the connection, or what is below it if it is TLS.
func (p *peer) transport() net.Conn {
	if secure, ok := p.nc.(interface{ NetConn() net.Conn }); ok {
		return secure.NetConn()
	}
	return p.nc
}

func (p *peer) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}
