package wstest

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Relay stands between clients and a server that speak TCP, for code that needs
// real sockets. It passes on what they send each other, as its plans say. A reset
// is a real one, and what a Faults.Buffer makes small are the system's buffers
// too: writes then come up short and meet a full socket again and again.
type Relay struct {
	ln     net.Listener
	server string
	links  *links
	work   sync.WaitGroup
}

// NewRelay returns a relay to the server at the TCP address server, host:port, or
// why it cannot listen. It listens on a port of its own: see Addr. To the n-th
// connection, counted from 0, happens what plan(n) says, and nothing if plan is
// nil; plan is called on a goroutine of the relay's. The relay is to be closed.
func NewRelay(server string, plan func(n int) Plan) (*Relay, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{ln: ln, server: server, links: newLinks(plan)}
	r.work.Go(r.accept)
	return r, nil
}

// Addr returns the address, host:port, that clients connect to.
func (r *Relay) Addr() string { return r.ln.Addr().String() }

// Link returns what lies between the server and the client that was accepted
// n-th, counted from 0. It waits until there is one, and returns nil if the relay
// is closed before.
func (r *Relay) Link(n int) *Link { return r.links.get(n) }

// Close stops listening, resets all connections and waits until the relay has
// nothing to do with them any more.
func (r *Relay) Close() error {
	all := r.links.close()
	err := r.ln.Close()
	for _, l := range all {
		l.drop()
	}
	r.work.Wait()
	return err
}

func (r *Relay) accept() {
	for {
		nc, err := r.ln.Accept()
		if err != nil {
			return
		}
		client := nc.(*net.TCPConn)
		l, _ := r.links.add()
		if l == nil {
			client.Close()
			return
		}
		r.work.Go(func() { r.serve(l, client) })
	}
}

// serve connects a client with the server until both are done.
func (r *Relay) serve(l *Link, client *net.TCPConn) {
	defer client.Close()
	nc, err := net.Dial("tcp", r.server)
	if err != nil {
		client.SetLinger(0)
		return
	}
	server := nc.(*net.TCPConn)
	defer server.Close()

	narrow(l.ToServer, client, server)
	narrow(l.ToClient, server, client)
	l.interruptOnReset(client, server)
	var pumps sync.WaitGroup
	pumps.Go(func() { l.ToServer.fill(client) })
	pumps.Go(func() { l.ToServer.drain(server) })
	pumps.Go(func() { l.ToClient.fill(server) })
	pumps.Go(func() { l.ToClient.drain(client) })
	pumps.Wait()
}

// narrow makes the system's buffers small on the way between two sockets.
func narrow(f *Flow, from, to *net.TCPConn) {
	if size := f.faults.Buffer; size > 0 {
		from.SetReadBuffer(size)
		to.SetWriteBuffer(size)
	}
}

// resetPatience is how long what arrived before a reset may take to be written to
// a socket: a peer that does not read gets the reset without it.
const resetPatience = 100 * time.Millisecond

// interruptOnReset makes what waits for the sockets fail when the link is reset.
func (l *Link) interruptOnReset(sockets ...*net.TCPConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onReset = func() {
		for _, nc := range sockets {
			nc.SetReadDeadline(time.Unix(1, 0))
			nc.SetWriteDeadline(time.Now().Add(resetPatience))
		}
	}
	if l.wasReset {
		l.onReset()
	}
}

// fill writes to the flow what comes from a socket.
func (f *Flow) fill(nc *net.TCPConn) {
	buf := make([]byte, min(f.faults.buffer(), 32<<10))
	for {
		n, err := nc.Read(buf)
		if _, broken := f.put(buf[:n]); broken != nil {
			f.link.Reset()
			return
		}
		switch {
		case errors.Is(err, io.EOF):
			f.link.mu.Lock()
			f.finish()
			f.link.mu.Unlock()
			return
		case err != nil:
			f.link.Reset()
			return
		}
	}
}

// drain writes to a socket what arrives from the flow, and its end.
func (f *Flow) drain(nc *net.TCPConn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := f.get(buf)
		if err == nil {
			_, err = nc.Write(buf[:n])
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			nc.CloseWrite()
			return
		default:
			f.link.Reset()
			nc.SetLinger(0) // so that closing it resets it
			nc.Close()
			return
		}
	}
}
