package interop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// The ways to serve that read a handshake in ways of their own.
var backends = map[string]func(t *testing.T, s *server.Server, ln net.Listener){
	"our server":                 listenDirectly,
	"our server behind net-http": listenInNetHTTP,
}

// eachProxy runs test with each proxy before each backend. raw connects to the proxy.
func eachProxy(t *testing.T, s func() *server.Server, test func(t *testing.T, s *server.Server, raw func() net.Conn)) {
	for proxyName, startProxy := range proxies {
		for backendName, listen := range backends {
			t.Run(proxyName+" before "+backendName, func(t *testing.T) {
				s := s()
				ln := listenLoopback(t)
				listen(t, s, ln)
				url, dial := startProxy(t, ln.Addr().String(), false, usualIdle)
				if dial == nil {
					dial = new(net.Dialer).DialContext
				}
				test(t, s, func() net.Conn {
					nc, err := dial(patient(t), "tcp", strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/"))
					check.Must(t, err)
					nc.SetDeadline(time.Now().Add(patience))
					t.Cleanup(func() { nc.Close() })
					return nc
				})
			})
		}
	}
}

func listenLoopback(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	return ln
}

// handshakeFor returns an opening handshake request. A change with the name of
// a field replaces its line, "GET …" the request line; other changes are added.
func handshakeFor(target string, changes ...string) string {
	lines := []string{
		"GET " + target + " HTTP/1.1", "Host: site.example", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
	}
	for _, change := range changes {
		name, _, _ := strings.Cut(change, ":")
		i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, name+":") })
		switch {
		case strings.HasSuffix(change, " HTTP/1.0"):
			lines[0] = change
		case i < 0:
			lines = append(lines, change)
		default:
			lines[i] = change
		}
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// A spy writes down for which paths its server was asked to open a connection.
type spy struct {
	mu    sync.Mutex // guards the rest
	asked []string
}

func (s *spy) authorize(r *handshake.Request, _ *handshake.ServerAnswer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.Path())
	return nil
}

func (s *spy) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// Refused requests, and requests that a proxy and a server might parse in two
// ways. After each follows a valid handshake for a path that the proxy does not
// make public: if proxy and server disagreed about the end of the first
// request, or about the tunnel, the server would receive that path (T-E01,
// T-E02, T-D14, T-D15, T-D16).
func TestNothingIsSmuggledThroughProxies(t *testing.T) {
	hidden := handshakeFor("/private")
	requests := map[string]struct {
		request string
		status  []string // one of these; the proxy may answer itself, and may mend
	}{
		"T-E02: another version":          {handshakeFor("/", "Sec-WebSocket-Version: 1337"), []string{"426"}},
		"T-E01: a short key":              {handshakeFor("/", "Sec-WebSocket-Key: AAAA"), []string{"400"}},
		"T-E01: another origin":           {handshakeFor("/", "Origin: https://evil.example", "Cookie: s=1"), []string{"403"}},
		"T-E01: another path":             {handshakeFor("/elsewhere"), []string{"404"}},
		"no WebSocket at all":             {handshakeFor("/", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), []string{"426"}},
		"T-D16: an old version":           {handshakeFor("/", "Sec-WebSocket-Version: 7"), []string{"426"}},
		"T-D14: a body, a frame":          {handshakeFor("/", "Content-Length: 6") + "\x89\x80\x01\x02\x03\x04", []string{"400"}},
		"T-D14: a body, a request":        {handshakeFor("/", fmt.Sprintf("Content-Length: %d", len(hidden))) + hidden, []string{"400"}},
		"T-D14: a body in chunks":         {handshakeFor("/", "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden), []string{"400", "411"}},
		"T-D14: no body, in chunks":       {handshakeFor("/", "Transfer-Encoding: chunked") + "0\r\n\r\n", []string{"400", "411", "101"}},
		"T-D14: two lengths":              {handshakeFor("/", "Content-Length: 0", "Content-Length : 6"), []string{"400"}},
		"T-D14: a length and chunks":      {handshakeFor("/", "Content-Length: 6", "Transfer-Encoding: chunked") + "0\r\n\r\n", []string{"400"}},
		"T-D14: a wait for the body":      {handshakeFor("/", "Expect: 100-continue"), []string{"417", "101"}}, // nginx sends the 100 itself
		"T-D15: a space before the colon": {handshakeFor("/", "Upgrade : websocket"), []string{"400"}},
		"T-D15: a folded line":            {handshakeFor("/", "X: a\r\n b: c"), []string{"400", "101"}},
		"T-D15: a bare CR":                {handshakeFor("/", "X: a\rY: b"), []string{"400"}},
		"T-D15: a NUL":                    {handshakeFor("/", "X: a\x00b"), []string{"400"}},
		"two Hosts":                       {handshakeFor("/", "host: evil.example"), []string{"400"}},
		"two keys":                        {handshakeFor("/", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="), []string{"400"}},
		"two versions":                    {handshakeFor("/", "sec-websocket-version: 13"), []string{"400"}},
		"two origins":                     {handshakeFor("/", "Origin: http://site.example", "origin: http://site.example"), []string{"400"}},
		"POST":                            {strings.Replace(handshakeFor("/", "Content-Length: 0"), "GET", "POST", 1), []string{"405"}},
		"T-D12: a fragment":               {handshakeFor("/#/private"), []string{"400", "101"}}, // nginx cuts it off
		"HTTP/1.0":                        {handshakeFor("/", "GET / HTTP/1.0"), []string{"101", "400", "426", "505"}},
	}
	for name, target := range map[string]string{
		"dots": "/x/../private", "escaped": "/%70rivate", "absolute": "http://site.example/private", "doubled": "//private",
	} {
		requests["T-D20: the hidden place, "+name] = struct {
			request string
			status  []string
		}{handshakeFor(target), []string{"403", "404"}}
	}
	var seen spy
	newServer := func() *server.Server {
		h := &server.Handler{Message: echo}
		return &server.Server{Handlers: map[string]*server.Handler{"/": h, "/private": h}, Authorize: seen.authorize, Log: func(error) {}}
	}
	eachProxy(t, newServer, func(t *testing.T, _ *server.Server, raw func() net.Conn) {
		for name, tt := range requests {
			t.Run(name, func(t *testing.T) {
				nc := raw()
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					// The proxy answers the second itself, and the third ends the connection.
					io.WriteString(nc, tt.request+hidden+handshakeFor("/bye", "Connection: close"))
				}()
				all, _ := io.ReadAll(nc) // to the end, which may be a reset
				nc.Close()
				<-sent
				status := ""
				if line, found := strings.CutPrefix(strings.TrimPrefix(string(all), "HTTP/1.1 100 Continue\r\n\r\n"), "HTTP/1."); found && len(line) > 5 {
					status = line[2:5]
				}
				if !slices.Contains(tt.status, status) {
					t.Errorf("answered with %.300q, want %q", all, tt.status)
				}
				if asked := seen.take(); slices.Contains(asked, "/private") || status != "101" && len(asked) > 0 {
					t.Errorf("the server was asked for %q; the answer is %.300q", asked, all)
				}
				if strings.Count(string(all), " 101 ") > 1 || status != "101" && strings.Contains(string(all), "\x8a") {
					t.Errorf("frames were answered: %.300q", all)
				}
			})
		}
	})
}

func echo(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }

// Frames in one segment with a valid handshake arrive through every proxy.
// Other bytes are no request: a second handshake is an invalid frame (T-D13).
// Other members of Upgrade do not matter: the connection is WebSocket or
// refused (T-E06).
func TestBytesBehindTheHandshakeThroughProxies(t *testing.T) {
	const hello, bye = "\x81\x85\x00\x00\x00\x00Hello", "\x88\x80\x00\x00\x00\x00"
	newServer := func() *server.Server { return &server.Server{Handler: server.Handler{Message: echo}} }
	eachProxy(t, newServer, func(t *testing.T, _ *server.Server, raw func() net.Conn) {
		for name, tt := range map[string]struct{ request, behind, want string }{
			"frames":                  {handshakeFor("/"), hello + hello + bye, "\x81\x05Hello\x81\x05Hello\x88\x00"},
			"T-D13: a second request": {handshakeFor("/"), handshakeFor("/"), "\x88"},
			"T-E06: h2c first":        {handshakeFor("/", "Upgrade: h2c, websocket"), hello + bye, "\x81\x05Hello\x88\x00"},
			"T-E06: h2c later":        {handshakeFor("/", "Upgrade: websocket, h2c"), hello + bye, "\x81\x05Hello\x88\x00"},
		} {
			t.Run(name, func(t *testing.T) {
				nc := raw()
				check.Must(t, check.Err(io.WriteString(nc, tt.request+tt.behind)))
				all, err := io.ReadAll(nc)
				head, rest, found := strings.Cut(string(all), "\r\n\r\n")
				if !found || !strings.HasPrefix(head, "HTTP/1.1 101 ") || strings.Contains(strings.ToLower(head), "h2c") {
					t.Fatalf("answered with %.300q, %v", all, err)
				}
				if !strings.HasPrefix(rest, tt.want) || strings.Contains(rest, "HTTP/") {
					t.Errorf("behind the 101 came %q, want %q", rest, tt.want)
				}
			})
		}
	})
}

// The origin of a page is compared with the host that the proxy received, if
// the proxy forwards it (T-F01). nginx as in its manual forwards the host
// without its port: pages of other ports are refused, until Origins names them.
func TestOriginsThroughProxies(t *testing.T) {
	newServer := func() *server.Server {
		return &server.Server{Origins: []string{"https://site.example:8443"}, Log: func(error) {}}
	}
	eachProxy(t, newServer, func(t *testing.T, _ *server.Server, raw func() net.Conn) {
		for _, tt := range []struct {
			host, origin string
			status       []int
		}{
			{"site.example", "https://site.example", []int{101}},
			{"site.example", "http://site.example", []int{101}},
			{"site.example", "https://evil.example", []int{403}},
			{"site.example", "https://site.example.evil.example", []int{403}},
			{"site.example", "null", []int{403}},
			{"evil.example", "https://evil.example", []int{101}}, // DNS rebinding: see Hosts
			{"site.example:8080", "http://site.example:8080", []int{101, 403}},
			{"site.example:8443", "https://site.example:8443", []int{101}},
			{"site.example:8443", "https://site.example:8444", []int{403}},
		} {
			nc := raw()
			check.Must(t, check.Err(io.WriteString(nc, handshakeFor("/", "Host: "+tt.host, "Origin: "+tt.origin, "Cookie: s=1"))))
			head := make([]byte, len("HTTP/1.1 101"))
			check.Must(t, check.Err(io.ReadFull(nc, head)))
			if status := string(head[len("HTTP/1.1 "):]); !slices.ContainsFunc(tt.status, func(s int) bool { return status == fmt.Sprint(s) }) {
				t.Errorf("a page of %s to %s: %s, want %v", tt.origin, tt.host, status, tt.status)
			}
			nc.Close()
		}
	})
}

// Behind a proxy the server's name is the one that the proxy forwards (T-F07).
func TestHostsThroughProxies(t *testing.T) {
	newServer := func() *server.Server {
		return &server.Server{Hosts: []string{"site.example"}, Log: func(error) {}}
	}
	eachProxy(t, newServer, func(t *testing.T, _ *server.Server, raw func() net.Conn) {
		for host, want := range map[string]int{"site.example": 101, "site.example:8443": 101, "evil.example": 421, "127.0.0.1": 421} {
			nc := raw()
			check.Must(t, check.Err(io.WriteString(nc, handshakeFor("/", "Host: "+host))))
			head := make([]byte, len("HTTP/1.1 101"))
			if _, err := io.ReadFull(nc, head); err != nil || string(head[len("HTTP/1.1 "):]) != fmt.Sprint(want) {
				t.Errorf("%s: %q, %v, want %d", host, head, err, want)
			}
			nc.Close()
		}
	})
}

// Our client reports a refusal behind a proxy, with its status (T-E01).
func TestRefusalsThroughProxiesAreErrors(t *testing.T) {
	for proxyName, startProxy := range proxies {
		t.Run(proxyName, func(t *testing.T) {
			ln := listenLoopback(t)
			listenDirectly(t, &server.Server{Handlers: map[string]*server.Handler{"/": {}}, Log: func(error) {}}, ln)
			url, dial := startProxy(t, ln.Addr().String(), false, usualIdle)
			for path, want := range map[string]int{"elsewhere": http.StatusNotFound, "private": http.StatusForbidden} {
				var refused *client.HandshakeError
				if _, err := client.Dial(patient(t), url+path, &client.Config{DialContext: client.DialFunc(dial)}); !errors.As(err, &refused) || refused.Response.Status != want {
					t.Errorf("%s: %v, want %d", path, err, want)
				}
			}
		})
	}
}

// A proxy drops idle connections. Pings keep them; both ends report a dropped
// one as lost, with code 1006 (T-E13).
func TestIdleConnectionsThroughProxies(t *testing.T) {
	for proxyName, startProxy := range proxies {
		t.Run(proxyName, func(t *testing.T) {
			type one struct {
				conn *client.Conn
				ends chan wire.StatusCode
			}
			open := func(pings time.Duration) one {
				o := one{ends: make(chan wire.StatusCode, 1)}
				ln := listenLoopback(t)
				listenDirectly(t, &server.Server{PingInterval: pings, Handler: server.Handler{
					Message: echo,
					Close:   func(_ *server.Conn, code wire.StatusCode, _ string) { o.ends <- code },
				}}, ln)
				url, dial := startProxy(t, ln.Addr().String(), false, 1)
				var err error
				if o.conn, err = client.Dial(patient(t), url, &client.Config{DialContext: client.DialFunc(dial)}); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { o.conn.CloseNow() })
				return o
			}
			kept, silent := open(200*time.Millisecond), open(-1)
			received := make(chan string, 1)
			go func() { // which answers the Pings
				m, err := kept.conn.Receive(patient(t))
				received <- fmt.Sprint(m.Text(), err)
			}()
			_, err := silent.conn.Receive(patient(t))
			var lost *client.LostError
			if !errors.As(err, &lost) || !errors.Is(err, net.ErrClosed) {
				t.Errorf("the silent client was told %v", err)
			}
			select {
			case code := <-silent.ends:
				if code != wire.AbnormalClosure {
					t.Errorf("the silent client's server was told %v", code)
				}
			case <-time.After(patience):
				t.Error("the silent client's server was told nothing")
			}
			// The other has been as silent for as long, but for Pings.
			check.Must(t, kept.conn.SendText("still here"))
			if got := <-received; got != "still here<nil>" {
				t.Errorf("the other received %s", got)
			}
			check.OK(t, kept.conn.Close(wire.NormalClosure, ""))
		})
	}
}
