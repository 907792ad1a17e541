package diagnose

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/cmd/fibersock/internal/clienttls"
	"github.com/fibersock/fibersock/handshake"
)

// observer records the progress of a Dial.
type observer struct {
	cfg   *client.Config // the caller's
	url   *handshake.URL
	start time.Time

	mu         sync.Mutex // guards the rest while Dial runs
	lookup     time.Time  // the lookup began
	resolved   time.Time  // it ended
	addresses  []string
	failed     []string // addresses that did not connect, with the error
	connected  time.Time
	peer       string
	tunnelled  time.Time // with a proxy, the tunnel is open
	firstBytes []byte    // the beginning of the input
	secured    time.Time // the certificate of the server was accepted
	encrypted  time.Time // the TLS handshake has ended
	state      *tls.ConnectionState
	responded  time.Time // the response arrived, or the connection failed
	response   *handshake.Response
}

// firstBytes is cut after this many bytes, which identify a protocol.
const maxFirstBytes = 64

func newObserver(cfg *client.Config) *observer {
	return &observer{cfg: clone(cfg), start: time.Now()}
}

// dialFunc returns the function that opens connections with cfg, whose
// DialContext is nil or a DialFunc.
func dialFunc(cfg *client.Config) client.DialFunc {
	if f, ok := cfg.DialContext.(client.DialFunc); ok {
		return f
	}
	return new(net.Dialer).DialContext
}

// config returns the configuration that reports to o.
func (o *observer) config() *client.Config {
	cfg := clone(o.cfg)
	dial := dialFunc(cfg)
	cfg.DialContext = client.DialFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := dial(httptrace.WithClientTrace(ctx, o.trace()), network, addr)
		if err != nil {
			return nil, err
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.connected, o.peer = time.Now(), peerOf(nc.RemoteAddr())
		return &observedConn{nc, o}, nil
	})
	secure := o.tlsConfig()
	clienttls.Set(cfg, secure)
	verify := secure.VerifyConnection
	secure.VerifyConnection = func(state tls.ConnectionState) error {
		o.mu.Lock()
		o.secured, o.state = time.Now(), &state
		o.mu.Unlock()
		if verify != nil {
			return verify(state)
		}
		return nil
	}
	cfg.Trace = client.NewTrace(func(s client.Step) {
		o.mu.Lock()
		defer o.mu.Unlock()
		switch {
		case s.Kind == client.StepProxy && s.Err == nil:
			o.tunnelled = time.Now()
		case s.Kind == client.StepTLS && s.Err == nil:
			o.encrypted = time.Now()
		case s.Kind == client.StepResponse:
			o.responded, o.response = time.Now(), s.Response
		}
	})
	return cfg
}

// proxy returns the URL of the proxy, nil if there is none.
func (o *observer) proxy() *handshake.URL {
	if o.cfg.Proxy == nil {
		return nil
	}
	url, err := o.cfg.Proxy.Select(context.Background(), o.url)
	if err != nil || url == "" {
		return nil
	}
	proxy, err := handshake.ParseProxyURL(url)
	if err != nil {
		return nil
	}
	return proxy
}

// tlsConfig returns a copy of the caller's configuration of TLS.
func (o *observer) tlsConfig() *tls.Config {
	secure := clienttls.Of(o.cfg)
	if secure == nil {
		return new(tls.Config)
	}
	return secure.Clone()
}

// trace returns the hooks of net.Dialer.
func (o *observer) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.lookup = time.Now()
		},
		DNSDone: func(info httptrace.DNSDoneInfo) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.resolved = time.Now()
			for _, a := range info.Addrs {
				o.addresses = append(o.addresses, a.String())
			}
		},
		ConnectDone: func(_, addr string, err error) {
			if err == nil || errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "operation was canceled") {
				return // another address was faster
			}
			o.mu.Lock()
			defer o.mu.Unlock()
			o.failed = append(o.failed, addr+": "+cause(err))
		},
	}
}

// cause returns the text of the innermost error of a failed connect.
func cause(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		err = op.Err
	}
	text := err.Error()
	return strings.TrimPrefix(text, "connect: ")
}

// observedConn is the transport of a Dial. It keeps the first bytes of the
// input.
type observedConn struct {
	net.Conn
	o *observer
}

func (c *observedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.o.mu.Lock()
		if room := maxFirstBytes - len(c.o.firstBytes); room > 0 {
			c.o.firstBytes = append(c.o.firstBytes, b[:min(n, room)]...)
		}
		c.o.mu.Unlock()
	}
	return n, err
}

// CloseWrite ends the stream to the server.
func (c *observedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// report describes the progress of Dial, which returned err, in r.
func (o *observer) report(r *Report, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	end := time.Now()
	if !o.responded.IsZero() && err == nil {
		end = o.responded
	}
	r.Network = &Network{Addresses: o.addresses, Peer: o.peer, Failed: o.failed}
	proxy := o.proxy()
	if proxy != nil {
		r.Network.Proxy = proxy.Scheme + "://" + proxy.Address()
	}
	r.Connected = !o.connected.IsZero()
	r.Secured = !o.url.Secure || !o.secured.IsZero()

	connecting := o.start
	if !o.lookup.IsZero() {
		connecting = o.resolved
		r.step(DNS, until(o.resolved, end).Sub(o.lookup), strings.Join(o.addresses, ", "))
	}
	if o.lookup.IsZero() || len(o.addresses) > 0 {
		r.step(TCP, until(o.connected, end).Sub(connecting), o.peer)
	}
	if !r.Connected {
		return
	}
	begin := o.connected
	if proxy != nil {
		tunnelled := o.tunnelled
		r.step(Proxy, until(tunnelled, end).Sub(begin), r.Network.Proxy)
		if tunnelled.IsZero() || isA[*client.ProxyError](err) {
			return
		}
		begin = tunnelled
	}
	if o.url.Secure {
		detail := ""
		if o.state != nil {
			r.TLS = describeTLS(*o.state, !o.tlsConfig().InsecureSkipVerify)
			detail = fmt.Sprintf("%s, %s", r.TLS.Version, r.TLS.Cipher)
		}
		r.step(Security, until(o.encrypted, end).Sub(begin), detail)
		if o.encrypted.IsZero() || isA[*client.TLSError](err) {
			return
		}
		begin = o.encrypted
	}
	detail := ""
	if response := o.response; response != nil {
		detail = strings.TrimSpace(fmt.Sprintf("%s %d %s", response.Proto, response.Status, response.Reason))
		r.HTTP = &HTTP{
			Version: response.Proto, Status: response.Status, Reason: response.Reason,
			Server: response.Header.Get("Server"), Via: response.Header.Get("Via"), Location: response.Header.Get("Location"),
		}
	}
	r.step(Handshake, until(o.responded, end).Sub(begin), detail)
}

// until returns t, or end if t has not been reached.
func until(t, end time.Time) time.Time {
	if t.IsZero() {
		return end
	}
	return t
}

// maxNames bounds the names of a certificate in a report.
const maxNames = 20

// describe describes the certificate of a chain's server.
func (t *TLS) describe(chain []*x509.Certificate) {
	if len(chain) == 0 {
		return
	}
	leaf := chain[0]
	sum := sha256.Sum256(leaf.Raw)
	t.Subject, t.Issuer = leaf.Subject.String(), leaf.Issuer.String()
	t.NotBefore, t.NotAfter = leaf.NotBefore, leaf.NotAfter
	t.SHA256 = hex.EncodeToString(sum[:])
	t.Names = names(leaf)
}

// names returns the names and addresses of a certificate.
func names(leaf *x509.Certificate) (names []string) {
	names = append(names, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names[:min(len(names), maxNames)]
}

func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}
