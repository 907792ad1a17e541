package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/tcpserver"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest/conform"
)

// fuzzing is a fuzzing server with cases that end in different ways.
type fuzzing struct {
	count string // the answer to /getCaseCount
	// hangUp, if it is set, is called with each connection from the second on,
	// instead of serving it.
	hangUp func(net.Conn)
	cases  map[string]func(c *server.Conn)

	mu       sync.Mutex // guards the rest
	visits   []string   // the resources that were asked for, with their query
	received []string   // messages in cases
}

// start serves until the test ends, and returns the URL.
func (f *fuzzing) start(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	visit := func(c *server.Conn) {
		f.mu.Lock()
		f.visits = append(f.visits, c.Path()+"?"+c.Query())
		f.mu.Unlock()
	}
	s := &server.Server{Log: func(error) {}, Handlers: map[string]*server.Handler{
		"/base/getCaseCount": {Open: func(c *server.Conn) {
			visit(c)
			c.SendText(f.count)
			c.Close(0, "")
		}},
		"/base/runCase": {
			Open: func(c *server.Conn) {
				visit(c)
				f.cases[c.Query()](c)
			},
			Message: func(c *server.Conn, op wire.Opcode, p []byte) {
				f.mu.Lock()
				f.received = append(f.received, fmt.Sprintf("%v %s", op, p))
				f.mu.Unlock()
				c.Close(wire.NormalClosure, "")
			},
		},
		"/base/updateReports": {Open: func(c *server.Conn) {
			visit(c)
			c.Close(0, "")
		}},
	}}
	served := make(chan error, 1)
	if f.hangUp != nil {
		go func() { served <- s.Serve(&oneConn{Listener: ln, rest: f.hangUp}) }()
	} else {
		go func() { served <- s.Serve(ln) }()
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Shutdown(ctx)
		<-served
	})
	return "ws://" + ln.Addr().String() + "/base/"
}

// A oneConn accepts one connection and passes the rest to another function.
type oneConn struct {
	net.Listener
	accepted bool
	rest     func(net.Conn)
}

func (l *oneConn) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil || !l.accepted {
			l.accepted = true
			return nc, err
		}
		l.rest(nc)
	}
}

// The Autobahn TestSuite writes its reports and exits without an answer when it
// is asked to exit. The driver used to report a server that refuses.
func TestServerThatEndsWithoutAnswerHasEnded(t *testing.T) {
	read := func(nc net.Conn) {
		nc.SetReadDeadline(time.Now().Add(10 * time.Second))
		http.ReadRequest(bufio.NewReader(nc))
	}
	ends := func(nc net.Conn) { read(nc); nc.Close() }
	resets := func(nc net.Conn) { read(nc); nc.(*net.TCPConn).SetLinger(0); nc.Close() }
	refuses := func(nc net.Conn) {
		read(nc)
		io.WriteString(nc, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
		nc.Close()
	}
	for _, c := range []struct {
		name     string
		hangUp   func(net.Conn)
		shutdown bool
		ok       bool
	}{
		{"ends", ends, true, true},
		{"resets", resets, true, true},
		{"refuses", refuses, true, false},
		{"ends without a request", ends, false, false},
	} {
		f := &fuzzing{count: "0", hangUp: c.hangUp}
		d := (&conformDriveOptions{agent: "a", shutdown: c.shutdown}).driver(f.start(t), nil)
		if err := d.Run(t.Context()); (err == nil) != c.ok {
			t.Errorf("a server that %s: %v", c.name, err)
		}
	}
}

// The driver runs the next case after any end of the last one, and asks for the
// reports at the end.
func TestDriverRunsAllCasesAndAsksForReports(t *testing.T) {
	for _, parallel := range []int{0, 2, 100} {
		t.Run(fmt.Sprint(parallel), func(t *testing.T) {
			f := &fuzzing{count: "5", cases: map[string]func(c *server.Conn){
				"agent=a+%26+b&case=1": func(c *server.Conn) { c.SendText("hello") },
				"agent=a+%26+b&case=2": func(c *server.Conn) { c.Send(wire.Binary, []byte("bytes")) },
				"agent=a+%26+b&case=3": func(c *server.Conn) { c.CloseNow() },
				"agent=a+%26+b&case=4": func(c *server.Conn) { c.Close(4000, "enough") },
				"agent=a+%26+b&case=5": func(c *server.Conn) { c.Close(0, "") },
			}}
			var count, ran int
			d := (&conformDriveOptions{agent: "a & b", parallel: parallel, shutdown: true}).driver(f.start(t), nil)
			d.Count, d.Ran = func(cases int) { count = cases }, func() { ran++ }
			if err := d.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if count != 5 || ran != 5 {
				t.Errorf("%d cases counted, %d run", count, ran)
			}
			want := []string{"/base/getCaseCount?"}
			for n := range 5 {
				want = append(want, fmt.Sprintf("/base/runCase?agent=a+%%26+b&case=%d", n+1))
			}
			want = append(want, "/base/updateReports?agent=a+%26+b&shutdownOnComplete=true")
			slices.Sort(f.visits[1 : len(f.visits)-1]) // the order of parallel cases is not defined
			if !slices.Equal(f.visits, want) {
				t.Errorf("visited %q, want %q", f.visits, want)
			}
			slices.Sort(f.received)
			if want := []string{"binary bytes", "text hello"}; !slices.Equal(f.received, want) {
				t.Errorf("echoed %q, want %q", f.received, want)
			}
		})
	}
}

func TestDriverReportsWrongServers(t *testing.T) {
	for _, count := range []string{"", "many", "-1", "1.5", "99999999999999999999"} {
		f := &fuzzing{count: count}
		d := (&conformDriveOptions{agent: "a"}).driver(f.start(t), nil)
		var wrong *conform.AnswerError
		if err := d.Run(t.Context()); !errors.As(err, &wrong) || wrong.Resource != "getCaseCount" || wrong.Answer != count {
			t.Errorf("%q cases: %v", count, err)
		}
	}
}

// Answers about a case that are not JSON, or without the field, are errors.
func TestDriverReportsWrongVerdicts(t *testing.T) {
	const info, status = `{"id": "1.1.1", "description": "d"}`, `{"behavior": "OK"}`
	for _, c := range []struct{ info, status, wrong string }{
		{info, status, ""},
		{"hello", status, "getCaseInfo"},
		{"{}", status, "getCaseInfo"},
		{info, "", "getCaseStatus"},
		{info, `{"behavior": 1}`, "getCaseStatus"},
	} {
		d := &conform.Driver{
			Ask: func(_ context.Context, url string) (string, error) {
				switch url {
				case "/getCaseCount":
					return "1", nil
				case "/getCaseInfo?case=1":
					return c.info, nil
				case "/getCaseStatus?agent=a&case=1":
					return c.status, nil
				}
				return "", errors.New(url)
			},
			Echo:  func(context.Context, string) error { return nil },
			Agent: "a",
		}
		judged := ""
		d.Judged = func(id string, verdict conform.Verdict) { judged = id + " " + string(verdict) }
		err := d.Run(t.Context())
		var wrong *conform.AnswerError
		switch {
		case c.wrong == "":
			if err != nil || judged != "1.1.1 OK" {
				t.Errorf("judged %q: %v", judged, err)
			}
		case !errors.As(err, &wrong) || wrong.Resource != c.wrong || judged != "":
			t.Errorf("%+v: judged %q: %v", c, judged, err)
		}
	}
}

// A server that stops is an error, in the middle of the cases too.
func TestDriverEndsWithoutServer(t *testing.T) {
	f := &fuzzing{count: "3"}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	f.cases = map[string]func(c *server.Conn){
		"agent=a&case=1": func(c *server.Conn) { cancel(gone) }, // and stays open
	}
	d := (&conformDriveOptions{agent: "a"}).driver(f.start(t), nil)
	if err := d.Run(ctx); err != gone && err != context.Canceled {
		t.Errorf("interrupted: %v", err)
	}
	if len(f.visits) != 2 {
		t.Errorf("visited %q", f.visits)
	}

	d.URL = "ws://" + tcpserver.Refusing(t)
	var refused *net.OpError
	if err := d.Run(t.Context()); !errors.As(err, &refused) {
		t.Errorf("no listener: %v", err)
	}
}
