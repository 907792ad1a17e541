//go:build !notls

package server_test

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
)

// holdingConn buffers the bytes of every Write from the second on until
// release. The first is a client's ClientHello.
type holdingConn struct {
	net.Conn
	writes int
	held   []byte
}

func (c *holdingConn) Write(b []byte) (int, error) {
	if c.writes++; c.writes == 1 {
		return c.Conn.Write(b)
	}
	c.held = append(c.held, b...)
	return len(b), nil
}

// release writes n buffered bytes in one Write.
func (c *holdingConn) release(t *testing.T, n int) {
	t.Helper()
	check.Must(t, check.Err(c.Conn.Write(c.held[:n])))
	c.held = c.held[n:]
}

func (c *holdingConn) releaseAll(t *testing.T) {
	t.Helper()
	c.release(t, len(c.held))
}

// Messages that crypto/tls has buffered are delivered at once, without further
// input: a message in the segment of the client's Finished, several in one
// record, several records in one segment, one in two.
func TestTLSHoldsNothingBack(t *testing.T) {
	t.Parallel()
	starters := make(map[string]starter)
	addTLS(starters)
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			s := start(t, &server.Server{Handler: server.Handler{Message: echo}})
			nc, err := net.Dial("tcp", s.addr)
			check.Must(t, err)
			line := &holdingConn{Conn: nc}
			client := tls.Client(line, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
			p := newPeer(t, client)
			check.Must(t, client.Handshake())
			p.send(request("/"))
			p.send(text("with the Finished"))
			line.releaseAll(t)
			p.response()
			p.want(`text "with the Finished"`)

			p.send(text("a"), text(strings.Repeat("b", 10_000)), text("c"))
			line.releaseAll(t)
			p.want(`text "a"`, "text 10000 bytes", `text "c"`)
			for range 10 {
				p.send(text("d"))
				p.send(text("e"))
				line.releaseAll(t)
				p.want(`text "d"`, `text "e"`)
			}
			for i := range 40 {
				p.send(text("f"))
				p.send(text("g"))
				line.release(t, i)
				line.releaseAll(t)
				p.want(`text "f"`, `text "g"`)
			}
		})
	}
}
