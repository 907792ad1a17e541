// Package dialtrace reports the steps of client.Dial with those of net.Dialer:
// the resolution of the name, and the attempts to connect to its addresses. It
// is a package of its own because it depends on net/http/httptrace.
package dialtrace

import (
	"context"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/fibersock/fibersock/client"
)

// Config returns a copy of cfg, which may be nil, with which Dial reports each
// step to f when it has ended. It sets Trace, see client.NewTrace, and wraps
// DialContext: a dialer that uses net.Dialer also reports
//
//	client.StepResolve    the resolution of the name of the server or proxy
//	client.StepAddress    the attempt to connect to one address
//
// before client.StepConnect. Dial tries the addresses of a host one after
// another, and IPv6 and IPv4 addresses at the same time (RFC 8305). Attempts
// that have not ended when another one succeeds are not reported.
//
// The calls of f for one Dial do not overlap. They run on several goroutines,
// and Dial waits for each. If several Dials use the Config at the same time,
// their calls overlap.
//
// Hooks of httptrace.WithClientTrace in the context of Dial are called without
// this package: those of net.Dialer, that is DNSStart to ConnectDone.
func Config(cfg *client.Config, f func(client.Step)) *client.Config {
	traced := new(client.Config)
	if cfg != nil {
		*traced = *cfg
	}
	traced.Trace = client.NewTrace(f)
	traced.DialContext = client.TraceDialer(traced.DialContext, func(ctx context.Context, addr string) (context.Context, func()) {
		r := &recorder{report: f, address: addr, started: make(map[string]time.Time)}
		return httptrace.WithClientTrace(ctx, r.hooks()), r.end
	})
	return traced
}

// recorder reports the steps of one call of a DialContext.
type recorder struct {
	report  func(client.Step)
	address string

	mu       sync.Mutex
	ended    bool                 // the DialContext has returned
	resolved time.Time            // when the resolution started
	started  map[string]time.Time // when the attempt at an address started
}

func (r *recorder) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.resolved = time.Now()
		},
		DNSDone: func(info httptrace.DNSDoneInfo) {
			var addresses []string
			for _, a := range info.Addrs {
				addresses = append(addresses, a.String())
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.step(client.Step{Kind: client.StepResolve, Took: time.Since(r.resolved), Err: info.Err, Address: r.address, Addresses: addresses})
		},
		ConnectStart: func(_, addr string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.started[addr] = time.Now()
		},
		ConnectDone: func(_, addr string, err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.step(client.Step{Kind: client.StepAddress, Took: time.Since(r.started[addr]), Err: err, Address: addr})
		},
	}
}

// step reports s. r.mu is held.
func (r *recorder) step(s client.Step) {
	if !r.ended {
		r.report(s)
	}
}

func (r *recorder) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
}
