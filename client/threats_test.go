package client_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/wire"
)

// T-G01, T-G02: a redirect is an error with its target. The client sends
// nothing to that target.
func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := listenTCP(t)
	visited := make(chan string, 10)
	go func() {
		for {
			nc, err := elsewhere.Accept()
			if err != nil {
				return
			}
			request, _ := readRequest(nc)
			visited <- request
			nc.Close()
		}
	}()
	here := listenTCP(t)
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		for _, scheme := range []string{"ws", "http", "wss", "https"} {
			location := scheme + "://" + elsewhere.Addr().String() + "/"
			asked := make(chan string, 1)
			go func() {
				nc, err := here.Accept()
				if err != nil {
					return
				}
				defer nc.Close()
				request, _ := readRequest(nc)
				fmt.Fprintf(nc, "HTTP/1.1 %d Go\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", status, location)
				asked <- request
			}()
			_, err := client.Dial(t.Context(), "ws://kim:SECRET@"+here.Addr().String()+"/?token=SECRET", &client.Config{
				Header: map[string][]string{"Cookie": {"s=SECRET"}},
			})
			var refused *client.HandshakeError
			if !errors.As(err, &refused) || refused.Response.Status != status || refused.Response.Header.Get("Location") != location {
				t.Errorf("%d to %s: %v", status, location, err)
			}
			if err != nil && strings.Contains(err.Error(), "SECRET") {
				t.Errorf("the error repeats a secret: %v", err)
			}
			if request := <-asked; !strings.Contains(request, "Cookie: s=SECRET") {
				t.Errorf("the server was asked by %q", request)
			}
		}
	}
	elsewhere.Close()
	select {
	case request := <-visited:
		t.Errorf("the redirect was followed with %q", request)
	default:
	}
}

// T-F12, T-G12: an error of a dial names the server and contains no secret.
// T-G12: the dialer is called before any byte is sent, for a proxy as well.
func TestErrorsOfDialsHoldNoSecrets(t *testing.T) {
	refuse := errors.New("not to be dialed")
	cfg := client.Config{
		Header:       map[string][]string{"Authorization": {"Bearer SECRET"}, "Cookie": {"s=SECRET"}},
		Subprotocols: []string{"bearer", "SECRET"},
		DialContext:  func(context.Context, string, string) (net.Conn, error) { return nil, refuse },
	}
	for _, proxy := range []string{"", "http://kim:SECRET@proxy.example"} {
		cfg.Proxy = proxy
		_, err := client.Dial(t.Context(), "ws://kim:SECRET@server.example/SECRET?token=SECRET", &cfg)
		if !errors.Is(err, refuse) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("through %q: %v", proxy, err)
		}
	}
	cfg.Subprotocols = []string{"bearer", "SECRET/="}
	if _, err := client.Dial(t.Context(), "ws://server.example/", &cfg); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("an invalid subprotocol: %v", err)
	}
	cfg.Proxy = "http://kim:SECRET@proxy.example:0"
	cfg.Subprotocols = nil
	if _, err := client.Dial(t.Context(), "ws://server.example/", &cfg); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("an invalid proxy: %v", err)
	}
}

// T-G09: no byte of a proxy after its answer is read as the server's, with or
// without the announcement of a body, at once or later. A proxy that requires a
// password is not asked again.
func TestProxyDoesNotSpeakForTheServer(t *testing.T) {
	for name, tt := range map[string]struct {
		answer []string // to CONNECT, and to the bytes behind it
		text   string
	}{
		"a body, at once":   {[]string{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello"}, "before the server could"},
		"a second answer":   {[]string{"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n"}, "before the server could"},
		"a body, later":     {[]string{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "Hello"}, "handshake failed"},
		"chunks, later":     {[]string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nHello\r\n0\r\n\r\n"}, "handshake failed"},
		"a replayed 101":    {[]string{"HTTP/1.1 200 OK\r\n\r\n", switching("dGhlIHNhbXBsZSBub25jZQ==")}, "handshake failed"},
		"a 101 of its own":  {[]string{switching("dGhlIHNhbXBsZSBub25jZQ==")}, "status 101"},
		"many interim ones": {[]string{strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 9)}, "interim responses"},
		"a 407":             {[]string{"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"}, "status 407"},
	} {
		t.Run(name, func(t *testing.T) {
			dials := 0
			after := make(chan string, 1)
			pipe := scripted(t, func(nc net.Conn) {
				for _, part := range tt.answer {
					readRequest(nc)
					io.WriteString(nc, part)
				}
				b, _ := io.ReadAll(nc)
				after <- string(b)
			})
			_, err := client.Dial(t.Context(), "ws://kim:SECRET@server.example/", &client.Config{
				Proxy: "http://proxy.example",
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					dials++
					return pipe(ctx, network, addr)
				},
			})
			if err == nil || !strings.Contains(err.Error(), tt.text) || dials != 1 {
				t.Errorf("%d dials: %v", dials, err)
			}
			if sent := <-after; sent != "" {
				t.Errorf("behind the answers the client sent %q", sent)
			}
			checkErrorText(t, err)
		})
	}
}

// T-H04: codes that must not be on the wire are answered with 1002. They are
// neither sent back nor reported as the server's.
func TestCloseCodesAreNotSentBackUnseen(t *testing.T) {
	for _, code := range []wire.StatusCode{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535} {
		synctest.Test(t, func(t *testing.T) {
			c, f := openPipe(t, nil)
			payload := closePayload(code, "reason")
			f.send(append([]byte{0x88, byte(len(payload))}, payload...))
			_, err := c.Receive(t.Context())
			var failed *client.FailError
			if !errors.As(err, &failed) || failed.Code != wire.ProtocolError {
				t.Errorf("%d: received %v", code, err)
			}
			frame, err := f.next()
			if err != nil || frame.Opcode != wire.Close || !strings.HasPrefix(string(frame.Payload), closePayload(wire.ProtocolError, "")) || strings.Contains(string(frame.Payload), "reason") {
				t.Errorf("%d was answered with %v %q, %v", code, frame.Opcode, frame.Payload, err)
			}
		})
	}
}

// T-C05, T-C06: the payload of a control frame is the caller's bytes, and no
// others.
func TestControlFramesCarryTheCallersPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := openPipe(t, nil)
		array := strings.Repeat("x", 200)
		for n := range array {
			if err := c.SendPong([]byte(array)[:n]); (err != nil) != (n > 125) {
				t.Fatalf("a Pong of %d bytes: %v", n, err)
			}
			if n <= 125 {
				f.want(1, wire.Pong, array[:n])
			}
		}
		go c.Receive(t.Context())
		f.send(pingFrame(array[:125]))
		f.want(1, wire.Pong, array[:125])
		go c.Close(wire.NormalClosure, array[:123])
		f.want(1, wire.Close, closePayload(wire.NormalClosure, array[:123]))
		f.send(closeFrame(wire.NormalClosure, ""))
	})
}

// T-C19: a server that only sends Pings is alive, and sends no message: a
// Receive with a timeout ends in time.
func TestPingsAreNoMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := openPipe(t, nil)
		defer f.drip(time.Second, pingFrame(""))()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := c.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// T-A01, T-A03, T-A13, T-G13: every excessive length ends the connection at its
// header, before any delivery, in one frame and in fragments. A masked frame
// ends it before its length is checked.
func TestHugeLengthsFailAtTheHeader(t *testing.T) {
	for _, tt := range []struct {
		length uint64
		code   wire.StatusCode
	}{
		{16<<20 + 1, 1009}, {1<<31 - 1, 1009}, {1 << 31, 1009}, {1<<32 - 1, 1009}, {1 << 32, 1009}, {1<<32 + 5, 1009}, {1<<53 + 1, 1009},
		{1<<63 - 1, 1009}, {1 << 63, 1002}, {1<<63 + 5, 1002}, {1<<64 - 1, 1002},
	} {
		header := binary.BigEndian.AppendUint64([]byte{0x82, 0x7f}, tt.length)
		masked := append(binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, tt.length), 0, 0, 0, 0)
		for name, sent := range map[string]struct {
			bytes []byte
			code  wire.StatusCode
		}{
			"a frame":    {append(header, "abcde"...), tt.code},
			"a fragment": {append(append(firstFragment(wire.Binary, "abc"), 0), header[1:]...), tt.code},
			"masked":     {masked, wire.ProtocolError},
		} {
			synctest.Test(t, func(t *testing.T) {
				c, f := openPipe(t, nil)
				f.send(sent.bytes)
				m, err := c.Receive(t.Context())
				var failed *client.FailError
				if !errors.As(err, &failed) || failed.Code != sent.code {
					t.Errorf("%s with a length of %d: received %q, %v, want %v", name, tt.length, m.Payload, err, sent.code)
				}
			})
		}
	}
}
