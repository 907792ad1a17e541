package corpustest

import (
	"net"
	"sync"

	"github.com/fibersock/fibersock/fuzz/corpus"
)

// Peer is the peer of an endpoint with a transport. It keeps the bytes that the
// endpoint writes, and always reads, so that no write blocks.
type Peer struct {
	nc   net.Conn
	done chan struct{} // closed when the endpoint's side has ended

	mu  sync.Mutex // guards the rest
	out []byte
}

// NewPeer returns the peer at its end nc of the transport.
func NewPeer(nc net.Conn) *Peer {
	p := &Peer{nc: nc, done: make(chan struct{})}
	go p.collect()
	return p
}

func (p *Peer) collect() {
	defer close(p.done)
	buf := make([]byte, 64<<10)
	for {
		n, err := p.nc.Read(buf)
		p.mu.Lock()
		p.out = append(p.out, buf[:n]...)
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Send sends b, and ignores the error of a closed transport: the events of the
// endpoint show whether it received b.
func (p *Peer) Send(b []byte) { _, _ = p.nc.Write(b) }

// End ends the transport.
func (p *Peer) End() { p.nc.Close() }

// Wait waits for the end of the endpoint's bytes.
func (p *Peer) Wait() { <-p.done }

// Take returns the bytes received since the last Take.
func (p *Peer) Take() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.out
	p.out = nil
	return out
}

// Events passes events from one goroutine to another.
type Events struct {
	mu   sync.Mutex // guards the rest
	list []corpus.Event
}

// Add adds an event, which must own its payload.
func (e *Events) Add(ev corpus.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
}

// Take returns the events added since the last Take.
func (e *Events) Take() []corpus.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.list
	e.list = nil
	return list
}
