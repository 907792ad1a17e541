package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
)

// answers returns the counters of answered requests.
func answers(s *running) server.Stats {
	st := s.Stats()
	return server.Stats{Opening: st.Opening, Accepted: st.Accepted, Refused: st.Refused, Answered: st.Answered, Unfinished: st.Unfinished}
}

// Requests of load balancers, scanners and browsers without the fields of an
// opening handshake are counted and not reported. Each used to be reported as a
// refused handshake, and logs consisted of health checks
// (python-websockets/websockets#126 and #1402, igrigorik/em-websocket#145,
// EOSIO/eos#3989). A request with some of the fields is reported, also if a
// proxy has damaged it.
func TestProbesAreNotReported(t *testing.T) {
	var none server.Stats
	for _, tt := range []struct {
		name, in string
		reset    bool
		want     server.Stats
		reported bool
	}{
		{name: "connects and closes", want: server.Stats{Unfinished: 1}},
		{name: "connects and resets", reset: true, want: server.Stats{Unfinished: 1}},
		{name: "half a request", in: "GET / HTTP/1.1\r\nHost: x\r\nUpgr", want: server.Stats{Unfinished: 1}},
		{name: "GET", in: "GET /healthz HTTP/1.1\r\nHost: x\r\nUser-Agent: ELB-HealthChecker/2.0\r\nConnection: close\r\n\r\n", want: server.Stats{Refused: server.Refused{Status4xx: 1}}},
		{name: "HEAD", in: "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", want: server.Stats{Refused: server.Refused{Status4xx: 1}}},
		{name: "HTTP/1.0", in: "GET / HTTP/1.0\r\n\r\n", want: server.Stats{Refused: server.Refused{Status5xx: 1}}},
		{name: "TLS", in: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", want: server.Stats{Refused: server.Refused{Status4xx: 1}}},

		{name: "Upgrade lost", in: strings.Replace(request("/"), "Upgrade: websocket\r\nConnection: Upgrade\r\n", "", 1), want: server.Stats{Refused: server.Refused{Status4xx: 1}}, reported: true},
		{name: "PROXY protocol", in: "PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n" + request("/"), want: server.Stats{Refused: server.Refused{Status4xx: 1}}, reported: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachLoop(t, func(t *testing.T, start starter) {
				s := start(t, &server.Server{Authorize: func(*handshake.Request, *handshake.ServerAnswer) error {
					t.Error("Authorize was asked")
					return nil
				}})
				p := s.ask(t, tt.in)
				switch {
				case tt.name == "TLS": // the first bytes of a ClientHello are answered at once
					checkRefused(t, p, 400)
				case tt.want.Refused != none.Refused:
					if all, err := p.rest(); len(all) == 0 || err != nil {
						t.Errorf("answered with %q, %v", all, err)
					}
				case tt.reset:
					eventually(t, "a connection in the opening handshake", func() bool { return s.Stats().Opening == 1 })
					p.reset()
				default:
					p.nc.Close()
				}
				eventually(t, "the request counted", func() bool { return answers(s) == tt.want })
				if errs := s.log.take(); len(errs) > 0 != tt.reported {
					t.Errorf("reported %q", errs)
				}
			})
		})
	}
}

// Probes of a port for TLS that do not begin with TLS.
func TestProbesOfAPortForTLSAreNotReported(t *testing.T) {
	starters := make(map[string]starter)
	addTLS(starters)
	for name, start := range starters {
		for _, reset := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", reset), func(t *testing.T) {
				s := start(t, &server.Server{})
				p := dialTCP(t, s.addr)
				eventually(t, "a connection in the opening handshake", func() bool { return s.Stats().Opening == 1 })
				if reset {
					p.reset()
				} else {
					p.nc.Close()
				}
				eventually(t, "the request counted", func() bool { return answers(s) == server.Stats{Unfinished: 1} })
				if errs := s.log.take(); len(errs) > 0 {
					t.Errorf("reported %q", errs)
				}
			})
		}
	}
}

// resetConn is a connection that the client resets after some bytes.
type resetConn struct {
	net.Conn
	in *strings.Reader
}

func (c resetConn) Read(b []byte) (int, error) {
	if c.in.Len() == 0 {
		return 0, &net.OpError{Op: "read", Net: "pipe", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return c.in.Read(b)
}

// A reset within an opening handshake is no probe, and is reported.
func TestResetWithinTheRequestIsReported(t *testing.T) {
	for _, in := range []string{"", request("/")[:50]} {
		synctest.Test(t, func(t *testing.T) {
			ln := newPipeListener()
			s := serve(t, &server.Server{}, ln)
			ours, theirs := net.Pipe()
			defer theirs.Close()
			ln.conns <- resetConn{ours, strings.NewReader(in)}
			synctest.Wait()
			if in == "" {
				if errs := s.log.take(); len(errs) > 0 {
					t.Errorf("reported %q", errs)
				}
			} else if refused := takeOne[*server.RefusedError](t, s.log); !errors.Is(refused, syscall.ECONNRESET) {
				t.Errorf("reported %v", refused)
			}
			if st := s.Stats(); st.Unfinished != 1 {
				t.Errorf("counted %+v", st)
			}
		})
	}
}

// Server.HTTP answers health checks on a port for WebSocket
// (Pithikos/python-websocket-server#39, unarbos/arbos#234). Each answer is a
// whole response and the last on its connection.
func TestHTTPIsAnsweredByTheProgram(t *testing.T) {
	hook := func(r *handshake.Request) *handshake.HTTPAnswer {
		switch r.Path() {
		case "/healthz":
			return &handshake.HTTPAnswer{Body: fmt.Appendf(nil, "%s %s", r.Method, r.Query())}
		case "/moved":
			return &handshake.HTTPAnswer{Status: 302, Header: map[string][]string{"Location": {"https://server.example/"}}}
		case "/large":
			return &handshake.HTTPAnswer{Header: map[string][]string{"Content-Type": {"application/json"}}, Body: make([]byte, 100_000)}
		case "/panic":
			panic("on purpose")
		case "/unsendable":
			return &handshake.HTTPAnswer{Header: map[string][]string{"X": {"a\r\nY: b"}}}
		}
		return nil
	}
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: server.example\r\n\r\n" }
	for _, tt := range []struct {
		name, request string
		status        int
		body          string // with "" not compared
		answered      bool   // by the application
		log           func(error) bool
	}{
		{name: "GET", request: get("/healthz?x"), status: 200, body: "GET x", answered: true},
		{name: "HEAD", request: strings.Replace(get("/healthz"), "GET", "HEAD", 1), status: 200, answered: true},
		{name: "POST", request: "POST /healthz HTTP/1.1\r\nHost: server.example\r\nContent-Length: 4\r\n\r\nbody", status: 200, body: "POST ", answered: true},
		{name: "OPTIONS over HTTP/1.0", request: "OPTIONS /healthz HTTP/1.0\r\nHost: server.example\r\n\r\n", status: 200, body: "OPTIONS ", answered: true},
		{name: "redirect", request: get("/moved"), status: 302, answered: true},
		{name: "large", request: get("/large"), status: 200, body: string(make([]byte, 100_000)), answered: true},
		{name: "not by the program", request: get("/"), status: 426},
		{name: "another host", request: strings.Replace(get("/healthz"), "server", "evil", 1), status: 421, log: isA[*server.RefusedError]},
		{name: "no host", request: "GET /healthz HTTP/1.1\r\n\r\n", status: 400},
		{name: "HTTP/2", request: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505},
		{name: "panic (T-H10)", request: get("/panic"), status: 500, log: isA[*server.PanicError]},
		{name: "cannot be sent (T-D17)", request: get("/unsendable"), status: 500, log: isA[*handshake.FieldError]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachLoop(t, func(t *testing.T, start starter) {
				s := start(t, &server.Server{HTTP: hook, Hosts: []string{"server.example"}})
				for _, pieces := range [][]string{{tt.request + request("/")}, strings.SplitAfter(tt.request, "\n")} {
					p := s.dial(t)
					for _, piece := range pieces {
						p.trySend(piece)
					}
					method, _, _ := strings.Cut(tt.request, " ")
					r := bufio.NewReader(p.nc)
					resp, err := http.ReadResponse(r, &http.Request{Method: method})
					check.Must(t, err)
					body, err := io.ReadAll(resp.Body)
					if err != nil || resp.StatusCode != tt.status || tt.body != "" && string(body) != tt.body || !resp.Close {
						t.Errorf("answered with %s, %.100q, %v", resp.Status, body, err)
					}
					if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
						t.Errorf("afterwards %q, %v", rest, err)
					}
					errs := s.log.take()
					if tt.log == nil && len(errs) > 0 || tt.log != nil && (len(errs) == 0 || !tt.log(errs[0])) {
						t.Errorf("reported %q", errs)
					}
				}
				want := server.Stats{Answered: 2}
				switch {
				case tt.answered:
				case tt.status < 500:
					want = server.Stats{Refused: server.Refused{Status4xx: 2}}
				default:
					want = server.Stats{Refused: server.Refused{Status5xx: 2}}
				}
				if st := answers(s); st != want {
					t.Errorf("counted %+v", st)
				}
				s.openAs(t, "/").goodbye(1000) // opening handshakes are unchanged
			})
		})
	}
}

// The limits of a request are options (python-websockets/websockets#1239,
// rancher/rancher#11482): a token in the query may need more than 8 KiB.
func TestHandshakeLimits(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{HandshakeLimits: handshake.Limits{Bytes: 100 << 10, Fields: 7, RequestLine: 60 << 10}})
		s.openAs(t, "/?token="+strings.Repeat("a", 50<<10)).goodbye(1000)
		rec.conn()
		cookie := "a=" + strings.Repeat("a", 90<<10)
		p := s.openAs(t, "/", "Cookie: "+cookie)
		if r := rec.conn().Request(); r == nil || r.Header.Get("Cookie") != cookie {
			t.Error("the request is not the client's")
		}
		p.goodbye(1000)
		for _, tt := range []struct {
			request string
			status  int
			option  string
		}{
			{request("/?token=" + strings.Repeat("a", 60<<10)), 414, "request line exceeds 61440 bytes (handshake.Limits.RequestLine)"},
			{request("/", "Cookie: a="+strings.Repeat("a", 100<<10)), 431, "head exceeds 102400 bytes (handshake.Limits.Bytes)"},
			{request("/", "A: a", "B: b", "C: c"), 431, "head exceeds 7 header fields (handshake.Limits.Fields)"},
		} {
			for _, cut := range []int{0, 50} {
				p := s.ask(t, tt.request[:cut])
				p.trySend(tt.request[cut:])
				checkRefused(t, p, tt.status)
				if refused := takeOne[*server.RefusedError](t, s.log); refused != nil && !strings.HasSuffix(refused.Error(), tt.option) {
					t.Errorf("reported %v", refused)
				}
			}
		}
	})
}

// A server with a malformed pattern, which matches no host, does not start, and
// refuses upgrades elsewhere. Such a pattern used to be found only when no
// client could connect.
func TestMalformedPatternsStopTheServer(t *testing.T) {
	for _, tt := range []struct {
		server  *server.Server
		pattern string
	}{
		{&server.Server{Origins: []string{"*", "https://app.example/"}}, "https://app.example/"},
		{&server.Server{Hosts: []string{"localhost", "http://localhost"}}, "http://localhost"},
	} {
		s := tt.server
		var log reports
		s.Log = log.add
		refused := func(err error) {
			t.Helper()
			var malformed *handshake.PatternError
			if !errors.As(err, &malformed) || malformed.Pattern != tt.pattern || !strings.Contains(err.Error(), fmt.Sprintf("pattern %q: ", tt.pattern)) {
				t.Errorf("%q: %v", tt.pattern, err)
			}
		}
		ln := listenTCP(t)
		refused(s.Serve(ln))
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve continues: %v", err)
		}
		refused(s.ListenAndServe("127.0.0.1:0"))

		up, err := s.AcceptHandshake(parse(t, request("/")))
		wantRefusal(t, "Upgrade", up, err, 500)
		for _, err := range log.take() {
			refused(err)
		}
	}
}
