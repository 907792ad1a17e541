package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

// ourServers are the ways to serve with our server.
var ourServers = []party{
	{name: "our server", listen: listenOurs(assembled, listenDirectly)},
	{name: "our server taking messages in pieces", listen: listenOurs(inPieces, listenDirectly)},
	{name: "our server in blocking style", listen: listenOurs(blocking, listenDirectly)},
	{name: "our server behind net-http", listen: listenOurs(assembled, listenInNetHTTP)},
}

// runBothRoles runs all scenarios between p and us, p being the client and then the server.
func runBothRoles(t *testing.T, p party) {
	t.Helper()
	for _, server := range ourServers {
		there := pair(p, server)
		runAll(t, there)
		emptyClose.runFrom(t, there, asServer)
	}
	back := pair(ourClient(nil), p)
	runAll(t, back)
	emptyClose.runFrom(t, back, asClient)
}

// ourClient returns our client as a party, which connects with dial, or to the URL's address if that is nil.
func ourClient(dial dialFunc) party {
	return party{name: "our client", dial: func(t *testing.T, url string, o options) endpoint {
		t.Helper()
		ctx := patient(t)
		cfg := &client.Config{Subprotocols: o.offered, TLS: clientTLS(o), DialContext: client.DialFunc(dial)}
		if o.ours != nil {
			cfg.Compression = o.ours
		}
		conn, err := client.Dial(ctx, url, cfg)
		check.Must(t, err)
		t.Cleanup(func() { conn.CloseNow() })
		return clientEndpoint{ctx, conn}
	}}
}

type clientEndpoint struct {
	ctx  context.Context
	conn *client.Conn
}

func (e clientEndpoint) subprotocol() string { return e.conn.Subprotocol() }

func (e clientEndpoint) compression() string { return e.conn.Compression() }

func (e clientEndpoint) send(m event) error { return e.conn.Send(m.kind.opcode(), m.payload) }

func (e clientEndpoint) sendFragments(k kind, parts [][]byte) error {
	w, err := e.conn.NextWriter(k.opcode())
	if err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := w.Write(part); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if err := e.ping(nil); err != nil {
			return err
		}
	}
	return w.Close()
}

// ping sends a payload of the client's own, by which it knows the pong.
func (e clientEndpoint) ping([]byte) error {
	_, err := e.conn.Ping(e.ctx)
	return err
}

func (e clientEndpoint) receive() (event, error) {
	m, err := e.conn.Receive(e.ctx)
	if err != nil {
		return e.end(err)
	}
	return event{kind: kindOf(m.Opcode), payload: m.Payload}, nil
}

func (e clientEndpoint) close(code wire.StatusCode, reason string) (event, error) {
	if err := e.conn.Close(code, reason); err != nil {
		return event{}, err
	}
	return e.end(e.conn.Err())
}

// end returns the peer's Close as an event, and any other error as it is.
func (e clientEndpoint) end(err error) (event, error) {
	var c *client.CloseError
	if !errors.As(err, &c) {
		return event{}, err
	}
	return event{kind: closed, code: c.Code, reason: c.Reason}, nil
}

// A style makes a handler that hands over its connections.
type style func(t *testing.T, accepted chan<- *serverEndpoint) server.Handler

// assembled receives whole messages as events.
func assembled(t *testing.T, accepted chan<- *serverEndpoint) server.Handler {
	return server.Handler{
		Open: func(c *server.Conn) {
			e := newServerEndpoint(t, c)
			accepted <- e
		},
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			endpointOf(c).put(event{kind: kindOf(op), payload: append([]byte{}, p...)})
		},
		Control: takePong,
		Close: func(c *server.Conn, code wire.StatusCode, reason string) {
			endpointOf(c).put(event{kind: closed, code: code, reason: reason})
		},
	}
}

func endpointOf(c *server.Conn) *serverEndpoint { return c.Value().(*serverEndpoint) }

// inPieces receives partial messages.
func inPieces(t *testing.T, accepted chan<- *serverEndpoint) server.Handler {
	h := assembled(t, accepted)
	var message []byte
	h.Partial = func(c *server.Conn, op wire.Opcode, p []byte, final bool) {
		message = append(message, p...)
		if final {
			endpointOf(c).put(event{kind: kindOf(op), payload: message})
			message = nil
		}
	}
	return h
}

// blocking receives in a function that runs for the life of the connection.
func blocking(t *testing.T, accepted chan<- *serverEndpoint) server.Handler {
	return server.Handler{Control: takePong, Serve: func(c *server.Conn) {
		e := newServerEndpoint(t, c)
		accepted <- e
		for {
			m, err := c.Receive(e.ctx)
			if err != nil {
				e.put(ended(err, ourClose))
				return
			}
			e.put(event{kind: kindOf(m.Opcode), payload: m.Payload})
		}
	}}
}

func ourClose(err error) (wire.StatusCode, string, bool) {
	var c *server.CloseError
	if !errors.As(err, &c) {
		return 0, "", false
	}
	return c.Code, c.Reason, true
}

type serverEndpoint struct {
	mailbox
	conn   *server.Conn
	server *server.Server
	pongs  chan string
}

func newServerEndpoint(t *testing.T, c *server.Conn) *serverEndpoint {
	e := &serverEndpoint{mailbox: newMailbox(t), conn: c, pongs: make(chan string, 16)}
	c.SetValue(e)
	return e
}

// takePong is the Control handler of each style.
func takePong(c *server.Conn, op wire.Opcode, p []byte) {
	if op == wire.Pong {
		endpointOf(c).pongs <- string(p)
	}
}

func (e *serverEndpoint) subprotocol() string { return e.conn.Subprotocol() }

func (e *serverEndpoint) compression() string { return e.conn.Compression() }

func (e *serverEndpoint) encoded() (in, out int64) {
	st := e.server.Stats()
	return int64(st.Received.Bytes), int64(st.Sent.Bytes)
}

func (e *serverEndpoint) send(m event) error { return e.conn.Send(m.kind.opcode(), m.payload) }

func (e *serverEndpoint) sendFragments(k kind, parts [][]byte) error {
	for i, part := range parts {
		if i > 0 {
			if err := e.ping(between); err != nil {
				return err
			}
		}
		if err := e.conn.SendFragment(k.opcode(), part, i == len(parts)-1); err != nil {
			return err
		}
	}
	return nil
}

func (e *serverEndpoint) ping(payload []byte) error {
	if err := e.conn.SendPing(payload); err != nil {
		return err
	}
	got, err := within(e.ctx, e.pongs)
	if err == nil && got != string(payload) {
		err = fmt.Errorf("the pong brought %q for %q", got, payload)
	}
	return err
}

func (e *serverEndpoint) close(code wire.StatusCode, reason string) (event, error) {
	if err := e.conn.Close(code, reason); err != nil {
		return event{}, err
	}
	return e.receive()
}

// listenOurs returns the listen function of a party that serves in the given style, by the given way.
func listenOurs(style style, serve func(t *testing.T, s *server.Server, ln net.Listener)) func(*testing.T, options) (string, func() endpoint) {
	return func(t *testing.T, o options) (string, func() endpoint) {
		t.Helper()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		check.Must(t, err)
		url := "ws://" + ln.Addr().String() + "/"
		if o.secure {
			url = "wss" + url[len("ws"):]
			ln = tls.NewListener(ln, serverTLS(o))
		}
		accepted := make(chan *serverEndpoint, 1)
		s := &server.Server{
			Handler:      style(t, accepted),
			Subprotocols: o.supported,
			Origins:      o.origins,
			Log:          func(err error) { t.Errorf("our server says: %v", err) },
		}
		if o.ours != nil {
			s.Compression = o.ours
		}
		serve(t, s, ln)
		return url, func() endpoint {
			e := next(t, accepted)().(*serverEndpoint)
			e.server = s
			return e
		}
	}
}

// listenDirectly serves the connections of ln.
func listenDirectly(t *testing.T, s *server.Server, ln net.Listener) {
	result := make(chan error, 1)
	go func() { result <- s.Serve(ln) }()
	t.Cleanup(func() {
		cut(s)
		check.Is(t, <-result, server.ErrServerClosed, "Serve")
	})
}

// listenInNetHTTP serves the connections of ln with net/http.
func listenInNetHTTP(t *testing.T, s *server.Server, ln net.Listener) {
	outer := &http.Server{Handler: httpupgrade.Handler(s)}
	result := make(chan error, 1)
	go func() { result <- outer.Serve(ln) }()
	t.Cleanup(func() {
		outer.Close()
		cut(s)
		check.Is(t, <-result, http.ErrServerClosed, "Serve")
	})
}

// cut ends s without waiting for its clients.
func cut(s *server.Server) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	s.Shutdown(now)
}
