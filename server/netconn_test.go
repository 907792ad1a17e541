package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/testcert"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// netConns runs a test in a bubble, with the two ends of a connection as
// net.Conns: of the client and of the server.
func netConns(t *testing.T, op wire.Opcode, test func(t *testing.T, a, b net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		conns, done := make(chan *server.Conn, 1), make(chan struct{})
		ln := wstest.Listen(nil)
		s := &server.Server{PingInterval: -1, Handler: server.Handler{Serve: func(c *server.Conn) {
			conns <- c
			<-done
		}}}
		go s.Serve(ln)
		c, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{DialContext: client.DialFunc(ln.DialContext), PingInterval: -1, CloseTimeout: time.Second})
		check.Must(t, err)
		a, b := c.NetConn(op), (<-conns).NetConn(op)
		test(t, a, b)
		close(done)
		c.CloseNow()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		check.OK(t, s.Shutdown(ctx))
	})
}

// eachWay runs a test of a reading and a writing end with both roles.
func eachWay(t *testing.T, test func(t *testing.T, r, w net.Conn)) {
	t.Run("client reads", func(t *testing.T) { netConns(t, wire.Binary, func(t *testing.T, a, b net.Conn) { test(t, a, b) }) })
	t.Run("server reads", func(t *testing.T) { netConns(t, wire.Binary, func(t *testing.T, a, b net.Conn) { test(t, b, a) }) })
}

// The bytes arrive unchanged and in order, with any sizes of Read and Write, in
// both directions at the same time.
func TestNetConnCopies(t *testing.T) {
	eachWay(t, func(t *testing.T, r, w net.Conn) {
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		var writers sync.WaitGroup
		for _, nc := range []net.Conn{r, w} {
			writers.Go(func() {
				for size, p := 0, sent; len(p) > 0; size = (size*3 + 1) % 100_000 {
					n := min(size, len(p))
					if written, err := nc.Write(p[:n]); written != n || err != nil {
						t.Errorf("Write of %d: %d, %v", n, written, err)
						return
					}
					p = p[n:]
				}
			})
		}
		for _, nc := range []net.Conn{r, w} {
			writers.Go(func() {
				got := make([]byte, len(sent))
				for size, p := 1, got; len(p) > 0; size = (size*5 + 1) % 70_000 {
					n, err := nc.Read(p[:min(size+1, len(p))])
					if err != nil {
						t.Errorf("Read: %v", err)
						return
					}
					p = p[n:]
				}
				if !bytes.Equal(got, sent) {
					t.Error("the bytes have changed")
				}
			})
		}
		writers.Wait()
	})
}

// wantDeadline checks the error of a call at its deadline.
func wantDeadline(t *testing.T, n int, err error) {
	t.Helper()
	var ne net.Error
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("%d, %v; want a timeout", n, err)
	}
}

// A read deadline in the past, one that passes, and one that is set during a
// Read end a Read. It goes on at the same byte afterwards.
func TestNetConnReadDeadlines(t *testing.T) {
	eachWay(t, func(t *testing.T, r, w net.Conn) {
		buf := make([]byte, 100)
		read := func() (int, error) { return r.Read(buf) }
		check.OK(t, r.SetReadDeadline(time.Unix(1, 0)))
		n, err := read()
		wantDeadline(t, n, err)
		n, err = r.Read(nil)
		wantDeadline(t, n, err)

		start := time.Now()
		check.OK(t, r.SetDeadline(start.Add(time.Minute)))
		n, err = read()
		wantDeadline(t, n, err)
		check.Equal(t, time.Since(start), time.Minute, "time of the Read")

		check.OK(t, r.SetDeadline(time.Time{}))
		time.AfterFunc(time.Minute, func() { r.SetReadDeadline(time.Now().Add(time.Hour)) })
		time.AfterFunc(2*time.Minute, func() { r.SetReadDeadline(time.Now().Add(time.Minute)) })
		start = time.Now()
		n, err = read()
		wantDeadline(t, n, err)
		check.Equal(t, time.Since(start), 3*time.Minute, "time of the second Read")

		check.OK(t, r.SetReadDeadline(time.Time{}))
		check.Must(t, check.Err(w.Write([]byte("Hello"))))
		if n, err := io.ReadFull(r, buf[:2]); n != 2 || err != nil || string(buf[:2]) != "He" {
			t.Errorf("%q, %v", buf[:2], err)
		}
		check.OK(t, r.SetReadDeadline(time.Unix(1, 0)))
		n, err = read()
		wantDeadline(t, n, err)
		check.OK(t, r.SetReadDeadline(time.Time{}))
		if n, err := read(); string(buf[:n]) != "llo" || err != nil {
			t.Errorf("%q, %v", buf[:n], err)
		}
	})
}

// A write deadline that has passed sends nothing. One that passes while the
// peer does not read ends the connection.
func TestNetConnWriteDeadline(t *testing.T) {
	netConns(t, wire.Binary, func(t *testing.T, a, b net.Conn) {
		check.OK(t, a.SetWriteDeadline(time.Unix(1, 0)))
		n, err := a.Write([]byte("too late"))
		wantDeadline(t, n, err)
		check.OK(t, a.SetWriteDeadline(time.Now().Add(time.Minute)))
		check.Must(t, check.Err(a.Write([]byte("in time"))))
		buf := make([]byte, 100)
		if n, err := b.Read(buf); string(buf[:n]) != "in time" || err != nil {
			t.Errorf("%q, %v", buf[:n], err)
		}
		check.OK(t, a.SetWriteDeadline(time.Now().Add(time.Second))) // before WriteTimeout
		if _, err := a.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write to a peer that does not read: %v", err)
		}
		check.OK(t, a.SetDeadline(time.Time{}))
		if _, err := a.Write([]byte("more")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write after it: %v", err)
		}
		if _, err := a.Read(buf); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read after it: %v", err)
		}
	})
}

// Close is an io.EOF for the peer, behind the bytes that were written before.
// Pending and later calls of this side return net.ErrClosed.
func TestNetConnClose(t *testing.T) {
	eachWay(t, func(t *testing.T, r, w net.Conn) {
		check.Must(t, check.Err(w.Write([]byte("the end"))))
		pending := make(chan error, 1)
		go func() { pending <- check.Err(w.Read(make([]byte, 1))) }()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- w.Close() }()
		if got, err := io.ReadAll(r); string(got) != "the end" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		check.OK(t, <-closed)
		check.Is(t, <-pending, net.ErrClosed, "pending Read")
		check.Is(t, check.Err(r.Read(make([]byte, 1))), io.EOF, "Read after the end")
		if _, err := r.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write after the peer's Close: %v", err)
		}
		check.OK(t, r.Close())
		for name, err := range map[string]error{
			"Read": check.Err(w.Read(make([]byte, 1))), "Write": check.Err(w.Write([]byte("x"))), "Close": w.Close(),
			"SetDeadline": w.SetDeadline(time.Time{}), "SetReadDeadline": w.SetReadDeadline(time.Time{}), "SetWriteDeadline": w.SetWriteDeadline(time.Time{}),
		} {
			check.Is(t, err, net.ErrClosed, "%s after Close", name)
		}
		if r.LocalAddr() == nil || r.RemoteAddr() == nil {
			t.Error("no addresses")
		}
	})
}

// Text is sent as text, and not cut inside a code point. A message of the other
// type closes the connection with 1003.
func TestNetConnOfText(t *testing.T) {
	netConns(t, wire.Text, func(t *testing.T, a, b net.Conn) {
		text := "x" + strings.Repeat("€", 50_000)
		go a.Write([]byte(text))
		got := make([]byte, len(text))
		if _, err := io.ReadFull(b, got); err != nil || string(got) != text {
			t.Errorf("the text has changed, %v", err)
		}
		check.Is(t, check.Err(a.Write([]byte("\xff"))), wire.ErrInvalidUTF8, "Write of no text")
		check.Must(t, check.Err(a.Write([]byte("still open"))))
	})
	conns := make(chan error, 1)
	ln := wstest.Listen(nil)
	s := &server.Server{Handler: server.Handler{Serve: func(c *server.Conn) {
		nc := c.NetConn(wire.Binary)
		err := check.Err(nc.Read(make([]byte, 1)))
		if again := check.Err(nc.Read(make([]byte, 1))); again != err {
			err = fmt.Errorf("%v, and then %v", err, again)
		}
		conns <- err
	}}}
	go s.Serve(ln)
	defer s.Shutdown(context.Background())
	c, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{DialContext: client.DialFunc(ln.DialContext)})
	check.Must(t, err)
	defer c.CloseNow()
	check.OK(t, c.SendText("text"))
	closed := check.As[*client.CloseError](t, check.Err(c.Receive(t.Context())), "Receive")
	check.Equal(t, closed.Code, wire.UnsupportedData, "the code")
	check.As[*wire.Error](t, <-conns, "Read")
}

// HTTP over TLS over WebSocket, over TCP.
func TestNetConnCarriesTLSAndHTTP(t *testing.T) {
	cert, roots, err := testcert.New("inner.example")
	check.Must(t, err)
	accepted := make(chan net.Conn)
	inner := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.URL.Path, body)
	})}
	listener := &oneListener{conns: accepted, done: make(chan struct{})}
	go inner.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{cert}}))
	defer inner.Close()
	s := &server.Server{Handler: server.Handler{Serve: func(c *server.Conn) {
		accepted <- c.NetConn(wire.Binary)
		<-c.Context().Done()
	}}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	go s.Serve(ln)
	defer s.Shutdown(context.Background())
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := client.Dial(ctx, "ws://"+ln.Addr().String()+"/", nil)
			if err != nil {
				return nil, err
			}
			return c.NetConn(wire.Binary), nil
		},
	}
	defer transport.CloseIdleConnections()
	large := strings.Repeat("x", 1<<20)
	for _, body := range []string{"", "hello", large} {
		r, err := (&http.Client{Transport: transport}).Post("https://inner.example/path", "text/plain", strings.NewReader(body))
		check.Must(t, err)
		got, err := io.ReadAll(r.Body)
		r.Body.Close()
		if string(got) != "/path "+body || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
}

// oneListener is a net.Listener of connections from a channel.
type oneListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *oneListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *oneListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *oneListener) Addr() net.Addr { return &net.TCPAddr{} }

// No byte is lost by hundreds of deadlines that pass while messages arrive.
func TestNetConnReadsOnAfterDeadlines(t *testing.T) {
	eachWay(t, func(t *testing.T, r, w net.Conn) {
		sent := bytes.Repeat([]byte("0123456789abcdefg"), 1000)
		var writer sync.WaitGroup
		defer writer.Wait()
		writer.Go(func() {
			for p := sent; len(p) > 0; {
				n := min(17, len(p))
				w.Write(p[:n])
				p = p[n:]
				time.Sleep(1700 * time.Microsecond)
			}
		})
		var got []byte
		timeouts := 0
		for buf := make([]byte, 10); len(got) < len(sent); {
			r.SetReadDeadline(time.Now().Add(time.Millisecond))
			n, err := r.Read(buf)
			got = append(got, buf[:n]...)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				timeouts++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, sent) || timeouts < 900 {
			t.Errorf("%d of %d bytes arrived, after %d deadlines", len(got), len(sent), timeouts)
		}
	})
}
