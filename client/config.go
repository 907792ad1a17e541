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
	// of the handshake itself are not allowed; for Host, see the field Host. The
	// default User-Agent is "fibersock"; a field replaces it, and a field
	// without values removes it.
	Header map[string][]string

	// Host is the Host field of the request: a host and an optional port. The
	// default is that of the URL. Dial connects to the host of the URL, and TLS
	// verifies it, unless TLS.ServerName is set.
	Host string

	// Subprotocols are offered to the server, the preferred one first.
	Subprotocols []string

	// TLS is the configuration for wss URLs, with the certificates of the
	// client, if it has some. Dial clones it. If ServerName is empty, it is the
	// host of the URL. The only application protocol (ALPN) is http/1.1, which
	// the opening handshake needs. The build tag notls removes TLS.
	TLS *TLSConfig

	// StartTLS replaces crypto/tls and TLS for wss URLs. Use a TLSFunc. The
	// default is crypto/tls.
	StartTLS TLSStarter

	// Proxy selects a proxy for the connection: HTTP CONNECT or SOCKS5. Use
	// ProxyURL for one proxy, and ProxyFromEnvironment for HTTPS_PROXY and
	// others. The default is nil: no proxy.
	Proxy Proxy

	// ProxyHeader has additional fields of the CONNECT request to an HTTP proxy.
	// A Proxy-Authorization field replaces the user of the proxy's URL.
	// User-Agent is as in Header.
	ProxyHeader map[string][]string

	// ProxyTLS is the configuration for TLS with an https proxy, like TLS.
	ProxyTLS *TLSConfig

	// DialContext opens the connection to the server or proxy. Use a DialFunc,
	// or UnixDialer for a Unix socket. The default is that of net.Dialer, which
	// tries all addresses of a host (RFC 8305). In programs for GOOS=js it is
	// the WebSocket of the browser.
	DialContext ContextDialer

	// Redirects follows redirects of the server; see FollowRedirects. The
	// default is nil: a redirect is a *HandshakeError.
	Redirects Redirects

	// Cookies adds cookies to the request, and stores those of the response,
	// also of one that refuses. Package client/cookies adapts the CookieJar of
	// net/http. The default is nil: no cookies are stored.
	Cookies Cookies

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

	// PingInterval is the longest silence of the server, while a call
	// receives, before the client sends a heartbeat: a Ping. Any byte of the
	// server ends a silence. The Ping is sent after half of PingInterval at the
	// earliest. The default is 30 seconds.
	PingInterval time.Duration

	// PongTimeout bounds the time from a heartbeat to the next byte of the
	// server. After it calls return a *LostError with a *TimeoutError. If no
	// call received meanwhile, the next one first reads the bytes that have
	// arrived. The default is 10 seconds.
	PongTimeout time.Duration

	// Limits bound the sizes and rates of received frames and messages.
	Limits Limits

	// MaxOutgoingFrame is the largest payload, in bytes, of a data frame that
	// the client sends. A longer message is sent in fragments. Zero or negative
	// means no limit.
	MaxOutgoingFrame int

	// Compression negotiates a compression of messages with the server, if it
	// is set. A *permessage.Deflate is one.
	Compression Compression

	// Trace reports the steps of Dial; see NewTrace. Package client/dialtrace
	// adds those of net.Dialer. The default is nil: no reports.
	Trace Trace

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
	DefaultPingInterval     = 30 * time.Second
	DefaultPongTimeout      = 10 * time.Second
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
	setDefault(&c.PingInterval, DefaultPingInterval)
	setDefault(&c.PongTimeout, DefaultPongTimeout)
	return c
}

func setDefault(timeout *time.Duration, value time.Duration) {
	if *timeout == 0 {
		*timeout = value
	}
}
