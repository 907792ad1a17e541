//go:build !notls

package server_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/testcert"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// certificate returns a certificate for 127.0.0.1, and the configuration of a
// client that trusts it, at any time: in a bubble the year is 2000.
func certificate(t *testing.T) (tls.Certificate, *tls.Config) {
	t.Helper()
	c := certified()
	check.Must(t, c.err)
	valid := func() time.Time { return c.cert.Leaf.NotAfter.Add(-time.Hour) }
	return c.cert, &tls.Config{RootCAs: c.trusted, ServerName: "127.0.0.1", Time: valid}
}

// certified makes the certificate of all tests.
var certified = sync.OnceValue(func() (c struct {
	cert    tls.Certificate
	trusted *x509.CertPool
	err     error
}) {
	c.cert, c.trusted, c.err = testcert.New("127.0.0.1")
	return c
})

// serveTLS serves the connections of ln over TLS, with the results of
// certificate. Its peers use TLS.
func serveTLS(t *testing.T, s *server.Server, ln net.Listener, cert tls.Certificate, cfg *tls.Config) *running {
	t.Helper()
	r := serve(t, s, tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}}))
	plain := r.dialer
	if pipes, ok := ln.(*pipeListener); ok {
		plain = pipes.dial
	}
	r.dialer = func() (net.Conn, error) {
		nc, err := plain()
		if err != nil {
			return nil, err
		}
		return tls.Client(nc, cfg), nil
	}
	return r
}

// On a TLS port all bytes use TLS. The end has its order: Close frame,
// close_notify, TCP (6455-4.2.2-a, 6455-10.6-a, 6455-7.1.1-a, T-G10).
func TestTLSCarriesTheWholeConnection(t *testing.T) {
	t.Parallel()
	rec := newRecorder(t)
	h := rec.handler()
	h.Message = echo
	cert, cfg := certificate(t)
	s := serveTLS(t, &server.Server{Handler: h}, listenTCP(t), cert, cfg)
	for range 10 {
		p := s.ask(t, request("/"), text("with the request"))
		p.response()
		p.want(`text "with the request"`)
		long := strings.Repeat("a", 300_000)
		p.send(text(long))
		p.want("text 300000 bytes")
		p.send(closing(1000, ""), strings.Repeat(text(long[:1000]), 100))
		p.want(`close 1000 ""`)
		p.wantEnd() // io.EOF means close_notify, otherwise it is io.ErrUnexpectedEOF
		p.nc.Close()
		rec.want("open", `close 1000 ""`)
	}
	bad := s.ask(t, strings.Replace(request("/"), "GET", "PUT", 1))
	checkRefused(t, bad, 405)
}

// A client that does not use TLS on a TLS port is aborted, and so is one that
// does not finish its TLS handshake (6455-4.2.2-a, T-D08).
func TestNoTLSOnATLSPort(t *testing.T) {
	cert, cfg := certificate(t)
	t.Run("plain HTTP", func(t *testing.T) {
		s := serveTLS(t, &server.Server{}, listenTCP(t), cert, cfg)
		p := dialTCP(t, s.addr)
		p.send(request("/"))
		if b, _ := p.rest(); strings.Contains(string(b), " 101 ") {
			t.Errorf("answered with %q", b)
		}
	})
	check.Bubble(t, "half a ClientHello", func(t *testing.T) {
		ln := newPipeListener()
		serveTLS(t, &server.Server{HandshakeTimeout: 8 * time.Second}, ln, cert, cfg)
		nc, err := ln.dial()
		check.Must(t, err)
		p := newPeer(t, nc)
		p.send("\x16\x03\x01")
		timed(t, "cut", 8*time.Second, p.wantEnd)
	})
}

// A client that does not read is aborted over TLS as well, where closing writes
// too (T-C08).
func TestTLSClientThatDoesNotReadIsCut(t *testing.T) {
	cert, cfg := certificate(t)
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		serveTLS(t, &server.Server{Handler: rec.handler(), WriteTimeout: 8 * time.Second}, newPipeListener(), cert, cfg).open(t)
		c := rec.conn()
		timed(t, "cut", 8*time.Second, func() {
			check.OK(t, c.Send(wire.Binary, make([]byte, 100_000)))
			rec.want("open", "lost", `close 1006 ""`)
		})
		wantTimeout(t, c.Err(), "WriteTimeout")
	})
}

// ListenAndServeTLS reads its certificate from the files or from the
// configuration, which it does not change, and negotiates only HTTP/1.1.
func TestListenAndServeTLS(t *testing.T) {
	cert, cfg := certificate(t)
	certFile, keyFile, err := testcert.Files(t.TempDir(), cert)
	check.Must(t, err)
	own := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	offer := cfg.Clone()
	offer.NextProtos = own.NextProtos
	for name, tt := range map[string]struct {
		tls           *tls.Config
		certFile, key string
	}{
		"files": {nil, certFile, keyFile}, "configuration": {own, "", ""}, "both": {own, certFile, keyFile},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server.Server{Handler: server.Handler{Message: echo}, TLS: tt.tls}
			nc, served := listening(t, func(addr string) error { return s.ListenAndServeTLS(addr, tt.certFile, tt.key) })
			tc := tls.Client(nc, offer)
			p := newPeer(t, tc)
			p.send(request("/"), text("Hello"))
			p.response()
			p.want(`text "Hello"`)
			if got := tc.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
				t.Errorf("agreed on %q", got)
			}
			tc.Close()
			check.OK(t, s.Shutdown(t.Context()))
			same(t, result(t, served), server.ErrServerClosed, "ListenAndServeTLS")
		})
	}
	if len(own.NextProtos) != 2 || len(own.Certificates) != 1 {
		t.Errorf("the program's configuration was changed: %v", own.NextProtos)
	}
	if err := new(server.Server).ListenAndServeTLS("127.0.0.1:0", certFile, keyFile+"x"); !os.IsNotExist(err) {
		t.Errorf("without the file, ListenAndServeTLS returned %v", err)
	}
	ln := listenTCP(t)
	defer ln.Close()
	if err := new(server.Server).ListenAndServeTLS(ln.Addr().String(), certFile, keyFile); err == nil {
		t.Error("ListenAndServeTLS succeeds on an address that is taken")
	}
}

// tlsForms are the forms of TLS: by the server or by another listener, with
// connections wrapped above TLS or below it.
var tlsForms = map[string]tlsForm{
	"TLS":               serveTLSItself,
	"TLS on wrapped":    func(s *server.Server, ln net.Listener) error { return s.ServeTLS(wrappingListener{ln}, "", "") },
	"TLS of others":     func(s *server.Server, ln net.Listener) error { return s.Serve(tls.NewListener(ln, s.TLS)) },
	"TLS by goroutines": func(s *server.Server, ln net.Listener) error { return s.ServeTLS(plainListener{ln}, "", "") },
	"wrapped TLS": func(s *server.Server, ln net.Listener) error {
		return s.Serve(wrappingListener{tls.NewListener(ln, s.TLS)})
	},
}

// addTLS adds a starter for each form of TLS.
func addTLS(starters map[string]starter) {
	for name, form := range tlsForms {
		starters[name] = func(t *testing.T, s *server.Server) *running { return form.start(t, s, listenTCP(t)) }
	}
}

// addListenTLS adds a starter for a given listener, with Server.TLS.
func addListenTLS(starters map[string]func(t *testing.T, s *server.Server, ln net.Listener) *running) {
	starters["TLS"] = tlsForm(serveTLSItself).start
}

// tlsForm serves the connections of ln over TLS, with Server.TLS.
type tlsForm func(s *server.Server, ln net.Listener) error

func serveTLSItself(s *server.Server, ln net.Listener) error { return s.ServeTLS(ln, "", "") }

func (form tlsForm) start(t *testing.T, s *server.Server, ln net.Listener) *running {
	cert, cfg := certificate(t)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	r := serveBy(t, s, ln, func(ln net.Listener) error { return form(s, ln) })
	plain := r.dialer
	r.dialer = func() (net.Conn, error) {
		nc, err := plain()
		if err != nil {
			return nil, err
		}
		return tls.Client(nc, cfg), nil
	}
	return r
}

// A function of Server.TLS that panics or ends the goroutine ends the
// connection of its handshake. A client can cause it by the name in its
// ClientHello. It used to end the process; http.Server recovers such a panic
// too.
func TestFunctionOfTLSThatDoesNotReturn(t *testing.T) {
	t.Parallel()
	cert, cfg := certificate(t)
	for name, how := range failings {
		own := &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if h.ServerName == "evil.example" {
				how.fail()
			}
			return &cert, nil
		}}
		for form, serveForm := range tlsForms {
			t.Run(name+"/"+form, func(t *testing.T) {
				s := &server.Server{Handler: server.Handler{Message: echo}, TLS: own}
				r := serveBy(t, s, listenTCP(t), func(ln net.Listener) error { return serveForm(s, ln) })
				p := dialTCP(t, r.addr)
				if tls.Client(p.nc, &tls.Config{ServerName: "evil.example", InsecureSkipVerify: true}).Handshake() == nil {
					t.Error("the handshake succeeds")
				}
				other := dialTCP(t, r.addr)
				other.nc = tls.Client(other.nc, cfg)
				other.send(request("/"), text("Hello"))
				other.response()
				other.want(`text "Hello"`)
				other.nc.Close()
				check.OK(t, r.Shutdown(t.Context()))
				if n := r.log.panics(how.value); n != 2 { // the PanicError, and the RefusedError that wraps it
					t.Errorf("%d panics reported", n)
				}
			})
		}
	}
}

// holdingConn buffers the bytes of every Write from the second on until
// release. The first is a client's ClientHello.
type holdingConn struct {
	net.Conn
	writes int
	held   []byte
}

func (c *holdingConn) Write(b []byte) (int, error) {
	if c.writes++; c.writes == 1 {
		return c.Conn.Write(b)
	}
	c.held = append(c.held, b...)
	return len(b), nil
}

// release writes n buffered bytes in one Write.
func (c *holdingConn) release(t *testing.T, n int) {
	t.Helper()
	check.Must(t, check.Err(c.Conn.Write(c.held[:n])))
	c.held = c.held[n:]
}

func (c *holdingConn) releaseAll(t *testing.T) {
	t.Helper()
	c.release(t, len(c.held))
}

// Messages that crypto/tls has buffered are delivered at once, without further
// input: a message in the segment of the client's Finished, several in one
// record, several records in one segment, one in two.
func TestTLSHoldsNothingBack(t *testing.T) {
	t.Parallel()
	starters := make(map[string]starter)
	addTLS(starters)
	each(t, starters, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Handler: server.Handler{Message: echo}})
		nc, err := net.Dial("tcp", s.addr)
		check.Must(t, err)
		line := &holdingConn{Conn: nc}
		client := tls.Client(line, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
		p := newPeer(t, client)
		check.Must(t, client.Handshake())
		p.send(request("/"))
		p.send(text("with the Finished"))
		line.releaseAll(t)
		p.response()
		p.want(`text "with the Finished"`)

		p.send(text("a"), text(strings.Repeat("b", 10_000)), text("c"))
		line.releaseAll(t)
		p.want(`text "a"`, "text 10000 bytes", `text "c"`)
		for range 10 {
			p.send(text("d"))
			p.send(text("e"))
			line.releaseAll(t)
			p.want(`text "d"`, `text "e"`)
		}
		for i := range 40 {
			p.send(text("f"))
			p.send(text("g"))
			line.release(t, i)
			line.releaseAll(t)
			p.want(`text "f"`, `text "g"`)
		}
	})
}

// A client that reads slowly stays connected over TLS as well, for every
// combination of TLS and wrappers. An expired write deadline is fatal for
// crypto/tls: the state of a connection that the server did not recognize as
// TLS was corrupt after 4 ms of back-pressure.
func TestSlowReaderOverTLSThatMakesProgressIsNotCut(t *testing.T) {
	t.Parallel()
	cert, _ := certificate(t)
	own := &tls.Config{Certificates: []tls.Certificate{cert}}
	forms := maps.Clone(tlsForms)
	forms["Adopt"] = func(s *server.Server, ln net.Listener) error { return adoptAll(s, tls.NewListener(ln, s.TLS)) }
	for name, serveForm := range forms {
		check.Bubble(t, name, func(t *testing.T) {
			slowReaderIsNotCut(t, func(s *server.Server) *running {
				s.TLS = own
				ln := newPipeListener()
				r := serveBy(t, s, ln, func(ln net.Listener) error { return serveForm(s, ln) })
				if name == "Adopt" { // the server does not know ln
					t.Cleanup(func() { ln.Close() })
				}
				r.dialer = func() (net.Conn, error) {
					nc, err := ln.dial()
					if err != nil {
						return nil, err
					}
					return tls.Client(nc, &tls.Config{InsecureSkipVerify: true}), nil
				}
				return r
			})
		})
	}
}

// adoptAll serves the connections of ln by Adopt, including the opening
// handshake, until ln is closed.
func adoptAll(s *server.Server, ln net.Listener) error {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return server.ErrServerClosed
		}
		go func() {
			if _, err := http.ReadRequest(bufio.NewReader(nc)); err != nil {
				nc.Close()
				return
			}
			s.Adopt(nc, server.Handshake{Response: []byte(switching)})
		}()
	}
}

// overTLS is a world without sockets whose clients use TLS.
func overTLS(cert tls.Certificate, cfg *tls.Config) worldOf {
	return func(t *testing.T, s *server.Server, plan func(n int) wstest.Plan) world {
		ln := wstest.Listen(plan)
		return world{
			s: serve(t, s, tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}})),
			dial: func() net.Conn {
				nc, err := ln.Dial()
				check.Must(t, err)
				return tls.Client(nc, cfg)
			},
			link:     ln.Link,
			encoded:  true,
			patience: time.Hour,
		}
	}
}

// A conversation over TLS with a fault in the handshake of TLS, between two
// records or inside one ends like one without TLS (T-C14, T-D10, T-G10).
func TestConversationOverTLSIsCut(t *testing.T) {
	t.Parallel()
	cert, cfg := certificate(t)
	for name, script := range conversations {
		for kind, cut := range cuts {
			for _, where := range places {
				check.Bubble(t, fmt.Sprintf("%s/%s/%s", name, kind, where.name), func(t *testing.T) {
					cutEverywhere(t, overTLS(cert, cfg), new(server.Server), false, script, where, cut, 67)
				})
			}
		}
	}
}

// A conversation has the same result for all sizes of reads: single TLS
// records, parts of record headers, pieces that span records.
func TestConversationInPiecesOfTLSRecords(t *testing.T) {
	t.Parallel()
	cert, cfg := certificate(t)
	splits := map[string]wstest.Split{
		"whole records":      wstest.TLSRecords(),
		"cut in the header":  wstest.TLSRecords(1, 4),
		"cut behind it":      wstest.TLSRecords(5, 6),
		"byte by byte":       wstest.Sizes(1),
		"cut anywhere":       wstest.RandomSizes(100),
		"a record and a bit": wstest.Sizes(23, 24, 25),
	}
	each(t, splits, func(t *testing.T, split wstest.Split) {
		for _, script := range conversations {
			told := &fates{t: t}
			f := wstest.Faults{Split: split}
			w := overTLS(cert, cfg)(t, &server.Server{Handler: told.handler(false)}, func(int) wstest.Plan {
				return wstest.Plan{ToServer: f, ToClient: f, Seed: 1}
			})
			p := wstest.NewClient(w.dial())
			check.OK(t, p.Play("open /?tls"+script))
			p.Close()
			check.OK(t, w.s.Shutdown(t.Context()))
			told.check("tls", opens, true)
		}
	})
}
