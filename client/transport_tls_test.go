//go:build !notls

package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
)

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
