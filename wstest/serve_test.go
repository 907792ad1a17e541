package wstest_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// A test in a bubble that uses Serve leaves no goroutine: synctest.Test would
// report a deadlock. The client need not close.
func TestServe(t *testing.T) {
	echo := func() *server.Server {
		return &server.Server{Handler: server.Handler{
			Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) },
		}}
	}
	for name, serve := range map[string]func(t *testing.T) *wstest.Listener{
		"server.Server": func(t *testing.T) *wstest.Listener { return wstest.Serve(t, echo()) },
		"http.Server": func(t *testing.T) *wstest.Listener {
			s := echo()
			t.Cleanup(func() { check.OK(t, s.Shutdown(context.Background())) })
			return wstest.Serve(t, &http.Server{Handler: httpupgrade.Handler(s)})
		},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			nc, err := serve(t).Dial()
			check.Must(t, err)
			check.OK(t, wstest.NewClient(nc).Play("open /\nsend text \"Hello\"\nexpect text \"Hello\""))
		})
	}
}

// A recorder is a test that ends when end is called.
type recorder struct {
	cleanups []func()
	log      []string
}

func (r *recorder) Cleanup(f func())             { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Logf(format string, a ...any) { r.log = append(r.log, fmt.Sprintf(format, a...)) }
func (r *recorder) end()                         { r.cleanups[0]() }
func (r *recorder) logged(text string) (found bool) {
	return slices.ContainsFunc(r.log, func(line string) bool { return strings.Contains(line, text) })
}

func TestServeLogsTheErrors(t *testing.T) {
	check.Bubble(t, "of Serve", func(t *testing.T) {
		var r recorder
		wstest.Serve(&r, &server.Server{Origins: []string{"["}})
		synctest.Wait()
		r.end()
		if !r.logged("Serve: ") || r.logged("Shutdown: ") {
			t.Errorf("%q", r.log)
		}
	})
	check.Bubble(t, "of Shutdown", func(t *testing.T) {
		var r recorder
		release := make(chan struct{})
		s := &server.Server{Handler: server.Handler{Serve: func(*server.Conn) { <-release }}}
		nc, err := wstest.Serve(&r, s).Dial()
		check.Must(t, err)
		defer nc.Close()
		check.OK(t, wstest.NewClient(nc).Play("open /"))
		begin := time.Now()
		r.end()
		close(release)
		check.Equal(t, time.Since(begin), 10*time.Second, "time")
		if !r.logged("Shutdown: ") || r.logged("Serve: ") {
			t.Errorf("%q", r.log)
		}
	})
}
