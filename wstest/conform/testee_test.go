package conform

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A testee is the echo peer that the judge is tried out on. It plays both roles, goes by RFC 6455 and RFC 7692 to
// the letter, and shares no code with the judge or the library. It is slow and allocates for
// everything.
//
// Its faults make it a mutant.
type testee struct {
	testeeFaults
}

// testeeFaults are hooks for faults of a testee. A nil hook is no fault.
type testeeFaults struct {
	// lenient is asked when a frame breaks a rule; true: it passes all the same.
	lenient func(broken testeeRule, f *testeeFrame) bool

	// text returns the check that a text message has to pass.
	text func() testeeText

	// failing fails the connection in its own way, where code is the right status code.
	failing func(s *testeeSession, code int)

	// frame sees each frame before anything else is done with it; false: it is dropped.
	frame func(s *testeeSession, f *testeeFrame) bool

	// echo answers a message, ping and pong answer control frames, closing a legal Close. An error
	// ends the session.
	echo       func(s *testeeSession, opcode byte, payload []byte) error
	ping, pong func(s *testeeSession, payload []byte) error
	closing    func(s *testeeSession, payload []byte) error

	// sending returns the frames to send in place of f.
	sending func(s *testeeSession, f *testeeFrame) []*testeeFrame

	// encode returns the octets of f that are to be written.
	encode func(s *testeeSession, f *testeeFrame) []byte

	// hangUp ends TCP after the closing handshake or a failure.
	hangUp func(s *testeeSession)

	// offer is the extensions that the client offers; "": testeeOffer.
	offer string

	// response changes the head of the server's answer.
	response func(h http.Header)

	// agreed returns the agreement that the testee uses in place of a; nil: none.
	agreed func(a testeeAgreement) *testeeAgreement
}

// A testeeSession is one connection of a testee.
type testeeSession struct {
	*testee
	conn   net.Conn
	in     *bufio.Reader
	client bool

	comp *testeeCompression // nil: not agreed

	// The message under way.
	opcode     byte // 0: none
	compressed bool
	message    []byte
	checked    testeeText

	mu   sync.Mutex // guards the rest
	held [][]byte   // payloads that a mutant answers later
}

// testeeLinger is for how long a peer waits for the other to end TCP, or to read the rest.
const testeeLinger = 2 * time.Second

// serve is the server's part on conn: opening handshake, echo until the end, TCP closed.
func (t *testee) serve(conn net.Conn) {
	defer conn.Close()
	s := &testeeSession{testee: t, conn: conn, in: bufio.NewReader(conn)}
	r, err := http.ReadRequest(s.in)
	if err != nil {
		return
	}
	h := http.Header{}
	h.Set("Server", "testee")
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || r.Header.Get("Sec-WebSocket-Version") != "13" {
		fmt.Fprintf(conn, "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n")
		return
	}
	h.Set("Upgrade", "websocket")
	h.Set("Connection", "Upgrade")
	h.Set("Sec-WebSocket-Accept", testeeAccept(r.Header.Get("Sec-WebSocket-Key")))
	agreement, answer := testeeAcceptOffer(r.Header.Values("Sec-WebSocket-Extensions"))
	if answer != "" {
		h.Set("Sec-WebSocket-Extensions", answer)
	}
	if t.response != nil {
		t.response(h)
	}
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n"+testeeHead(h)+"\r\n")
	s.compress(agreement)
	s.run()
}

// listen serves all that connect to ln, until it is closed and the last of them has gone.
func (t *testee) listen(ln net.Listener) {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		all.Go(func() { t.serve(conn) })
	}
}

// connect is the client's part on conn: opening handshake for resource, echo until the end, TCP closed.
func (t *testee) connect(conn net.Conn, resource string) error {
	defer conn.Close()
	s := &testeeSession{testee: t, conn: conn, in: bufio.NewReader(conn), client: true}
	nonce := make([]byte, 16)
	rand.Read(nonce)
	key := base64.StdEncoding.EncodeToString(nonce)
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Extensions: %s\r\n\r\n",
		resource, conn.RemoteAddr(), key, cmp.Or(t.offer, testeeOffer))
	r, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return err
	}
	if r.StatusCode != 101 || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") ||
		r.Header.Get("Sec-WebSocket-Accept") != testeeAccept(key) {
		return fmt.Errorf("testee: %s answered with %s", resource, r.Status)
	}
	agreement, err := testeeAgreed(r.Header.Values("Sec-WebSocket-Extensions"))
	if err != nil {
		return err
	}
	s.compress(agreement)
	s.run()
	return nil
}

// ask is connect for a resource that sends one message and wants no answer to it.
func (*testee) ask(conn net.Conn, resource string) (answer string, err error) {
	asking := testee{testeeFaults{echo: func(_ *testeeSession, _ byte, payload []byte) error {
		answer = string(payload)
		return nil
	}}}
	err = asking.connect(conn, resource)
	return answer, err
}

// drive runs the cases of a FuzzingServer, up to parallel at a time. The testee's faults are in the cases alone.
func (t *testee) drive(ctx context.Context, dial func() (net.Conn, error), agent string, parallel int) error {
	ask := func(_ context.Context, resource string) (string, error) {
		conn, err := dial()
		if err != nil {
			return "", err
		}
		return t.ask(conn, resource)
	}
	d := Driver{Agent: agent, Parallel: parallel, Ask: ask, Echo: func(ctx context.Context, resource string) error {
		if strings.HasPrefix(resource, "/updateReports") {
			_, err := ask(ctx, resource)
			return err
		}
		conn, err := dial()
		if err != nil {
			return err
		}
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		return t.connect(conn, resource)
	}}
	return d.Run(ctx)
}

func testeeAccept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func testeeHead(h http.Header) string {
	var b strings.Builder
	h.Write(&b)
	return b.String()
}

// testeeFailure is a rule that the peer broke, with the status code to say so.
type testeeFailure int

func (f testeeFailure) Error() string { return fmt.Sprintf("testee: failed with %d", int(f)) }

// errTesteeClosed ends a session whose closing handshake is done.
var errTesteeClosed = errors.New("testee: closed")

// run echoes until the connection has ended, in whichever way. RFC 6455, 7.1.1: the server ends TCP, the client
// waits for that.
func (s *testeeSession) run() {
	for {
		err := s.receive()
		if err == nil {
			continue
		}
		var failure testeeFailure
		if errors.As(err, &failure) {
			if s.failing != nil {
				s.failing(s, int(failure))
			} else {
				s.sendClose(int(failure), "")
			}
		} else if err != errTesteeClosed {
			return // TCP has ended
		}
		if s.hangUp != nil {
			s.hangUp(s)
		} else {
			s.end()
		}
		return
	}
}

// end ends TCP so that the other end gets everything: half-close, wait for the other's end, close.
func (s *testeeSession) end() {
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok && !s.client {
		c.CloseWrite()
	}
	s.conn.SetReadDeadline(time.Now().Add(testeeLinger))
	io.Copy(io.Discard, s.in)
}
