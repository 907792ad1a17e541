//go:build !notls

package client_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/tcpserver"
	"github.com/fibersock/fibersock/wire"
)

// A TLSFunc makes the TLS connection to the server, with the host of the URL
// and also through a proxy. TLS is not used.
func TestTLSFunc(t *testing.T) {
	cert, trusted := certificate(t, "server.example", time.Now().Add(time.Hour))
	s := startTLSServer(t, &tls.Config{Certificates: []tls.Certificate{cert}}, acceptAndEcho(t))
	proxy := tcpserver.Start(t, (&socksServer{names: map[string]string{"server.example:443": s.Addr().String()}}).serve)
	for name, cfg := range map[string]*client.Config{
		"direct":          {DialContext: to(s.Addr())},
		"through a proxy": {Proxy: client.ProxyURL("socks5://" + proxy)},
	} {
		var hosts []string
		cfg.TLS = &tls.Config{} // does not trust the server
		cfg.StartTLS = client.TLSFunc(func(ctx context.Context, nc net.Conn, host string) (net.Conn, error) {
			hosts = append(hosts, host)
			tc := tls.Client(nc, &tls.Config{RootCAs: trusted, ServerName: host})
			return tc, tc.HandshakeContext(ctx)
		})
		c, err := client.Dial(t.Context(), "wss://Server.example/", cfg)
		check.Mustf(t, err, "%s", name)
		check.Must(t, c.SendText("by another TLS"))
		receiveWant(t, c, wire.Text, "by another TLS")
		c.CloseNow()
		check.Slices(t, hosts, []string{"server.example"}, "hosts, %s", name)

		cfg.StartTLS = client.TLSFunc(func(context.Context, net.Conn, string) (net.Conn, error) {
			t.Errorf("%s: TLS for ws", name)
			return nil, io.EOF
		})
		cfg.HandshakeTimeout = -1
		if _, err = client.Dial(t.Context(), "ws://server.example:443/", cfg); err == nil {
			t.Errorf("%s: no error of a TLS server for ws", name)
		}
	}
}

// A TLSFunc that fails, panics, returns nothing or does not return is a
// *TLSError or the end of the context, and closes the connection.
func TestTLSFuncThatFails(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for name, tt := range map[string]struct {
		f    func(nc net.Conn) (net.Conn, error)
		want error
	}{
		"error":   {func(net.Conn) (net.Conn, error) { return nil, io.ErrNoProgress }, io.ErrNoProgress},
		"nothing": {func(net.Conn) (net.Conn, error) { return nil, nil }, nil},
		"panic":   {func(net.Conn) (net.Conn, error) { panic("on purpose") }, nil},
		"Goexit":  {func(net.Conn) (net.Conn, error) { runtime.Goexit(); return nil, nil }, client.ErrGoexit},
		"hangs":   {func(net.Conn) (net.Conn, error) { <-release; return nil, io.EOF }, context.Canceled},
		"hangs in a Read": {func(nc net.Conn) (net.Conn, error) {
			_, err := nc.Read(make([]byte, 1))
			return nil, err
		}, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			_, err := client.Dial(ctx, "wss://server.example/", &client.Config{
				DialContext: scripted(t, func(nc net.Conn) {
					_, err := io.Copy(io.Discard, nc)
					ended <- err
				}),
				StartTLS: client.TLSFunc(func(_ context.Context, nc net.Conn, _ string) (net.Conn, error) {
					if strings.HasPrefix(name, "hangs") {
						cancel()
					}
					return tt.f(nc)
				}),
			})
			if tt.want != nil {
				check.Is(t, err, tt.want, "Dial")
			}
			if !strings.HasPrefix(name, "hangs") {
				check.As[*client.TLSError](t, err, "Dial")
			}
			if name == "panic" {
				check.As[*client.PanicError](t, err, "Dial")
			}
			check.OKf(t, <-ended, "the connection ended with")
			checkErrorText(t, err)
		})
	}
}

// programTLS is a connection of a TLSFunc. Its zero calls are those of Conn.
type programTLS struct {
	net.Conn
	read, write func(p []byte) (int, error)
	close       func() error
	closed      chan struct{} // receives a value for each Close
}

func (c *programTLS) Read(p []byte) (int, error) {
	if c.read != nil {
		return c.read(p)
	}
	return c.Conn.Read(p)
}

func (c *programTLS) Write(p []byte) (int, error) {
	if c.write != nil {
		return c.write(p)
	}
	return c.Conn.Write(p)
}

func (c *programTLS) Close() error {
	c.closed <- struct{}{}
	if c.close != nil {
		return c.close()
	}
	return c.Conn.Close()
}

// The connection of a TLSFunc used to be trusted like one of crypto/tls. Calls
// of it that did not return kept Dial, Send and Close longer than their time
// limits, one that panicked in Close ended the process, and it was not closed
// when Dial failed later, or by CloseNow.
func TestConnectionOfATLSFunc(t *testing.T) {
	for name, tt := range map[string]struct {
		never   string // the call that does not return
		panics  string // the call that does not return otherwise
		refuses bool   // the server refuses the opening handshake
		dials   error  // of Dial
		took    time.Duration
	}{
		"Write hangs in Dial":   {never: "write", dials: context.DeadlineExceeded, took: 3 * time.Second},
		"Read hangs in Dial":    {never: "read", dials: context.DeadlineExceeded, took: 3 * time.Second},
		"Close hangs":           {never: "close"},
		"Close panics":          {panics: "close"},
		"Write panics":          {panics: "write", dials: errAny, took: time.Second}, // an answer is waited for
		"Read panics":           {panics: "read", dials: errAny},
		"the server refuses":    {refuses: true, dials: errAny},
		"refused, Close hangs":  {refuses: true, never: "close", dials: errAny},
		"refused, Close panics": {refuses: true, panics: "close", dials: errAny},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			release := make(chan struct{})
			defer close(release)
			behave := func(call string) {
				switch call {
				case tt.never:
					<-release
				case tt.panics:
					panic("on purpose")
				}
			}
			tc := &programTLS{closed: make(chan struct{}, 10)}
			start := time.Now()
			c, err := client.Dial(t.Context(), "wss://server.example/", &client.Config{
				HandshakeTimeout: 3 * time.Second,
				DialContext: scripted(t, func(nc net.Conn) {
					_, key := readRequest(nc)
					if key == "" {
						return
					}
					if tt.refuses {
						io.WriteString(nc, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
						io.Copy(io.Discard, nc)
						return
					}
					io.WriteString(nc, switching(key))
					io.Copy(io.Discard, nc)
				}),
				StartTLS: client.TLSFunc(func(_ context.Context, nc net.Conn, _ string) (net.Conn, error) {
					tc.Conn = nc
					if tt.never == "read" || tt.panics == "read" {
						tc.read = func([]byte) (int, error) { behave("read"); return 0, io.EOF }
					}
					if tt.never == "write" || tt.panics == "write" {
						tc.write = func([]byte) (int, error) { behave("write"); return 0, io.EOF }
					}
					if tt.never == "close" || tt.panics == "close" {
						tc.close = func() error { behave("close"); return nil } // does not close nc either
					}
					return tc, nil
				}),
			})
			const grace = 100 * time.Millisecond // for a Close, and the call that it interrupts
			if took := time.Since(start); took < tt.took || took > tt.took+grace {
				t.Errorf("Dial took %v, want %v", took, tt.took)
			}
			switch {
			case (err != nil) != (tt.dials != nil) || tt.dials != errAny && !errors.Is(err, tt.dials):
				t.Errorf("Dial: %v", err)
			case tt.panics == "read" || tt.panics == "write":
				check.As[*client.PanicError](t, err, "Dial")
			}
			if err == nil {
				c.CloseNow()
			}
			<-tc.closed
		})
	}
}

var errAny = errors.New("any error")

// Close of the client returns after CloseTimeout, and Send after WriteTimeout,
// also if the connection of a TLSFunc hangs in a call for it.
func TestLimitsOverATLSFunc(t *testing.T) {
	for _, hangs := range []string{"Read", "Close", "Write to the server"} {
		check.Bubble(t, hangs, func(t *testing.T) {
			release := make(chan struct{})
			defer close(release)
			tc := &programTLS{closed: make(chan struct{}, 10)}
			c, err := client.Dial(t.Context(), "wss://server.example/", &client.Config{
				CloseTimeout: 2 * time.Second,
				WriteTimeout: time.Second,
				DialContext: scripted(t, func(nc net.Conn) {
					_, key := readRequest(nc)
					io.WriteString(nc, switching(key))
					switch hangs {
					case "Close":
						nc.Read(make([]byte, 100)) // the Close frame
						nc.Write(closeFrame(wire.NormalClosure, ""))
					case "Write to the server":
						<-release
					}
					io.Copy(io.Discard, nc)
				}),
				StartTLS: client.TLSFunc(func(_ context.Context, nc net.Conn, _ string) (net.Conn, error) {
					tc.Conn = nc
					return tc, nil
				}),
			})
			check.Must(t, err)
			switch hangs {
			case "Read":
				tc.read = func([]byte) (int, error) { <-release; return 0, io.EOF }
			case "Close":
				tc.close = func() error { <-release; return nil }
			}
			start := time.Now()
			if hangs == "Write to the server" {
				check.As[*client.TimeoutError](t, c.SendText("nobody reads this"), "Send")
				check.Equal(t, time.Since(start), time.Second, "time")
			}
			c.Close(wire.NormalClosure, "")
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("Close returned after %v", took)
			}
			<-tc.closed
		})
	}
}

// A connection that is returned with an error is closed.
func TestConnectionWithAnError(t *testing.T) {
	ours, theirs := net.Pipe()
	failing := client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return ours, io.ErrNoProgress })
	_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{DialContext: failing})
	check.Is(t, err, io.ErrNoProgress, "Dial")
	check.Is(t, check.Err(theirs.Read(make([]byte, 1))), io.EOF, "the connection ended with")

	for _, want := range []error{io.ErrNoProgress, nil} {
		none := client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return (*tls.Conn)(nil), want })
		_, err = client.Dial(t.Context(), "ws://server.example/", &client.Config{DialContext: none})
		if want != nil {
			check.Is(t, err, want, "Dial without a connection")
		} else if err == nil || !strings.Contains(err.Error(), "no connection") {
			t.Errorf("Dial without a connection and an error: %v", err)
		}
	}
}

// A certificate of the client in Config.TLS is sent to a server that requires
// one, and not after a redirect to another origin. Without one, the alert of
// the server is the error.
func TestClientCertificate(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	cert, trusted := certificate(t, "127.0.0.1", soon)
	mine, trustedMine := certificate(t, "kim", soon)
	subjects := make(chan string, 10)
	demand := &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert, VerifyConnection: func(state tls.ConnectionState) error {
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: trustedMine, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		return err
	}}
	s := startTLSServer(t, demand, func(nc *tls.Conn) {
		request, key := readRequest(nc)
		subjects <- nc.ConnectionState().PeerCertificates[0].DNSNames[0]
		if strings.HasPrefix(request, "GET /self ") {
			io.WriteString(nc, "HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(nc, switching(key))
		io.Copy(io.Discard, nc)
	})
	cfg := &client.Config{
		TLS:       &tls.Config{RootCAs: trusted, Certificates: []tls.Certificate{mine}},
		Redirects: client.FollowRedirects(1),
	}
	dial := func(url string) error {
		c, err := client.Dial(t.Context(), url, cfg)
		if err == nil {
			c.CloseNow()
		}
		return err
	}
	origin := "wss://" + s.Addr().String()
	check.Must(t, dial(origin))
	check.Must(t, dial(origin+"/self"))
	for range 3 {
		check.Equal(t, <-subjects, "kim", "subject")
	}
	other := startTLSServer(t, &tls.Config{Certificates: []tls.Certificate{cert}}, func(nc *tls.Conn) {
		readRequest(nc)
		io.WriteString(nc, "HTTP/1.1 302 Found\r\nLocation: "+origin+"\r\nContent-Length: 0\r\n\r\n")
	})
	err := dial("wss://" + other.Addr().String())
	if check.As[*client.TLSError](t, err, "after a redirect to another origin") != nil && !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("after a redirect to another origin: %v", err)
	}
	if len(cfg.TLS.Certificates) != 1 || !bytes.Equal(cfg.TLS.Certificates[0].Certificate[0], mine.Certificate[0]) {
		t.Error("the configuration of the caller has changed")
	}
	cfg.TLS.Certificates = nil
	var failed *client.TLSError
	if err := dial(origin); !errors.As(err, &failed) || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("without a certificate: %v", err)
	}
}
