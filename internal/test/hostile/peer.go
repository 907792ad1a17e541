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

// peer is the attacker's end of a connection. After the end its methods have no
// effect.
type peer struct {
	Attacker
	ctx context.Context
	nc  net.Conn
	err error  // why the connection has ended
	in  []byte // received, not yet used
}

// send sends the parts, and reports success.
func (p *peer) send(parts ...string) bool {
	for _, part := range parts {
		if p.err != nil {
			return false
		}
		_, p.err = io.WriteString(p.nc, part)
	}
	return p.err == nil
}

// flood sends part repeatedly, a few KiB a write, until the connection ends.
func (p *peer) flood(part string) {
	chunk := []byte(strings.Repeat(part, (4<<10-1)/len(part)+1))
	for sent := 0; p.err == nil; {
		_, p.err = p.nc.Write(chunk)
		sent += len(chunk)
		if p.FloodPause > 0 && sent >= 64<<10 {
			sent = 0
			p.wait(p.FloodPause)
		}
	}
}

// drip sends byte by byte, with a pause after each.
func (p *peer) drip(bytes string) {
	for i := range len(bytes) {
		if !p.send(bytes[i:i+1]) || !p.wait(p.Pause) {
			return
		}
	}
}

// dripOn repeats drip until the connection ends. It reads, to see the end.
func (p *peer) dripOn(bytes string) {
	go func() {
		defer p.cut()
		io.Copy(io.Discard, p.nc) // sees the end first
	}()
	for p.err == nil {
		p.drip(bytes)
	}
}

// wait waits for d, and reports whether the context is still valid.
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

// drain reads and discards until the connection ends.
func (p *peer) drain() {
	for p.more() {
		p.in = p.in[:0]
	}
}

// hold waits for the end of the context without reading.
func (p *peer) hold() { <-p.ctx.Done() }

// deaf makes the receive buffer of the socket small.
func (p *peer) deaf() {
	if small, ok := p.transport().(interface{ SetReadBuffer(int) error }); ok {
		_ = small.SetReadBuffer(4 << 10)
	}
}

// await reads until a frame of this opcode arrives, and returns its payload.
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

// frame returns a frame of the attacker.
func (p *peer) frame(op wire.Opcode, payload string) string { return p.part(op, payload, true) }

// part returns a frame that may be a fragment.
func (p *peer) part(op wire.Opcode, payload string, final bool) string {
	return string(wire.AppendFrame(nil, p.header(op, int64(len(payload)), final), []byte(payload)))
}

// announce returns the header of a frame without its payload.
func (p *peer) announce(op wire.Opcode, length int64, final bool) string {
	return string(wire.AppendHeader(nil, p.header(op, length, final)))
}

func (p *peer) header(op wire.Opcode, length int64, final bool) wire.Header {
	return wire.Header{Fin: final, Opcode: op, Length: length, Masked: p.Victim == Server, Key: maskingKey}
}

// maskingKey is the constant key of hostile clients.
const maskingKey wire.MaskingKey = 0x5ad0c0de

// closing returns a Close frame with any code and reason.
func (p *peer) closing(code uint16, reason string) string {
	return p.frame(wire.Close, string([]byte{byte(code >> 8), byte(code)})+reason)
}

// reset resets the connection, or closes it if the transport has no reset.
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

// cut closes the connection below TLS, whose Close would wait for the victim.
func (p *peer) cut() { _ = p.transport().Close() }

// transport returns the connection below TLS.
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
