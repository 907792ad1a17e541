//go:build !notls

package server_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wstest"
)

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
