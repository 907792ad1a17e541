package diagnose

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/fibersock/fibersock/handshake"
)

// This file makes a second connection if the first one ended without an HTTP
// response. It finds out whether the port speaks TLS or HTTP/2.

// secondTimeout bounds the second connection.
const secondTimeout = 3 * time.Second

// noHTTP explains a connection that opened, with TLS if it was wanted, and
// ended without an HTTP response, or with other bytes.
func (o *observer) noHTTP(ctx context.Context, err error) Finding {
	o.mu.Lock()
	first := string(o.firstBytes)
	agreed := o.state != nil && o.state.NegotiatedProtocol == "http/1.1"
	o.mu.Unlock()
	malformed := isA[*handshake.ResponseError](err)
	switch {
	case !o.url.Secure && looksLikeTLS(first):
		return Finding{Kind: "tls-port", Text: "The port expects TLS.", Advice: []string{"Use wss:// in place of ws://."}}
	case !o.url.Secure && looksLikeHTTP2(first):
		f := http2Only
		f.Advice = http2Advice(false, false)
		return f
	case agreed: // the server speaks HTTP/1.1, and may speak HTTP/2, too
	case o.url.Secure:
		if protocol, connect := o.secondTLS(ctx, []string{"h2", "http/1.1"}); protocol == "h2" {
			f := http2Only
			f.Advice = http2Advice(true, connect)
			return f
		}
	case !malformed:
		if protocol, _ := o.secondTLS(ctx, []string{"http/1.1"}); protocol != "" {
			return Finding{Kind: "tls-port", Text: "The port expects TLS.", Advice: []string{"Use wss:// in place of ws://."}}
		}
	}
	if malformed {
		return Finding{Kind: "no-http", Text: "The server did not answer in HTTP/1.1.",
			Advice: []string{"The port may belong to another protocol: check the port."}}
	}
	return Finding{Kind: "no-response", Text: "The server closed the connection without a response.",
		Advice: []string{"The port may belong to another protocol, or the server crashed: look at its log.",
			"A firewall or proxy may cut connections that it takes for WebSocket: try wss:// on port 443."}}
}

// http2Only is the problem of a server or proxy without HTTP/1.1.
var http2Only = Finding{Kind: "http2-only", Text: "The server or proxy speaks HTTP/2 only, and WebSocket (RFC 6455) needs HTTP/1.1."}

// http2Finding explains that the server refused the application protocol
// http/1.1.
func (o *observer) http2Finding(ctx context.Context) Finding {
	f := http2Only
	protocol, connect := o.secondTLS(ctx, []string{"h2", "http/1.1"})
	if protocol != "h2" {
		f.Kind, f.Text = "alpn", "The server does not accept the application protocol (ALPN) http/1.1."
	}
	f.Advice = http2Advice(protocol == "h2", connect)
	return f
}

// http2Advice returns the remedies. connect is set if the server has enabled
// WebSocket over HTTP/2.
func http2Advice(secure, connect bool) (advice []string) {
	enable := "Enable HTTP/1.1 in the server or proxy for this host."
	if secure {
		enable = "Enable HTTP/1.1 beside HTTP/2 in the server or proxy (ALPN http/1.1); browsers then use HTTP/1.1 for wss."
	}
	advice = []string{enable, "gRPC ports and load balancers in HTTP/2 mode to the backend do so: choose HTTP/1.1 for this route."}
	if connect {
		advice = append(advice, "The server offers WebSocket over HTTP/2 (RFC 8441), which browsers can use and this client cannot.")
	} else if secure {
		advice = append(advice, "The server does not offer WebSocket over HTTP/2 (RFC 8441) either, so browsers cannot connect.")
	}
	return advice
}

// looksLikeTLS reports whether input begins with a TLS record of an alert or a
// handshake (RFC 8446, Section 5.1).
func looksLikeTLS(first string) bool {
	return strings.HasPrefix(first, "\x15\x03") || strings.HasPrefix(first, "\x16\x03")
}

// The types of HTTP/2 frames that a server sends first (RFC 9113, Section 6).
const (
	frameSettings = 4
	frameGoAway   = 7
)

// looksLikeHTTP2 reports whether input begins with a SETTINGS or GOAWAY frame
// of stream 0.
func looksLikeHTTP2(first string) bool {
	if len(first) < 9 || first[0] != 0 || first[5:9] != "\x00\x00\x00\x00" {
		return false
	}
	return first[3] == frameSettings || first[3] == frameGoAway
}

// secondTLS makes a TLS connection that offers the protocols, sends no request
// and returns the chosen protocol: "none" for a server that chooses none, and
// "" if TLS failed. It verifies no certificate, because it sends no secret.
// With HTTP/2, connect reports whether WebSocket over HTTP/2 is enabled.
func (o *observer) secondTLS(ctx context.Context, protocols []string) (protocol string, connect bool) {
	if o.proxy() != nil {
		return "", false // it would need another tunnel
	}
	ctx, cancel := context.WithTimeout(ctx, secondTimeout)
	defer cancel()
	nc, err := dialFunc(o.cfg)(ctx, "tcp", o.url.Address())
	if err != nil {
		return "", false
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	cfg := o.tlsConfig()
	cfg.NextProtos, cfg.InsecureSkipVerify, cfg.VerifyConnection = protocols, true, nil
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = strings.Cut(o.url.Host, "%")
	}
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		return "", false
	}
	protocol = tc.ConnectionState().NegotiatedProtocol
	if protocol == "h2" {
		connect = enablesConnect(tc)
	}
	if protocol == "" {
		protocol = "none"
	}
	return protocol, connect
}

// enablesConnect reports whether the SETTINGS of an HTTP/2 server have
// SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441, Section 3).
func enablesConnect(rw io.ReadWriter) bool {
	const (
		preface              = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
		emptySettings        = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
		enableConnectSetting = 8
		maxSettings          = 1 << 10 // bytes
	)
	if _, err := io.WriteString(rw, preface+emptySettings); err != nil {
		return false
	}
	var head [9]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil || head[3] != frameSettings {
		return false
	}
	size := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
	if size > maxSettings {
		return false
	}
	settings := make([]byte, size)
	if _, err := io.ReadFull(rw, settings); err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	for ; len(settings) >= 6; settings = settings[6:] {
		if binary.BigEndian.Uint16(settings) == enableConnectSetting && binary.BigEndian.Uint32(settings[2:]) == 1 {
			return true
		}
	}
	return false
}
