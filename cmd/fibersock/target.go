package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/cmd/fibersock/internal/clienttls"
)

// targetOptions are the flags of connect, replay, check, bench and bridge about
// the server and the way to it.
type targetOptions struct {
	trust             trustOptions
	certFile, keyFile string
	header            headerFlag
	subprotocols      listFlag
	origin            string
	proxy             string
	follow            bool
	unixSocket        string
	timeout           time.Duration
	compression       compressionFlag
}

const maxRedirects = 10 // of -follow

func (o *targetOptions) add(flags *flag.FlagSet) {
	o.header = headerFlag{}
	flags.Var(o.header, "H", "send this `field`, 'Name: value', in the opening handshake; may be repeated. Host\nreplaces the URL's host there, and User-Agent the default, fibersock")
	flags.Var(&o.subprotocols, "subprotocol", "offer these subprotocols, `names` separated by commas, the preferred one first;\nmay be repeated")
	flags.StringVar(&o.origin, "origin", "", "send this `origin`, as the browser does for a page from there")
	flags.StringVar(&o.proxy, "proxy", "", proxyUsage)
	flags.BoolVar(&o.follow, "follow", false, "follow up to 10 redirects (default: a redirect is an error). Fields of -H, the user of\nthe URL and -cert are not sent to another origin")
	flags.StringVar(&o.unixSocket, "unix", "", "connect to this unix socket, a `file`, in place of the URL's host and port")
	flags.DurationVar(&o.timeout, "timeout", client.DefaultHandshakeTimeout, "give up if a connection is not open after this `time`")
	flags.Var(&o.compression, "compression", compressionUsage)
	flags.StringVar(&o.certFile, "cert", "", "present this certificate of the client, a PEM `file` with its chain")
	flags.StringVar(&o.keyFile, "key", "", "the key of -cert, a PEM `file` (default: the file of -cert)")
	o.trust.add(flags)
	flags.BoolVar(&o.trust.insecure, "k", false, "-insecure in short")
}

// check checks combinations of flags.
func (o *targetOptions) check() error {
	switch {
	case o.timeout <= 0:
		return usagef("-timeout takes a time above 0, not %v", o.timeout)
	case o.keyFile != "" && o.certFile == "":
		return usagef("-key is the key of a certificate: -cert is missing")
	case o.unixSocket != "" && o.proxy != "":
		return usagef("-unix and -proxy are two ways to the server: use one of them")
	}
	return o.trust.check()
}

// config returns the configuration of a connection. It loads the certificates.
func (o *targetOptions) config() (*client.Config, error) {
	secure, err := o.trust.config()
	if err != nil {
		return nil, err
	}
	if o.certFile != "" {
		certificate, err := readKeyPair(o.certFile, cmp.Or(o.keyFile, o.certFile))
		if err != nil {
			return nil, fmt.Errorf("-cert %s: %w", o.certFile, err)
		}
		secure.Certificates = []tls.Certificate{certificate}
	}
	if o.origin != "" {
		o.header["Origin"] = []string{o.origin}
	}
	cfg := &client.Config{
		Host: takeHost(o.header), Header: o.header, Subprotocols: o.subprotocols,
		Proxy: proxyAt(o.proxy), HandshakeTimeout: o.timeout,
	}
	clienttls.Set(cfg, secure)
	if o.unixSocket != "" {
		cfg.Proxy = nil
		cfg.DialContext = client.DialFunc(o.dialTransport) // diagnose needs a DialFunc
	}
	if o.follow {
		cfg.Redirects = client.FollowRedirects(maxRedirects)
	}
	if deflate := o.compression.deflate(); deflate != nil {
		cfg.Compression = deflate
	}
	return cfg, nil
}

// dialTarget opens a connection with cfg, which config has returned. The exit
// code is that of the error.
func dialTarget(ctx context.Context, url string, cfg *client.Config) (*client.Conn, exitCode, error) {
	var connected atomic.Bool
	own := *cfg
	own.Trace = client.NewTrace(func(s client.Step) { connected.Store(s.Kind != client.StepConnect || s.Err == nil) })
	conn, err := client.Dial(ctx, url, &own)
	if err != nil {
		return nil, dialExitCode(err, connected.Load(), true), err // a failure of TLS has its own type
	}
	return conn, exitOK, nil
}

// dialTransport opens the transport to an address, or to the unix socket.
func (o *targetOptions) dialTransport(ctx context.Context, network, addr string) (net.Conn, error) {
	if o.unixSocket != "" {
		network, addr = "unix", o.unixSocket
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}
