// Package diagnose opens a WebSocket connection, measures its steps and, if one
// fails, explains the failure and suggests a remedy.
//
//	report := diagnose.Check(ctx, "wss://example.com/chat", nil)
//	json.NewEncoder(w).Encode(report)
package diagnose

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// Report is the result of Check. Its texts may contain text of the server,
// which is not trusted: escape it. The secrets of the caller's header and of
// the URL's userinfo are left out; the query of the URL is not.
type Report struct {
	URL          string     `json:"url"` // in its normal form, without userinfo
	OK           bool       `json:"ok"`  // the connection opened, answered a Ping and closed
	Milliseconds float64    `json:"ms"`
	Steps        []Step     `json:"steps"`
	Problem      *Finding   `json:"problem,omitempty"` // nil if OK
	Notes        []Finding  `json:"notes,omitempty"`   // remarks that do not stop this client
	Network      *Network   `json:"network,omitempty"`
	TLS          *TLS       `json:"tls,omitempty"`
	HTTP         *HTTP      `json:"http,omitempty"`
	WebSocket    *WebSocket `json:"websocket,omitempty"`

	// Err is the error behind Problem, of package client, handshake or context.
	Err error `json:"-"`

	// Connected reports whether the transport opened, Secured whether TLS did,
	// or was not wanted.
	Connected, Secured bool `json:"-"`
}

// The names of the steps, in their order.
const (
	DNS       = "dns"       // the lookup of the host, or the proxy's host
	TCP       = "tcp"       // connecting
	Proxy     = "proxy"     // the tunnel through the proxy
	Security  = "tls"       // the TLS handshake
	Handshake = "handshake" // the opening handshake: request and response
	Ping      = "ping"      // the round trip of a Ping
	Close     = "close"     // the closing handshake
)

// The states of a step.
const (
	Passed = "ok"
	Warned = "warning"
	Failed = "failed"
)

// Step is one step of the connection. A step that did not happen is not
// reported.
type Step struct {
	Name         string  `json:"name"`
	State        string  `json:"state"` // ok, warning, failed
	Milliseconds float64 `json:"ms"`
	Detail       string  `json:"detail,omitempty"`
}

// Finding is a problem or a remark.
type Finding struct {
	Kind   string   `json:"kind"`             // a name for programs, such as closed-port
	Text   string   `json:"text"`             // one sentence
	Error  string   `json:"error,omitempty"`  // the text of the error
	Advice []string `json:"advice,omitempty"` // remedies, the likeliest first
}

// Network describes the transport.
type Network struct {
	Addresses []string `json:"addresses,omitempty"` // of the lookup
	Peer      string   `json:"peer,omitempty"`      // the address of the connection
	Failed    []string `json:"failed,omitempty"`    // the addresses that did not connect, with the errors
	Proxy     string   `json:"proxy,omitempty"`     // without userinfo
}

// TLS describes the TLS connection and the server's certificate, which is also
// reported if it is not valid.
type TLS struct {
	Version   string    `json:"version,omitempty"`
	Cipher    string    `json:"cipher,omitempty"`
	ALPN      string    `json:"alpn,omitempty"`
	Subject   string    `json:"subject,omitempty"`
	Issuer    string    `json:"issuer,omitempty"`
	Names     []string  `json:"names,omitempty"` // DNS names and addresses, at most 20
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	SHA256    string    `json:"sha256,omitempty"` // of the certificate, in hexadecimal
	Verified  bool      `json:"verified"`
}

// HTTP describes the response to the opening handshake.
type HTTP struct {
	Version  string `json:"version"`
	Status   int    `json:"status"`
	Reason   string `json:"reason,omitempty"`
	Server   string `json:"server,omitempty"`
	Via      string `json:"via,omitempty"`
	Location string `json:"location,omitempty"`
	Body     string `json:"body,omitempty"` // the beginning, of a refusal
}

// WebSocket describes the open connection.
type WebSocket struct {
	Subprotocol string          `json:"subprotocol,omitempty"`
	Extensions  string          `json:"extensions,omitempty"`
	RTT         float64         `json:"rttMs,omitempty"` // the shortest of the Pings
	Messages    int             `json:"messages"`        // received before the Close
	CloseCode   wire.StatusCode `json:"closeCode,omitempty"`
	CloseReason string          `json:"closeReason,omitempty"`
}

// pings is the number of round trips of which the shortest counts.
const pings = 3

// Check opens a connection to a ws, wss, http or https URL by client.Dial with
// cfg, which may be nil, sends Pings, closes it and reports. DialContext of cfg
// must be nil or a client.DialFunc. HandshakeTimeout bounds opening and, once
// more, the Pings. After some failures Check makes another connection to find
// the cause.
//
// Check connects to any address that the URL names. A server that calls it for
// others must restrict them.
func Check(ctx context.Context, url string, cfg *client.Config) *Report {
	o := newObserver(cfg)
	r := &Report{URL: url}
	defer func() { r.Milliseconds = milliseconds(time.Since(o.start)) }()
	u, err := handshake.ParseURL(url)
	if err != nil {
		r.fail("", err, Finding{Kind: "url", Text: "The URL is not valid.",
			Advice: []string{"Write ws://HOST:PORT/PATH, or wss:// for a server with TLS. A # must be written as %23."}})
		return r
	}
	o.url, r.URL = u, u.String()
	if scheme, _, _ := strings.Cut(url, ":"); strings.HasPrefix(strings.ToLower(scheme), "http") {
		r.note(Finding{Kind: "http-url", Text: "The URL begins with " + scheme + ", which this client reads as " + r.URL + ".",
			Advice: []string{"Write ws or wss: browsers before 2024 and many libraries refuse http and https in a WebSocket URL."}})
	}
	conn, err := client.Dial(ctx, url, o.config())
	o.report(r, err)
	if err != nil {
		o.explain(ctx, r, err)
		return r
	}
	defer conn.CloseNow()
	o.remark(r)
	o.exchange(ctx, r, conn)
	r.OK = r.Problem == nil
	return r
}

// fail records the problem of the step, which may be "".
func (r *Report) fail(step string, err error, f Finding) {
	if err != nil {
		f.Error = text(err)
	}
	r.Problem, r.Err = &f, err
	for i := range r.Steps {
		if r.Steps[i].Name == step {
			r.Steps[i].State = Failed
		}
	}
}

func (r *Report) note(f Finding) { r.Notes = append(r.Notes, f) }

func (r *Report) step(name string, took time.Duration, detail string) *Step {
	r.Steps = append(r.Steps, Step{Name: name, State: Passed, Milliseconds: milliseconds(took), Detail: detail})
	return &r.Steps[len(r.Steps)-1]
}

// exchange measures round trips on the open connection and closes it.
func (o *observer) exchange(ctx context.Context, r *Report, conn *client.Conn) {
	w := &WebSocket{Subprotocol: conn.Subprotocol(), Extensions: conn.Compression()}
	r.WebSocket = w
	if len(o.cfg.Subprotocols) > 0 && w.Subprotocol == "" {
		r.note(Finding{Kind: "subprotocol", Text: fmt.Sprintf("The server chose none of the offered subprotocols (%s).", strings.Join(o.cfg.Subprotocols, ", ")),
			Advice: []string{"Offer a subprotocol that the server supports, or none: a browser closes this connection."}})
	}
	drained := make(chan int, 1)
	go func() { // a server may send so much that Ping does not find the Pong
		n := 0
		var buf []byte
		for err := error(nil); err == nil; n++ {
			_, buf, err = conn.ReceiveInto(context.WithoutCancel(ctx), buf[:0])
		}
		drained <- n - 1
	}()
	ping, err := o.ping(ctx, conn)
	if err == nil {
		w.RTT = milliseconds(ping)
		r.step(Ping, ping, fmt.Sprintf("the shortest of %d round trips", pings))
		start := time.Now()
		err = conn.Close(wire.NormalClosure, "")
		s := r.step(Close, time.Since(start), "")
		if err != nil {
			s.State, s.Detail = Warned, text(err)
			r.note(Finding{Kind: "close", Text: "The server did not finish the closing handshake.", Error: text(err),
				Advice: []string{"The server must answer a Close with a Close and close TCP (RFC 6455, Sections 5.5.1 and 7.1.1)."}})
		} else {
			s.Detail = fmt.Sprintf("answered with %v", conn.CloseCode())
		}
		err = nil
	} else {
		r.step(Ping, time.Since(o.responded), "")
		conn.CloseNow()
	}
	w.Messages = <-drained
	w.CloseCode, w.CloseReason = conn.CloseCode(), conn.CloseReason()
	if err != nil {
		r.fail(Ping, err, pingFinding(ctx, err))
	}
}

// ping returns the shortest of a few round trips.
func (o *observer) ping(ctx context.Context, conn *client.Conn) (shortest time.Duration, err error) {
	limit := o.cfg.HandshakeTimeout
	if limit == 0 {
		limit = client.DefaultHandshakeTimeout
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	for i := range pings {
		rtt, err := conn.Ping(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no Pong for %v (HandshakeTimeout): %w", limit, err)
		}
		if err != nil {
			return 0, err
		}
		if i == 0 || rtt < shortest {
			shortest = rtt
		}
	}
	return shortest, nil
}

// pingFinding explains an open connection that did not answer a Ping.
func pingFinding(ctx context.Context, err error) Finding {
	var closed *client.CloseError
	switch {
	case ctx.Err() != nil:
		return Finding{Kind: "canceled", Text: "The check was interrupted."}
	case errors.As(err, &closed):
		f := Finding{Kind: "closed", Text: fmt.Sprintf("The server accepted the connection and closed it with %v.", closed.Code)}
		switch closed.Code {
		case wire.PolicyViolation, wire.Unauthorized, wire.Forbidden:
			f.Advice = []string{"The server authorizes after the handshake: send the credential that it expects."}
		case wire.TryAgainLater, wire.ServiceRestart, wire.GoingAway:
			f.Advice = []string{"The server is overloaded or restarts: try again later."}
		case wire.MessageTooBig:
			f.Text = "The server accepted the connection and closed it with 1009: a message or frame exceeds a limit of the server."
			f.Advice = []string{"The check sends Pings only, of 8 bytes: raise the limit of the server, or of a proxy that reads the frames."}
		default:
			f.Advice = []string{"The server's log names the reason."}
		}
		return f
	case errors.Is(err, context.DeadlineExceeded):
		return Finding{Kind: "no-pong", Text: "The connection is open, and the server does not answer a Ping.",
			Advice: []string{"The server must answer each Ping (RFC 6455, Section 5.5.2).",
				"A proxy between may hold back the server's frames: switch its buffering off (nginx: proxy_buffering off)."}}
	}
	var failed *client.FailError
	var limit *client.LimitError
	if errors.As(err, &limit) {
		return Finding{Kind: "limit", Text: fmt.Sprintf("The server sent more than this client accepts: the %s exceeds %s.", limit.Limit, limit.Option),
			Advice: []string{"The connection works. A client of this server needs a higher limit: -max-message of connect and replay, Limits of a client of this library."}}
	}
	if errors.As(err, &failed) {
		return Finding{Kind: "protocol", Text: "The server broke a rule of the protocol after the handshake.",
			Advice: []string{"The server, or a proxy that writes into the connection, sends bytes that are no frames: \"fibersock frame\" explains bytes."}}
	}
	return Finding{Kind: "lost", Text: "The connection opened and was lost.",
		Advice: []string{"A proxy or load balancer may end connections that it does not know as WebSocket: look for its timeouts and its Upgrade setting."}}
}

// describeTLS returns the description of a TLS connection.
func describeTLS(state tls.ConnectionState, verified bool) *TLS {
	t := &TLS{
		Version:  tls.VersionName(state.Version),
		Cipher:   tls.CipherSuiteName(state.CipherSuite),
		ALPN:     state.NegotiatedProtocol,
		Verified: verified,
	}
	t.describe(state.PeerCertificates)
	return t
}

// milliseconds returns d with a precision of microseconds.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// text returns err's text without the library's prefix.
func text(err error) string { return strings.TrimPrefix(err.Error(), "websocket: ") }

// peerOf returns the text of an address.
func peerOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// clone returns a copy of cfg that Check may change.
func clone(cfg *client.Config) *client.Config {
	c := new(client.Config)
	if cfg != nil {
		*c = *cfg
	}
	c.Subprotocols = slices.Clone(c.Subprotocols)
	return c
}
