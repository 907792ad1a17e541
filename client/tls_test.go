//go:build !notls

package client_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/tcpserver"
	"github.com/fibersock/fibersock/internal/test/testcert"
	"github.com/fibersock/fibersock/wire"
)

// certificate returns a certificate for host that is valid until the given
// time, and a pool in which it is trusted.
func certificate(t *testing.T, host string, until time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	cert, pool, err := testcert.NewUntil(until, host)
	check.Must(t, err)
	return cert, pool
}

// tlsServer is a server on the loopback interface that makes TLS handshakes and
// then calls serve, one connection after the other.
type tlsServer struct {
	net.Listener
	hello tls.ClientHelloInfo // of the last connection
	plain []byte              // the plaintext of all connections, if serve is nil
	done  sync.WaitGroup
}

func startTLSServer(t *testing.T, cfg *tls.Config, serve func(nc *tls.Conn)) *tlsServer {
	t.Helper()
	s := &tlsServer{Listener: listenTCP(t)}
	cfg = cfg.Clone()
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		s.hello = *hello
		return nil, nil
	}
	s.done.Go(func() {
		for {
			nc, err := s.Accept()
			if err != nil {
				return
			}
			tc := tls.Server(nc, cfg)
			if err := tc.Handshake(); err == nil && serve != nil {
				serve(tc)
			} else if err == nil {
				b, _ := io.ReadAll(tc)
				s.plain = append(s.plain, b...)
			}
			nc.Close()
		}
	})
	t.Cleanup(s.stop)
	return s
}

// stop closes the listener and waits for the last connection.
func (s *tlsServer) stop() {
	s.Close()
	s.done.Wait()
}

// acceptAndEcho is a WebSocket server for one message.
func acceptAndEcho(t *testing.T) func(nc *tls.Conn) {
	return func(nc *tls.Conn) {
		acceptHandshake(t, nc)
		buf := make([]byte, 4<<10)
		n, err := nc.Read(buf)
		if err != nil {
			return
		}
		frame, _, err := wire.DecodeFrame(buf[:n])
		check.OK(t, err)
		nc.Write(textFrame(string(frame.Payload)))
		io.Copy(io.Discard, nc)
	}
}

// to is a dialer that connects to addr and ignores the requested address.
func to(addr net.Addr) client.DialFunc {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, addr.Network(), addr.String())
	}
}

// 6455-4.1-e, 6455-10.6-a, T-G03: the server's certificate is verified, and the
// request is not sent to a server with an invalid one.
func TestCertificateThatDoesNotHold(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	mine, _ := certificate(t, "server.example", soon)
	other, trustedOther := certificate(t, "other.example", soon)
	expired, trustedExpired := certificate(t, "server.example", time.Now().Add(-time.Hour))
	for name, tt := range map[string]struct {
		cert    tls.Certificate
		trusted *x509.CertPool // nil: the system's
		target  any
	}{
		"self-signed": {mine, nil, new(x509.UnknownAuthorityError)},
		"of an authority that is not in the pool": {mine, trustedOther, new(x509.UnknownAuthorityError)},
		"for another name":                        {other, trustedOther, new(x509.HostnameError)},
		"expired":                                 {expired, trustedExpired, new(x509.CertificateInvalidError)},
	} {
		t.Run(name, func(t *testing.T) {
			s := startTLSServer(t, &tls.Config{Certificates: []tls.Certificate{tt.cert}}, nil)
			c, err := client.Dial(t.Context(), "wss://server.example/secret", &client.Config{
				TLS:         &tls.Config{RootCAs: tt.trusted},
				DialContext: to(s.Addr()),
			})
			if c != nil || !errors.As(err, tt.target) {
				t.Errorf("got %v, %v; want a %T", c, err, tt.target)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "websocket: dial server.example:443: ") {
				t.Errorf("the error's text is %q", err)
			}
			checkErrorText(t, err)
			if s.stop(); len(s.plain) > 0 {
				t.Errorf("the server was sent %q", s.plain)
			}
		})
	}
}

// 6455-10.6-a: a connection uses TLS. 6455-4.1-f, T-G04: the SNI is the URL's
// host, and the server must prove that name, also if the program's dialer
// connects elsewhere. 6455-4.1-g: the application protocol is http/1.1, also if
// the program's configuration has others. That configuration is not changed.
func TestTLS(t *testing.T) {
	cert, trusted := certificate(t, "server.example", time.Now().Add(time.Hour))
	s := startTLSServer(t, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}, acceptAndEcho(t))
	mine := &tls.Config{RootCAs: trusted, NextProtos: []string{"h2"}}
	for _, url := range []string{"wss://server.example/", "https://SERVER.example:8443/"} {
		c, err := client.Dial(t.Context(), url, &client.Config{TLS: mine, DialContext: to(s.Addr())})
		check.Must(t, err)
		check.Must(t, c.SendText("over TLS"))
		receiveWant(t, c, wire.Text, "over TLS")
		c.CloseNow()
		if s.hello.ServerName != "server.example" {
			t.Errorf("the server was called %q", s.hello.ServerName)
		}
		if !slices.Equal(s.hello.SupportedProtos, []string{"http/1.1"}) {
			t.Errorf("the application protocols offered are %q", s.hello.SupportedProtos)
		}
	}
	if mine.ServerName != "" || !slices.Equal(mine.NextProtos, []string{"h2"}) {
		t.Errorf("the program's configuration became %q, %q", mine.ServerName, mine.NextProtos)
	}
}

// A ServerName of the program replaces the URL's host in the verification. An
// IP address is verified as one, without brackets or port.
func TestServerName(t *testing.T) {
	for name, tt := range map[string]struct {
		url, serverName, cert, hello string
	}{
		"the program's own name": {"wss://192.0.2.1/", "server.example", "server.example", "server.example"},
		"6455-3-f: IPv6":         {"wss://[2001:db8::1]:8443/", "", "2001:db8::1", ""},
		"IPv4, which is no name": {"wss://192.0.2.1/", "", "192.0.2.1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cert, trusted := certificate(t, tt.cert, time.Now().Add(time.Hour))
			s := startTLSServer(t, &tls.Config{Certificates: []tls.Certificate{cert}}, acceptAndEcho(t))
			c, err := client.Dial(t.Context(), tt.url, &client.Config{
				TLS:         &tls.Config{RootCAs: trusted, ServerName: tt.serverName},
				DialContext: to(s.Addr()),
			})
			check.Must(t, err)
			c.CloseNow()
			if s.hello.ServerName != tt.hello {
				t.Errorf("the server was called %q", s.hello.ServerName)
			}
		})
	}
}

// 6455-4.1-d: a dial that is cancelled during the TLS handshake closes the
// socket.
func TestTLSHandshakeThatIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	closed := make(chan error, 1)
	_, err := client.Dial(ctx, "wss://server.example/", &client.Config{DialContext: scripted(t, func(nc net.Conn) {
		nc.Read(make([]byte, 4<<10))
		cancel()
		_, err := io.Copy(io.Discard, nc)
		closed <- err
	})})
	check.Is(t, err, context.Canceled, "got")
	check.OKf(t, <-closed, "the socket ended with")
}

// 6455-4.1-c, 6455-10.6-a: TLS runs through the proxy's tunnel to the server,
// which must prove the URL's host and not the proxy's.
func TestTLSThroughProxy(t *testing.T) {
	cert, trusted := certificate(t, "server.example", time.Now().Add(time.Hour))
	echo := acceptAndEcho(t)
	c, err := client.Dial(t.Context(), "wss://server.example/", &client.Config{
		Proxy: client.ProxyURL("http://proxy.example:3128"),
		TLS:   &tls.Config{RootCAs: trusted},
		DialContext: scripted(t, func(nc net.Conn) {
			if request, _ := readRequest(nc); !strings.HasPrefix(request, "CONNECT server.example:443 HTTP/1.1\r\n") {
				t.Errorf("the proxy was sent %q", request)
			}
			io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n")
			// A session ticket would wait for a reader; a pipe has no buffer
			// for it.
			echo(tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true}))
		}),
	})
	check.Must(t, err)
	check.Must(t, c.SendText("twice wrapped"))
	receiveWant(t, c, wire.Text, "twice wrapped")
	c.CloseNow()
}

// A real wss server through a real https proxy: TLS in TLS. Each certificate is
// verified by its own configuration.
func TestHTTPSProxy(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	proxyCert, trustedProxy := certificate(t, "127.0.0.1", soon)
	cert, trusted := certificate(t, "server.example", soon)
	origin := startTLSServer(t, &tls.Config{Certificates: []tls.Certificate{cert}}, acceptAndEcho(t))
	requests := make(chan string, 2)
	proxy := tcpserver.Start(t, func(nc *net.TCPConn) {
		tc := tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{proxyCert}})
		request, _ := readRequest(tc)
		requests <- request
		if request == "" {
			return
		}
		to, err := net.Dial("tcp", origin.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer to.Close()
		io.WriteString(tc, "HTTP/1.1 200 Connection established\r\n\r\n")
		relay(tc, to)
	})
	cfg := &client.Config{
		Proxy:    client.ProxyURL("https://kim:pass@" + proxy),
		ProxyTLS: &tls.Config{RootCAs: trustedProxy},
		TLS:      &tls.Config{RootCAs: trusted},
	}
	c, err := client.Dial(t.Context(), "wss://server.example/", cfg)
	check.Must(t, err)
	check.Must(t, c.SendText("TLS in TLS"))
	receiveWant(t, c, wire.Text, "TLS in TLS")
	c.CloseNow()
	if request := <-requests; !strings.HasPrefix(request, "CONNECT server.example:443 HTTP/1.1\r\n") || !strings.Contains(request, "\r\nProxy-Authorization: Basic ") {
		t.Errorf("the proxy was sent %q", request)
	}

	cfg.ProxyTLS = nil
	_, err = client.Dial(t.Context(), "wss://server.example/", cfg)
	failed := check.As[*client.ProxyError](t, err, "a proxy that is not trusted")
	check.As[x509.UnknownAuthorityError](t, err, "a proxy that is not trusted")
	if failed != nil {
		check.Equal(t, failed.Proxy, "https://"+proxy, "proxy")
	}
	if request := <-requests; request != "" {
		t.Errorf("a proxy that is not trusted was sent %q", request)
	}

	plain := tcpserver.Start(t, func(nc *net.TCPConn) {
		nc.Read(make([]byte, 4<<10))
		io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\n\r\n")
	})
	_, err = client.Dial(t.Context(), "ws://server.example/", &client.Config{Proxy: client.ProxyURL("https://" + plain)})
	if check.As[*client.ProxyError](t, err, "a proxy without TLS") != nil && !strings.Contains(err.Error(), "the port expects no TLS (http)") {
		t.Errorf("a proxy without TLS: %v", err)
	}
}

// TLS keeps its records over a timeout too (6455-6.2-d, T-H14).
func TestReceiveContinuesAfterTimeoutOverTLS(t *testing.T) {
	cert, trusted := certificate(t, "server.example", time.Now().Add(time.Hour))
	clock := time.Now() // a bubble has a time of its own, to which no certificate is valid
	testReceiveGoesOn(t, func(ours, theirs net.Conn) (net.Conn, net.Conn) {
		return tls.Client(ours, &tls.Config{RootCAs: trusted, ServerName: "server.example", Time: func() time.Time { return clock }}),
			tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true})
	})
}

// T-H06, T-G03: an attacker in place of the server also writes the certificate,
// and crypto/x509 copies its names into the error unescaped.
func TestCertificateCannotWriteIntoLogs(t *testing.T) {
	const forged = "x\nwebsocket: dial ok\x1b[2J\x7f"
	for name, tt := range map[string]struct {
		host string
		want string
	}{
		"line ends and escapes": {forged, `x\nwebsocket: dial ok\x1b[2J\x7f`},
		"a long name":           {strings.Repeat("a", 10_000), "aaaaa..."},
	} {
		t.Run(name, func(t *testing.T) {
			cert, _ := certificate(t, tt.host, time.Now().Add(time.Hour))
			s := startTLSServer(t, &tls.Config{Certificates: []tls.Certificate{cert}}, nil)
			for _, through := range []struct {
				where, proxy string
			}{
				{"server", ""},
				{"proxy", "https://proxy.example"},
			} {
				_, err := client.Dial(t.Context(), "wss://server.example/", &client.Config{Proxy: proxyAt(through.proxy), DialContext: to(s.Addr())})
				var names x509.HostnameError
				if !errors.As(err, &names) {
					t.Fatalf("%s: %v", through.where, err)
				}
				text := err.Error()
				if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) || !strings.Contains(text, tt.want) || len(text) > 600 {
					t.Errorf("%s: the error's text is %q", through.where, text)
				}
			}
		})
	}
}

// The zone of an IPv6 address was included in the name for the verification of
// the certificate (theturtle32/WebSocket-Node#303,
// python-websockets/websockets#802).
func TestZoneIsNoPartOfTheTLSName(t *testing.T) {
	cert, pool := certificate(t, "fe80::1", time.Now().Add(time.Hour))
	s := startTLSServer(t, &tls.Config{Certificates: []tls.Certificate{cert}}, acceptAndEcho(t))
	c, err := client.Dial(t.Context(), "wss://[fe80::1%25eth0]/", &client.Config{TLS: &tls.Config{RootCAs: pool}, DialContext: to(s.Addr())})
	check.Must(t, err)
	c.CloseNow()
}

// A server that requires a client certificate sends an alert. With TLS 1.3 it
// arrives after the client's part of the TLS handshake, and used to be reported
// as a failure of the opening handshake.
func TestAlertOfTheServerIsATLSError(t *testing.T) {
	cert, pool := certificate(t, "server.example", time.Now().Add(time.Hour))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s := startTLSServer(t, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: version, ClientAuth: tls.RequireAnyClientCert}, nil)
		_, err := client.Dial(t.Context(), "wss://server.example/", &client.Config{TLS: &tls.Config{RootCAs: pool}, DialContext: to(s.Addr())})
		var failed *client.TLSError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), "remote error: tls:") {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		checkErrorText(t, err)
	}
}

// ws to a port for TLS, and wss to a port without, are named
// (theturtle32/WebSocket-Node#341).
func TestWrongSchemeIsNamed(t *testing.T) {
	_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{DialContext: scripted(t, func(nc net.Conn) {
		nc.Read(make([]byte, 4<<10))
		io.WriteString(nc, "\x15\x03\x01\x00\x02\x02\x46") // the alert of a TLS server
	})})
	var refused *client.HandshakeError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "wss") {
		t.Errorf("ws to a port for TLS: %v", err)
	}
	checkErrorText(t, err)
	_, err = client.Dial(t.Context(), "wss://server.example/", &client.Config{DialContext: scripted(t, func(nc net.Conn) {
		nc.Read(make([]byte, 4<<10))
		io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\n\r\n")
	})})
	var failed *client.TLSError
	if !errors.As(err, &failed) || !strings.HasPrefix(err.Error(), "websocket: dial server.example:443: tls: ") || !strings.Contains(err.Error(), "(ws)") {
		t.Errorf("wss to a port without TLS: %v", err)
	}
	checkErrorText(t, err)
}

// A callback of tls.Config that panics, exits or does not return is an error of
// Dial, and closes the connection.
func TestCallbackOfTLSThatDoesNotReturn(t *testing.T) {
	cert, pool := certificate(t, "server.example", time.Now().Add(time.Hour))
	release := make(chan struct{})
	defer close(release)
	for name, f := range map[string]func(){
		"panic":  func() { panic("on purpose") },
		"Goexit": runtime.Goexit,
		"hangs":  func() { <-release },
	} {
		t.Run(name, func(t *testing.T) {
			hungUp := make(chan error, 1)
			timeout := client.DefaultHandshakeTimeout
			if name == "hangs" {
				timeout = 100 * time.Millisecond
			}
			_, err := client.Dial(t.Context(), "wss://server.example/", &client.Config{
				HandshakeTimeout: timeout,
				TLS: &tls.Config{
					RootCAs:          pool,
					VerifyConnection: func(tls.ConnectionState) error { f(); return nil },
				},
				DialContext: scripted(t, func(nc net.Conn) {
					hungUp <- tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
				}),
			})
			var p *client.PanicError
			if errors.As(err, &p) == (name == "hangs") || name == "hangs" && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Dial returned %v", err)
			}
			if err := <-hungUp; err == nil {
				t.Error("the connection is open")
			}
		})
	}
}

// A certificate that is not trusted, or a server without TLS, ends a loop over
// Reconnecting. The end of the connection during the TLS handshake does not.
func TestPermanentErrorsOfTLS(t *testing.T) {
	cert, pool := certificate(t, "server.example", time.Now().Add(time.Hour))
	for name, tt := range map[string]struct {
		host  string
		roots *x509.CertPool
		serve func(nc net.Conn)
		want  bool
	}{
		"not trusted":  {"server.example", x509.NewCertPool(), func(nc net.Conn) { tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake() }, true},
		"another host": {"other.example", pool, func(nc net.Conn) { tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake() }, true},
		"no TLS": {"server.example", pool, func(nc net.Conn) {
			nc.Read(make([]byte, 16<<10))
			io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}, true},
		"no connection": {"server.example", pool, func(nc net.Conn) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := &client.Config{TLS: &client.TLSConfig{RootCAs: tt.roots}, DialContext: scripted(t, tt.serve)}
			_, err := client.Dial(t.Context(), "wss://"+tt.host+"/", cfg)
			check.As[*client.TLSError](t, err, "Dial")
			check.Equal(t, client.Permanent(err), tt.want, "Permanent of %v", err)
		})
	}
}
