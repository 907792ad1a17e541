package load

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"

	"github.com/fibersock/fibersock/internal/test/usage"
)

// goroutines is the shell of every system, and of TLS: two goroutines move the
// bytes of a connection, one for each direction.
type goroutines struct {
	addr string

	mu   sync.Mutex // guards the run with its sessions, and err
	run  *run
	err  error           // why the run failed
	wake []chan struct{} // by the sessions' index: the session has something to do; one is enough for many reasons
}

func moveWithGoroutines(ctx context.Context, r *run, addr *net.TCPAddr) error {
	r.usage = usage.CPU
	g := &goroutines{addr: addr.String(), run: r}
	for range r.sessions {
		g.wake = append(g.wake, make(chan struct{}, 1))
	}
	// tick ends a run whose ctx is done. Closing the connections at once could
	// be reported as a fault of the server.
	running, quit := context.WithCancel(context.WithoutCancel(ctx))
	var all sync.WaitGroup
	for i := range r.sessions {
		all.Go(func() { g.serve(running, &r.sessions[i]) })
	}
	g.locked(func() error { r.start(); return nil })
	g.tickUntilOver(ctx)
	quit()
	all.Wait()
	return g.err
}

// locked calls do with exclusive access to the run, and wakes the writers with
// new output. The first error ends the run.
func (g *goroutines) locked(do func() error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = do()
	}
	g.run.attend(func(s *session) error {
		select {
		case g.wake[s.index] <- struct{}{}:
		default:
		}
		return nil
	})
}

func (g *goroutines) tickUntilOver(ctx context.Context) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for over := false; !over; <-ticker.C {
		g.locked(func() error { return g.run.tick(ctx) })
		g.mu.Lock()
		over = g.err != nil || g.run.over()
		g.mu.Unlock()
	}
}

// serve gives the session one connection after the other, for as long as it
// wants them and the run is not over.
func (g *goroutines) serve(running context.Context, s *session) {
	for {
		select {
		case <-g.wake[s.index]:
		case <-running.Done():
			return
		}
		for life := g.wantsConnection(s); life > 0; life = g.wantsConnection(s) {
			g.connect(running, s, life)
		}
	}
}

// wantsConnection returns which connection, of its life, the session wants; 0
// is none.
func (g *goroutines) wantsConnection(s *session) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil || s.state != opening {
		return 0
	}
	return s.life
}

// connect opens a connection for the session and moves its bytes until it is
// over.
func (g *goroutines) connect(running context.Context, s *session, life int) {
	conn, err := dial(running, g.addr, g.run.TLS)
	if err != nil {
		g.locked(func() error { return s.unconnected(err) })
		return
	}
	over, end := context.WithCancel(running)
	context.AfterFunc(over, func() { conn.Close() })
	var writer sync.WaitGroup
	writer.Go(func() { g.write(over, conn, s, life) })
	g.read(conn, s)
	end()
	writer.Wait()
}

func dial(ctx context.Context, addr string, config *tls.Config) (net.Conn, error) {
	if config == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", addr)
}

// read passes input to the session until the end.
func (g *goroutines) read(conn net.Conn, s *session) {
	buf := make([]byte, 16<<10)
	for {
		n, err := conn.Read(buf)
		g.locked(func() error {
			now := g.run.now()
			if n > 0 {
				if fault := s.receive(buf[:n], now); fault != nil {
					return fault
				}
			}
			if err != nil {
				return s.lost(orderly(err), now)
			}
			return nil
		})
		if err != nil {
			return
		}
	}
}

// orderly is nil for the end of the stream, with or without close_notify.
func orderly(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// write sends the output of the session. The reader reports a server that
// accepts none, with the cause.
func (g *goroutines) write(over context.Context, conn net.Conn, s *session, life int) {
	var n int
	for {
		p, same := g.output(s, life, n)
		if !same {
			return
		}
		if n = 0; len(p) == 0 {
			select {
			case <-g.wake[s.index]:
				continue
			case <-over.Done():
				return
			}
		}
		var err error
		if n, err = conn.Write(p); err != nil {
			return
		}
	}
}

// output tells the session that n bytes were written, and returns the next
// output of the same connection.
func (g *goroutines) output(s *session, life, n int) (p []byte, same bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.life != life {
		return nil, false
	}
	if n > 0 {
		s.wrote(n)
	}
	return s.output(), true
}
