// Dashboard shows live figures of its own process on a page: one broadcast a
// second for all viewers. A viewer that reads too slowly misses old figures, not
// new ones.
//
//	go run ./examples/dashboard
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"log"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

//go:embed page.html
var page []byte

func main() {
	addr := flag.String("addr", "localhost:8080", "address")
	flag.Parse()
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("http://%v/", ln.Addr())
	d := newDashboard()
	go d.run(context.Background())
	log.Fatal(http.Serve(ln, d.routes()))
}

// Figures are a message to the page.
type figures struct {
	Time       time.Time `json:"time"`
	Viewers    int64     `json:"viewers"`
	Goroutines int       `json:"goroutines"`
	HeapBytes  uint64    `json:"heapBytes"`
}

// A dashboard broadcasts figures.
type dashboard struct {
	server *server.Server
	latest atomic.Pointer[server.Prepared]
}

func newDashboard() *dashboard {
	d := new(dashboard)
	d.server = &server.Server{
		MaxBacklog: 4 << 10, // about a minute of figures
		SlowPolicy: server.SlowDropOldest,
		Handler: server.Handler{
			Open: func(c *server.Conn) {
				if m := d.latest.Load(); m != nil {
					c.SendPrepared(m)
				}
			},
		},
	}
	return d
}

// run broadcasts figures each second until the context ends.
func (d *dashboard) run(ctx context.Context) {
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticks.C:
			if err := d.publish(now); err != nil {
				log.Print(err)
			}
		}
	}
}

// publish encodes the figures once, for all viewers.
func (d *dashboard) publish(now time.Time) error {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	text, err := json.Marshal(figures{now, d.server.Stats().Open, runtime.NumGoroutine(), mem.HeapAlloc})
	if err != nil {
		return err
	}
	m, err := server.Prepare(wire.Text, text)
	if err != nil {
		return err
	}
	d.latest.Store(m)
	d.server.BroadcastPrepared(m)
	return nil
}

func (d *dashboard) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { w.Write(page) })
	mux.Handle("GET /figures", httpupgrade.Handler(d.server))
	return mux
}
