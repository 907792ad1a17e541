//go:build !race

// The race detector makes pools forget, so that memory is measured without it.

package server_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// A client that pings at line rate and does not read gets no memory for it (T-C01, 6455-5.5.3-b),
// nor does one that sends Pongs nobody asked for (T-C03, T-C04, 6455-5.5.3-c).
func TestFloodsOfControlFramesCostNoMemory(t *testing.T) {
	const frames = 100_000
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Handler: server.Handler{Message: echo}, WriteTimeout: 200 * time.Millisecond})
		for name, payload := range map[string]string{
			"Pings":  frame(wire.Ping, strings.Repeat("?", 125)),
			"Pongs":  frame(wire.Pong, strings.Repeat("!", 125)),
			"texts":  text(""), // T-A12, T-H16
			"pieces": fragment(wire.Text, "", false) + fragment(wire.Continuation, "", true),
		} {
			t.Run(name, func(t *testing.T) {
				p := s.open(t)
				chunk := strings.Repeat(payload, 100)
				before, goroutines := heap(), runtime.NumGoroutine()
				for range frames / 100 {
					if p.trySend(chunk) != nil {
						break // cut, because it does not read
					}
				}
				if grown := heap() - before; grown > 8<<20 { // the Pings alone are 13 MB
					t.Errorf("the heap has grown by %d bytes", grown)
				}
				if n := runtime.NumGoroutine() - goroutines; n > 5 {
					t.Errorf("%d goroutines more", n)
				}
			})
		}
	})
}

// A header is no reason to provide memory: many clients that announce as much as
// they may and send nothing cost what idle ones cost (T-A06, 6455-5.2-i).
func TestMemoryIsNotSizedByWhatClientsAnnounce(t *testing.T) {
	const clients = 200
	eachLoop(t, func(t *testing.T, start starter) {
		rec := newRecorder(t)
		s := start(t, &server.Server{Handler: rec.handler()})
		peers := make([]*peer, clients)
		for i := range peers {
			peers[i] = s.open(t)
			rec.conn()
		}
		before := heap()
		for _, p := range peers {
			p.send(frame(wire.Ping, "?"), declaring(wire.Binary, 16<<20, true), "a")
			p.want(`pong "?"`)
		}
		if grown := heap() - before; grown > clients*16<<10 {
			t.Errorf("%d bytes for each client", grown/clients)
		}
	})
}
