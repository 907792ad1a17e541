package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/tcpserver"
	"github.com/fibersock/fibersock/wire"
)

// startPeer accepts connections for the rest of the test and runs script on
// each.
func startPeer(t *testing.T, script func(nc net.Conn, r *bufio.Reader)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				script(nc, bufio.NewReader(nc))
			}()
		}
	}()
	return ln.Addr().String()
}

// accept answers the opening handshake.
func accept(nc net.Conn, r *bufio.Reader) {
	request, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	response, _ := handshake.AppendResponse(nil, &handshake.ServerAnswer{Key: request.Header.Get("Sec-WebSocket-Key")})
	nc.Write(response)
}

// closeFrame is a server's Close.
func closeFrame(code wire.StatusCode, reason string) []byte {
	payload, _ := wire.AppendClosePayload(nil, code, reason)
	return wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Close}, payload)
}

// says returns a script that accepts the handshake, sends bytes and waits until
// the client has hung up or sent its Close.
func says(bytes []byte) func(net.Conn, *bufio.Reader) {
	return func(nc net.Conn, r *bufio.Reader) {
		accept(nc, r)
		nc.Write(bytes)
		awaitClose(r)
	}
}

// awaitClose reads up to a Close frame from the client. Frames are masked and
// below 126 bytes, as in all of these tests.
func awaitClose(r *bufio.Reader) { awaitFrame(r, wire.Close) }

// awaitFrame is awaitClose for an opcode. The error is that the connection has
// ended.
func awaitFrame(r *bufio.Reader, op wire.Opcode) error {
	for {
		first, _ := r.ReadByte()
		second, err := r.ReadByte()
		if err != nil {
			return err
		}
		if _, err := r.Discard(4 + int(second&0x7f)); err != nil || wire.Opcode(first&0xf) == op {
			return err
		}
	}
}

func TestExitCodeSaysHowItEnded(t *testing.T) {
	nobody := tcpserver.Refusing(t)
	answering := func(response string) func(net.Conn, *bufio.Reader) {
		return func(nc net.Conn, r *bufio.Reader) {
			http.ReadRequest(r)
			io.WriteString(nc, response)
		}
	}
	silent := func(_ net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }
	text := wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Text}, []byte("more than ten bytes"))

	for _, c := range []struct {
		name string
		peer func(net.Conn, *bufio.Reader) // nil: no listener
		args string                        // ADDR is the peer's address
		code exitCode
		err  string // a substring of standard error
	}{
		{"no listener", nil, "ws://ADDR", exitUnreachable, "refused"},
		{"no such name", nil, "ws://name.invalid/", exitUnreachable, "name.invalid"},
		{"no proxy", nil, "-proxy http://ADDR ws://example.com/", exitUnreachable, "proxy"},
		{"a proxy that refuses", answering("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"), "-proxy http://ADDR ws://example.com/", exitUnreachable, "407"},
		{"TLS with a server that has none", answering("HTTP/1.1 400 What\r\n\r\n"), "wss://ADDR", exitTLS, "TLS"},
		{"TLS with one that hangs up", func(net.Conn, *bufio.Reader) {}, "wss://ADDR", exitTLS, ""},
		{"hangs up in the handshake", answering(""), "ws://ADDR", exitRefused, "EOF"},
		{"not HTTP", answering("SSH-2.0-OpenSSH\r\n"), "ws://ADDR", exitRefused, "handshake"},
		{"404", answering("HTTP/1.1 404 Nothing\r\nContent-Length: 5\r\n\r\n\x1b[2Jx"), "ws://ADDR", exitRefused, "404"},
		{"no answer of a proxy", silent, "-timeout 50ms -proxy socks5://ADDR ws://example.com/", exitTimeout, ": SOCKS greeting: no open connection for 50ms (-timeout)"},
		{"a refusal, which check explains", answering("HTTP/1.1 404 Nothing\r\n\r\n"), "ws://ADDR", exitRefused, "\"fibersock check URL\" explains more."},
		{"a wrong Sec-WebSocket-Accept", answering("HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n"), "ws://ADDR", exitRefused, "Sec-WebSocket-Accept"},
		{"no answer to the handshake", silent, "-timeout 50ms ws://ADDR", exitTimeout, "50ms (-timeout)"},
		{"a masked frame", says([]byte{0x81, 0x80, 1, 2, 3, 4}), "ws://ADDR", exitFailed, "1002"},
		{"text that is not UTF-8", says([]byte{0x81, 1, 0xff}), "ws://ADDR", exitFailed, "1007"},
		{"a message over the limit", says(text), "-max-message 10 ws://ADDR", exitFailed, "-max-message (10)"},
		{"TCP closed without a Close", accept, "ws://ADDR", exitLost, "without a closing handshake"},
		{"TCP closed inside a frame", func(nc net.Conn, r *bufio.Reader) { accept(nc, r); nc.Write(text[:5]) }, "ws://ADDR", exitLost, "unexpected EOF"},
		{"closed normally", says(closeFrame(wire.NormalClosure, "done")), "ws://ADDR", exitOK, ""},
		{"closed normally, in detail", says(closeFrame(wire.NormalClosure, "done")), "-v ws://ADDR", exitOK, `1000 (normal closure): "done"`},
		{"closed going away", says(closeFrame(wire.GoingAway, "")), "ws://ADDR", exitOK, ""},
		{"closed without a code", says([]byte{0x88, 0}), "ws://ADDR", exitOK, ""},
		{"closed for a reason", says(closeFrame(wire.PolicyViolation, "not you\x1b[31m")), "ws://ADDR", exitPeerClosed, `1008 (policy violation): "not you\x1b[31m"`},
		{"closed with a private code", says(closeFrame(4000, "")), "ws://ADDR", exitPeerClosed, "4000"},
		{"closed before the expected message", says(append(text, closeFrame(1000, "")...)), "-expect 2 ws://ADDR", exitPeerClosed, "1000"},
		{"fewer messages than expected", says(text), "-expect 2 -wait 50ms ws://ADDR END", exitTimeout, "1 of 2 messages"},
		{"no Pong", says(nil), "-ping 50ms ws://ADDR", exitTimeout, "no Pong and nothing else within 50ms of a Ping"},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := nobody
			if c.peer != nil {
				addr = startPeer(t, c.peer)
			}
			args := strings.Fields(strings.ReplaceAll(c.args, "ADDR", addr))
			input, pipe := io.Pipe() // stays open: the end of input must not end the session
			defer pipe.Close()
			if last := len(args) - 1; args[last] == "END" {
				args = args[:last]
				pipe.Close()
			}
			r := runWith(t, input, append([]string{"connect"}, args...)...)
			if r.code != c.code || !strings.Contains(r.err, c.err) {
				t.Errorf("exit code %d, want %d; %q, want %q in it", r.code, c.code, r.err, c.err)
			}
			if c.code != exitOK && !strings.HasPrefix(r.err, "fibersock: ") {
				t.Errorf("nothing is said: %q", r.err)
			}
			if strings.Contains(r.err, "\x1b") {
				t.Errorf("the server reaches the terminal: %q", r.err)
			}
		})
	}
}

// 6455-7.1.5-a: the server's Close has the last word, also when this side
// began.
func TestServerAnswersCloseWithAnotherCode(t *testing.T) {
	for code, want := range map[wire.StatusCode]exitCode{1000: exitOK, 1001: exitOK, 1007: exitPeerClosed, 4001: exitPeerClosed} {
		addr := startPeer(t, func(nc net.Conn, r *bufio.Reader) {
			accept(nc, r)
			awaitClose(r)
			nc.Write(closeFrame(code, "so"))
		})
		r := runWith(t, strings.NewReader("hello\n"), "connect", "-wait", "0s", "-json", "ws://"+addr)
		if r.code != want {
			t.Errorf("%d: exit code %d, want %d; %s", code, r.code, want, r.err)
		}
		if report := fmt.Sprintf(`"type":"close","code":%d,"reason":"so"`, code); !strings.Contains(r.out, report) {
			t.Errorf("%s is not in %s", report, r.out)
		}
	}
}

// A server that requires a client certificate sends an alert, with TLS 1.3
// after the client's part of the TLS handshake. The exit code used to be 4
// (vi/websocat#44, websockets/wscat#25).
func TestMissingClientCertificateIsAFailureOfTLS(t *testing.T) {
	certFile, keyFile := certificate(t)
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cfg := &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: version}
		addr := startPeer(t, func(nc net.Conn, _ *bufio.Reader) {
			tls.Server(nc, cfg).Handshake()
			io.Copy(io.Discard, nc)
		})
		if r := runWith(t, strings.NewReader(""), "connect", "-cacert", certFile, "wss://"+addr); r.code != exitTLS {
			t.Errorf("%s: %+v", tls.VersionName(version), r)
		}
	}
}

func TestErrorsAndTheirExitCodes(t *testing.T) {
	for _, c := range []struct {
		err                error
		connected, secured bool
		want               exitCode
	}{
		{context.Canceled, true, true, exitInterrupted},
		{context.DeadlineExceeded, true, true, exitTimeout},
		{tls.AlertError(40), true, true, exitTLS},
		{&client.TLSError{Err: io.EOF}, true, true, exitTLS},
		{io.EOF, false, true, exitUnreachable},
		{io.EOF, true, false, exitTLS},
		{io.EOF, true, true, exitRefused},
		{&client.ProxyError{Err: io.EOF}, true, false, exitUnreachable},
		{&client.HandshakeError{Err: errors.New("no")}, true, true, exitRefused},
	} {
		if got := dialExitCode(c.err, c.connected, c.secured); got != c.want {
			t.Errorf("dial: %v, connected %t, secured %t: %d, want %d", c.err, c.connected, c.secured, got, c.want)
		}
	}
	for _, c := range []struct {
		err  error
		ours wire.StatusCode
		want exitCode
	}{
		{&client.CloseError{Code: 4000}, 4000, exitOK},
		{&client.CloseError{Code: 4000}, 4001, exitPeerClosed},
		{&client.LostError{Err: io.EOF}, 0, exitLost},
		{&client.LostError{Err: &client.TimeoutError{}}, 0, exitTimeout},
		{&client.LostError{Err: &client.TLSError{Err: io.EOF}}, 0, exitTLS},
		{&client.FailError{Code: 1002, Err: wire.ErrInvalidUTF8}, 0, exitFailed},
		{client.ErrClosed, 1000, exitTimeout},
	} {
		if got := endExitCode(c.err, c.ours); got != c.want {
			t.Errorf("end: %v after %d: %d, want %d", c.err, c.ours, got, c.want)
		}
	}
}
