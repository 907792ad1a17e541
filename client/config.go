package client

import (
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
)

// Limits bound the sizes and rates of received frames and messages. For each
// field, zero means the default and negative means no limit.
type Limits = endpoint.Limits

// Config configures Dial and the connection. The zero value and a nil *Config
// have all defaults. For each timeout, zero means the default and negative
// means none. Any number of Dials may use a Config at the same time; nobody
// may change it meanwhile.
type Config struct {
	// Header has additional fields of the opening handshake request, such as
	// Origin, Authorization or Cookie. An http.Header is assignable. The fields
	// of the handshake itself are not allowed, except Host, which replaces the
	// host and port of the URL in the request; TLS verifies TLS.ServerName. The
	// default User-Agent is "fibersock"; a field replaces it, and a field
	// without values removes it.
	Header map[string][]string

	// Subprotocols are offered to the server, the preferred one first.
	Subprotocols []string

	// TLS is the configuration for wss URLs. Dial clones it. If ServerName is
	// empty, it is the host of the URL. The only application protocol (ALPN) is
	// http/1.1, which the opening handshake needs. The build tag notls removes
	// TLS.
	TLS *TLSConfig

	// Proxy is the http or https URL of an HTTP proxy. Dial opens a tunnel
	// through it with CONNECT, and sends the user and password of the URL. The
	// default is no proxy.
	Proxy string

	// ProxyHeader has additional fields of the CONNECT request. A
	// Proxy-Authorization field replaces the user of the URL. User-Agent is as
	// in Header.
	ProxyHeader map[string][]string

	// DialContext opens the connection to the server or proxy. Use a DialFunc.
	// The default is that of net.Dialer.
	DialContext ContextDialer

	// HandshakeTimeout bounds Dial: connecting, TLS, the proxy and the opening
	// handshake. The default is 10 seconds.
	HandshakeTimeout time.Duration

	// WriteTimeout bounds the time in which the server accepts no byte of a
	// write; then the connection is lost, because a part of a frame may have
	// been sent. The default is 10 seconds. Every accepted byte restarts the
	// time on TCP and Unix sockets. On another net.Conn every 4 KiB do: 1 KiB
	// after a slow write, 32 KiB after fast ones.
	WriteTimeout time.Duration

	// CloseTimeout bounds the closing handshake, including the time until the
	// server closes TCP. The default is 5 seconds.
	CloseTimeout time.Duration

	// AssemblyTimeout bounds the time without progress of an unfinished
	// message. Progress is the end of the message, or 64 KiB more of it. Only
	// the time counts in which a call waits for the message. After it the
	// connection fails with 1008, and calls return a *FailError with a
	// *TimeoutError. The default is 30 seconds.
	AssemblyTimeout time.Duration

	// Limits bound the sizes and rates of received frames and messages.
	Limits Limits

	// MaxOutgoingFrame is the largest payload, in bytes, of a data frame that
	// the client sends. A longer message is sent in fragments. Zero or negative
	// means no limit.
	MaxOutgoingFrame int

	// Compression negotiates a compression of messages with the server, if it
	// is set. A *permessage.Deflate is one.
	Compression Compression

	// Trace is called once in Dial, on another goroutine, after the opening
	// handshake: with the request as it was sent, which may contain secrets,
	// and the response, nil if there was none. It must neither change nor keep
	// them. Dial waits for it.
	Trace func(request []byte, response *handshake.Response)

	// Control makes Receive and Messages return Ping, Pong and Close frames as
	// messages. The client answers them as well.
	Control bool
}

// Compression is an extension that compresses messages. Package permessage has
// one.
type Compression interface {
	// Offers returns the client's offers, the preferred one first.
	Offers() []handshake.Extension

	// Negotiate returns the compression that the server's response accepts, nil
	// if it accepts no extension of offer: see handshake.NegotiatedExtensions.
	// An error fails the handshake. Negotiate is not called if there are no
	// offers.
	Negotiate(response *handshake.Response, offer *handshake.ClientOffer) (endpoint.Compression, error)
}

// Defaults of Config.
const (
	DefaultHandshakeTimeout = 10 * time.Second
	DefaultWriteTimeout     = 10 * time.Second
	DefaultCloseTimeout     = 5 * time.Second
	DefaultAssemblyTimeout  = 30 * time.Second
	DefaultMessageLimit     = endpoint.DefaultMessageLimit // bytes
)

// withDefaults returns a copy of cfg, which may be nil, in which no timeout is
// zero.
func (cfg *Config) withDefaults() *Config {
	c := new(Config)
	if cfg != nil {
		*c = *cfg
	}
	setDefault(&c.HandshakeTimeout, DefaultHandshakeTimeout)
	setDefault(&c.WriteTimeout, DefaultWriteTimeout)
	setDefault(&c.CloseTimeout, DefaultCloseTimeout)
	setDefault(&c.AssemblyTimeout, DefaultAssemblyTimeout)
	return c
}

func setDefault(timeout *time.Duration, value time.Duration) {
	if *timeout == 0 {
		*timeout = value
	}
}
