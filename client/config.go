package client

import (
	"context"
	"net"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
)

// Limits bound what a server may send. Zero means the default, negative means
// no limit.
type Limits = endpoint.Limits

// Config says how to dial and how to treat the connection. The zero value, and
// a nil *Config, is right for most. A Config may be used for many dials at once
// as long as nobody changes it.
type Config struct {
	// Header holds further header fields of the opening handshake request,
	// such as Origin, Authorization or Cookie; an http.Header can be assigned.
	// The handshake's own fields cannot be set here, except Host, which takes the
	// place of the URL's host and port there; TLS verifies TLS.ServerName.
	Header map[string][]string

	// Subprotocols are offered to the server, the preferred one first.
	Subprotocols []string

	// TLS is the configuration for wss URLs. It is cloned; ServerName is the
	// URL's host if empty, and the only application protocol (ALPN) is
	// http/1.1, because the handshake is. Not there with the build tag notls.
	TLS *TLSConfig

	// Proxy is the URL, http or https, of an HTTP proxy that is asked by
	// CONNECT for a way to the server, with the URL's user and password if it
	// has them. If empty, the server is dialed directly.
	Proxy string

	// ProxyHeader holds further header fields of the CONNECT request, such as
	// User-Agent. A Proxy-Authorization field takes the place of the URL's user.
	ProxyHeader map[string][]string

	// DialContext makes the connection to the server or proxy, in place of a
	// net.Dialer. With it, anything that is a net.Conn can carry WebSocket, even
	// if its deadlines do not work; one that makes TLS itself belongs to a ws URL,
	// such as ws://example.com:443. It runs on a goroutine of its own: Dial
	// returns when the context ends, and closes a connection that is returned
	// later.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// HandshakeTimeout bounds Dial as a whole: connecting, TLS, the proxy and
	// the opening handshake. The default is 10 seconds, negative means none.
	HandshakeTimeout time.Duration

	// WriteTimeout bounds the time in which the server takes nothing of what is
	// written. A slow server that takes a little again and again is waited for; a
	// little is 4 KiB on a net.Conn that is neither TCP nor a Unix socket, 1 KiB if
	// the server was slow before, and 32 KiB if it was fast. A write that times
	// out may have left half a frame, so the connection ends with it.
	// The default is 10 seconds, negative means none.
	WriteTimeout time.Duration

	// CloseTimeout bounds how long a connection is kept for the closing
	// handshake and for the server to close TCP. The default is 5 seconds,
	// negative means none.
	CloseTimeout time.Duration

	// AssemblyTimeout bounds how long a message may take that has begun to arrive,
	// from its first byte to its last; for a message of more than 64 KiB it bounds
	// each 64 KiB of it. Only the time counts in which a call waits for it. A server
	// over it has its connection failed with 1008, and what waits returns a
	// *FailError with a *LateError. The default is 30 seconds, negative means none.
	AssemblyTimeout time.Duration

	// Limits bound what the server may send.
	Limits Limits

	// MaxOutgoingFrame is the largest payload, in bytes, of a data frame that is
	// sent, for servers that take no larger ones. A longer message is sent in
	// fragments. 0 or less means no limit, which is the default.
	MaxOutgoingFrame int

	// Trace, if it is set, is called once in Dial with the opening handshake: the
	// request as it was sent, which may hold secrets, and the response, nil if
	// none came. It is for logs; neither may be changed or kept. Dial waits for
	// it to return.
	Trace func(request []byte, response *handshake.Response)

	// Control makes Receive and Messages return Ping, Pong and Close frames as
	// messages too. They are answered all the same.
	Control bool
}

// Defaults of Config.
const (
	DefaultHandshakeTimeout = 10 * time.Second
	DefaultWriteTimeout     = 10 * time.Second
	DefaultCloseTimeout     = 5 * time.Second
	DefaultAssemblyTimeout  = 30 * time.Second
	DefaultMessageLimit     = endpoint.DefaultMessageLimit // bytes
)

// withDefaults returns a copy of cfg, which may be nil, in which every timeout
// is a number of its own.
func (cfg *Config) withDefaults() Config {
	var c Config
	if cfg != nil {
		c = *cfg
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.HandshakeTimeout, DefaultHandshakeTimeout},
		{&c.WriteTimeout, DefaultWriteTimeout},
		{&c.CloseTimeout, DefaultCloseTimeout},
		{&c.AssemblyTimeout, DefaultAssemblyTimeout},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}
