package wstest

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Relay forwards TCP connections between clients and a server, with the faults
// of its plans, for code that needs real sockets. A reset is a TCP reset.
// Faults.Buffer also sets the size of the system's buffers, so that writes to a
// socket are often short or blocked.
type Relay struct {
	ln     net.Listener
	server string
	links  *links
	work   sync.WaitGroup
}

// NewRelay returns a relay to the server at a TCP address, host:port. The relay
// listens at Addr. The n-th connection, counted from 0, has the faults of
// plan(n), by default none. plan is called by a goroutine of the relay. The
// caller must close the relay. The error is that of net.Listen.
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

// Link waits for the n-th connection, counted from 0, and returns its link. It
// returns nil if the relay is closed first.
func (r *Relay) Link(n int) *Link { return r.links.get(n) }

// Close stops listening, resets all connections and waits for the relay's
// goroutines.
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

// serve forwards the connection of a client until both sides end it.
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
	pumps.Go(func() { l.ToServer.empty(server) })
	pumps.Go(func() { l.ToClient.fill(server) })
	pumps.Go(func() { l.ToClient.empty(client) })
	pumps.Wait()
}

// narrow sets the size of the system's buffers of one direction.
func narrow(f *Flow, from, to *net.TCPConn) {
	if size := f.faults.Buffer; size > 0 {
		from.SetReadBuffer(size)
		to.SetWriteBuffer(size)
	}
}

// resetPatience is the time limit for writing the bytes before a reset to a
// socket. A peer that does not read gets the reset without them.
const resetPatience = 100 * time.Millisecond

// interruptOnReset makes a reset of the link end reads and writes of the
// sockets.
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

// fill copies a socket's input to the flow.
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

// empty copies the flow, and its end, to a socket.
func (f *Flow) empty(nc *net.TCPConn) {
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
			nc.SetLinger(0) // Close then resets it
			nc.Close()
			return
		}
	}
}
