package diagnose_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/cmd/fibersock/internal/clienttls"
	"github.com/fibersock/fibersock/cmd/fibersock/internal/diagnose"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/leakcheck"
	"github.com/fibersock/fibersock/internal/test/tcpserver"
	"github.com/fibersock/fibersock/internal/test/testcert"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// secured returns a configuration with TLS.
func secured(secure *tls.Config) *client.Config {
	cfg := new(client.Config)
	clienttls.Set(cfg, secure)
	return cfg
}

func TestMain(m *testing.M) { leakcheck.Main(m) }

// serve calls handle for each connection, and returns the address.
func serve(t *testing.T, handle func(nc net.Conn)) (addr string) {
	t.Helper()
	return tcpserver.Start(t, func(nc *net.TCPConn) { handle(nc) })
}

// answer is a server that reads a request, writes the response and reads until
// the client closes.
func answer(response string) func(nc net.Conn) {
	return func(nc net.Conn) {
		if readHead(nc) {
			io.WriteString(nc, response)
			io.Copy(io.Discard, nc)
		}
	}
}

// readHead reads up to the blank line, and reports whether it was read.
func readHead(nc net.Conn) bool {
	head, b := "", make([]byte, 1)
	for !strings.HasSuffix(head, "\r\n\r\n") {
		if _, err := nc.Read(b); err != nil {
			return false
		}
		head += string(b)
	}
	return true
}

// refusal returns a response without an upgrade.
func refusal(status, fields, body string) string {
	return "HTTP/1.1 " + status + "\r\nConnection: close\r\n" + fields + "Content-Length: " + big.NewInt(int64(len(body))).String() + "\r\n\r\n" + body
}

// secure is a TLS server.
func secure(cfg *tls.Config, handle func(nc net.Conn)) func(nc net.Conn) {
	return func(nc net.Conn) {
		tc := tls.Server(nc, cfg)
		if tc.Handshake() != nil {
			return
		}
		handle(tc)
	}
}

// stepNames returns the steps of a report as "name state".
func stepNames(r *diagnose.Report) (names []string) {
	for _, s := range r.Steps {
		names = append(names, s.Name+" "+s.State)
	}
	return names
}

// checkProblem checks the kind of a report's problem, its last step, its texts
// and its JSON.
func checkProblem(t *testing.T, r *diagnose.Report, kind, step, advice string) {
	t.Helper()
	if r.OK || r.Problem == nil {
		t.Errorf("no problem: %+v", r)
		return
	}
	check.Equal(t, r.Problem.Kind, kind, "kind")
	if names := stepNames(r); step != "" && (len(names) == 0 || names[len(names)-1] != step+" failed") {
		t.Errorf("the steps are %q, want %q as the last one", names, step+" failed")
	}
	if all := strings.Join(r.Problem.Advice, "\n"); !strings.Contains(all, advice) {
		t.Errorf("the advice is %q, want %q in it", all, advice)
	}
	if r.Problem.Text == "" || r.Problem.Error == "" || r.Err == nil {
		t.Errorf("the problem has no text or error: %+v", r.Problem)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

// The response of the server, or of a proxy in front of it, decides on the
// problem and the advice.
func TestResponses(t *testing.T) {
	for name, tt := range map[string]struct {
		response     string
		kind, advice string
	}{
		"401":                          {refusal("401 Unauthorized", "WWW-Authenticate: Bearer\r\n", ""), "status-401", "Authorization"},
		"403":                          {refusal("403 Forbidden", "", ""), "status-403", "-origin"},
		"404":                          {refusal("404 Not Found", "", "no"), "status-404", "Check the path"},
		"405":                          {refusal("405 Method Not Allowed", "", ""), "status-405", "path"},
		"421":                          {refusal("421 Misdirected Request", "", ""), "status-421", "Host"},
		"426, the fields were removed": {refusal("426 Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", ""), "upgrade-removed", "proxy_set_header Upgrade $http_upgrade"},
		"505 behind nginx, which speaks HTTP/1.0 to the server": {refusal("505 HTTP Version Not Supported", "Server: nginx\r\n", ""), "upgrade-removed", "proxy_http_version 1.1"},
		"426, another version":          {refusal("426 Upgrade Required", "Sec-WebSocket-Version: 8\r\n", ""), "version", "Update"},
		"400 of gorilla behind nginx":   {refusal("400 Bad Request", "Server: nginx\r\n", "Bad Request\nwebsocket: the client is not using the websocket protocol: 'upgrade' token not found in 'Connection' header"), "upgrade-removed", "proxy_http_version 1.1"},
		"400":                           {refusal("400 Bad Request", "", ""), "status-400", "log"},
		"400 of a port for TLS (nginx)": {refusal("400 Bad Request", "", "<title>400 The plain HTTP request was sent to HTTPS port</title>"), "tls-port", "wss://"},
		"400 of a port for TLS (Go)":    {refusal("400 Bad Request", "", "Client sent an HTTP request to an HTTPS server.\n"), "tls-port", "wss://"},
		"200":                           {refusal("200 OK", "", "<html>"), "page", "proxy_set_header"},
		"301 to https":                  {refusal("301 Moved Permanently", "Location: https://example.com/\r\n", ""), "redirect-tls", "wss://"},
		"302 to a login":                {refusal("302 Found", "Location: /login?next=%2F\r\n", ""), "redirect-login", "cookie"},
		"308":                           {refusal("308 Permanent Redirect", "Location: /new\r\n", ""), "redirect", "new URL"},
		"418":                           {refusal("418 Teapot", "", ""), "status-418", ""},
		"429":                           {refusal("429 Too Many Requests", "Retry-After: 7\r\n", ""), "status-429", `"7"`},
		"500":                           {refusal("500 Oops", "", ""), "status-500", "log"},
		"502":                           {refusal("502 Bad Gateway", "", ""), "status-502", "Start the server"},
		"503":                           {refusal("503 Unavailable", "", ""), "status-503", "later"},
		"504":                           {refusal("504 Gateway Timeout", "", ""), "status-504", "proxy"},
		"101 for another key":           {"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", "invalid-101", "cache"},
		"101 without Upgrade":           {"HTTP/1.1 101 OK\r\nConnection: Upgrade\r\n\r\n", "invalid-101", "proxy_set_header"},
		"SSH":                           {"SSH-2.0-OpenSSH_9.6\r\n", "no-http", "port"},
		"HTTP/2 without TLS":            {"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", "http2-only", "HTTP/1.1"},
		"an alert of TLS":               {"\x15\x03\x01\x00\x02\x02\x46", "tls-port", "wss://"},
	} {
		t.Run(name, func(t *testing.T) {
			r := diagnose.Check(t.Context(), "ws://"+serve(t, answer(tt.response))+"/chat", nil)
			checkProblem(t, r, tt.kind, diagnose.Handshake, tt.advice)
			if strings.HasPrefix(tt.response, "HTTP/") == (r.HTTP == nil) {
				t.Errorf("the response is reported as %+v", r.HTTP)
			}
		})
	}
}

// A redirect that Config.Redirects does not follow is not a missing response.
func TestRedirectThatIsNotFollowed(t *testing.T) {
	for name, location := range map[string]string{"loop": "/chat", "invalid": "ftp://example.com/"} {
		t.Run(name, func(t *testing.T) {
			cfg := &client.Config{Redirects: client.FollowRedirects(2)}
			loop := answer(refusal("302 Found", "Location: "+location+"\r\n", ""))
			r := diagnose.Check(t.Context(), "ws://"+serve(t, loop)+"/chat", cfg)
			checkProblem(t, r, "redirect", diagnose.Handshake, "final URL")
		})
	}
}

// With an origin, the advice after a 403 is about this origin.
func TestOriginThatIsRefused(t *testing.T) {
	cfg := &client.Config{Header: map[string][]string{"origin": {"https://app.example"}}, Host: "other.example"}
	r := diagnose.Check(t.Context(), "ws://"+serve(t, answer(refusal("403 Forbidden", "", "")))+"/", cfg)
	checkProblem(t, r, "status-403", diagnose.Handshake, `Allow the origin "https://app.example"`)
	r = diagnose.Check(t.Context(), "ws://"+serve(t, answer(refusal("421 No", "", "")))+"/", cfg)
	checkProblem(t, r, "status-421", diagnose.Handshake, "proxy_set_header Host")
	if !strings.Contains(r.Problem.Text, `"other.example"`) {
		t.Errorf("the text is %q", r.Problem.Text)
	}
}

// A server that closes the connection without a response is asked by a second
// connection whether it speaks TLS.
func TestConnectionWithoutResponse(t *testing.T) {
	mute := func(nc net.Conn) {
		if first := make([]byte, 1); check.Err(nc.Read(first)) == nil && first[0] == 'G' {
			readHead(nc)
		}
	}
	r := diagnose.Check(t.Context(), "ws://"+serve(t, mute)+"/", nil)
	checkProblem(t, r, "no-response", diagnose.Handshake, "log")

	cert, _, err := testcert.New("127.0.0.1")
	check.Must(t, err)
	tlsOnly := secure(&tls.Config{Certificates: []tls.Certificate{cert}}, func(nc net.Conn) { io.Copy(io.Discard, nc) })
	silent := func(nc net.Conn) { // closes without an alert if the first byte is not of TLS
		first := make([]byte, 1)
		if _, err := io.ReadFull(nc, first); err == nil && first[0] == 0x16 {
			tlsOnly(&withFirst{nc, first})
		}
	}
	r = diagnose.Check(t.Context(), "ws://"+serve(t, silent)+"/", nil)
	checkProblem(t, r, "tls-port", diagnose.Handshake, "wss://")
}

// withFirst is a connection with bytes that have been read.
type withFirst struct {
	net.Conn
	first []byte
}

func (c *withFirst) Read(b []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(b, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

func TestClosedPort(t *testing.T) {
	addr := tcpserver.Refusing(t)
	r := diagnose.Check(t.Context(), "ws://"+addr+"/", nil)
	checkProblem(t, r, "closed-port", diagnose.TCP, "Start the server")
	r = diagnose.Check(t.Context(), "ws://server.example/", &client.Config{Proxy: client.ProxyURL("http://user:secret@" + addr)})
	checkProblem(t, r, "proxy-closed-port", diagnose.TCP, "Start the server")
	if text, _ := json.Marshal(r); strings.Contains(string(text), "secret") {
		t.Errorf("the report has the secret: %s", text)
	}
}

func TestErrorsOfTheNetwork(t *testing.T) {
	for reason, kind := range map[string]string{
		"connect: no such file or directory": "no-socket", "connect: permission denied": "permission",
		"connect: network is unreachable": "unreachable", "connect: no route to host": "unreachable",
		"connect: connection timed out": "tcp-timeout", "connect: hiccup": "connect",
	} {
		r := diagnose.Check(t.Context(), "ws://server.example/", &client.Config{DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New(reason)
		})})
		checkProblem(t, r, kind, diagnose.TCP, "")
	}
}

// resolver returns a resolver whose name server answers with the given code
// (RFC 1035, Section 4.1.1).
func resolver(rcode byte) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			for {
				var size [2]byte
				if _, err := io.ReadFull(theirs, size[:]); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(theirs, query); err != nil {
					return
				}
				query[2], query[3] = 0x81, 0x80|rcode
				query[10], query[11] = 0, 0 // no additional records
				if i := strings.Index(string(query[12:]), "\x00"); i >= 0 {
					query = query[:12+i+5] // the question alone
				}
				binary.BigEndian.PutUint16(size[:], uint16(len(query)))
				if _, err := theirs.Write(append(size[:], query...)); err != nil {
					return
				}
			}
		}()
		return ours, nil
	}}
}

func TestNameThatIsNotResolved(t *testing.T) {
	const nameError, refused = 3, 5
	for rcode, want := range map[byte]string{nameError: "spelling", refused: "name servers"} {
		dialer := &net.Dialer{Resolver: resolver(rcode)}
		r := diagnose.Check(t.Context(), "ws://no-such-host.example./", &client.Config{DialContext: client.DialFunc(dialer.DialContext)})
		checkProblem(t, r, "dns", diagnose.DNS, want)
	}
}

// leafOf returns a certificate for 127.0.0.1 that an authority has issued.
func leafOf(t *testing.T, authority tls.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check.Must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"},
		NotBefore: authority.Leaf.NotBefore, NotAfter: authority.Leaf.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	parent := *authority.Leaf
	parent.Subject = pkix.Name{CommonName: "authority"}
	der, err := x509.CreateCertificate(rand.Reader, template, &parent, &key.PublicKey, authority.PrivateKey)
	check.Must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestFailuresOfTLS(t *testing.T) {
	now := time.Now()
	good, trusted, err := testcert.New("127.0.0.1")
	check.Must(t, err)
	named, trustedNamed, err := testcert.New("server.example")
	check.Must(t, err)
	expired, trustedExpired, err := testcert.NewUntil(now.Add(-time.Hour), "127.0.0.1")
	check.Must(t, err)
	early, trustedEarly, err := testcert.NewUntil(now.Add(40*24*time.Hour), "127.0.0.1")
	check.Must(t, err)
	authority, _, err := testcert.New("authority")
	check.Must(t, err)
	discard := func(nc net.Conn) { io.Copy(io.Discard, nc) }
	only := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	h2 := func(settings string) func(nc net.Conn) {
		return func(nc net.Conn) {
			io.WriteString(nc, "\x00\x00"+string(rune(len(settings)))+"\x04\x00\x00\x00\x00\x00"+settings)
			io.Copy(io.Discard, nc)
		}
	}
	alpn := func(protocols func(offered []string) []string) *tls.Config {
		return &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			cfg := only(good)
			cfg.NextProtos = protocols(hello.SupportedProtos)
			return cfg, nil
		}}
	}
	for name, tt := range map[string]struct {
		server       func(nc net.Conn)
		roots        *x509.CertPool
		kind, advice string
		step         string
	}{
		"a port of SSH": {func(nc net.Conn) { io.WriteString(nc, "SSH-2.0-OpenSSH\r\n"); discard(nc) }, trusted, "no-tls", "ws://", diagnose.Security},
		"a port of HTTP": {func(nc net.Conn) {
			nc.Read(make([]byte, 10))
			io.WriteString(nc, "HTTP/1.1 400 Bad\r\n\r\n")
			discard(nc)
		}, trusted, "plain-port", "ws://", diagnose.Security},
		"a connection that ends": {func(nc net.Conn) { nc.Read(make([]byte, 1)) }, trusted, "tls", "ws://", diagnose.Security},
		"self-signed":            {secure(only(good), discard), nil, "certificate-self-signed", "-cacert", diagnose.Security},
		"another name":           {secure(only(named), discard), trustedNamed, "certificate-name", "server.example", diagnose.Security},
		"expired":                {secure(only(expired), discard), trustedExpired, "certificate-expired", "Renew", diagnose.Security},
		"not valid yet":          {secure(only(early), discard), trustedEarly, "certificate-early", "clock", diagnose.Security},
		"no intermediate":        {secure(only(leafOf(t, authority)), discard), nil, "certificate-chain", "fullchain", diagnose.Security},
		"a certificate is wanted": {secure(&tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert}, discard), trusted,
			"client-certificate", "-cert", diagnose.Security},
		"HTTP/2 only, without ALPN": {secure(alpn(func(offered []string) []string { return []string{"h2"} }), h2("\x00\x08\x00\x00\x00\x01")), trusted,
			"http2-only", "RFC 8441), which browsers can use", diagnose.Handshake},
		"HTTP/2 only, strict": {secure(alpn(func(offered []string) []string {
			if slices.Contains(offered, "h2") {
				return []string{"h2"}
			}
			return []string{"other"}
		}), h2("\x00\x03\x00\x00\x00\x64")), trusted, "http2-only", "RFC 8441) either", diagnose.Security},
		"HTTP/2 and HTTP/1.1, and no response": {secure(alpn(func([]string) []string { return []string{"h2", "http/1.1"} }), func(nc net.Conn) { readHead(nc) }), trusted,
			"no-response", "log", diagnose.Handshake},
		"another protocol": {secure(alpn(func([]string) []string { return []string{"other"} }), discard), trusted, "alpn", "HTTP/1.1", diagnose.Security},
		"a name that the server does not have": {secure(&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("no") }}, discard), trusted,
			"tls", "", diagnose.Security},
	} {
		t.Run(name, func(t *testing.T) {
			r := diagnose.Check(t.Context(), "wss://"+serve(t, tt.server)+"/", secured(&tls.Config{RootCAs: tt.roots}))
			checkProblem(t, r, tt.kind, tt.step, tt.advice)
			if strings.HasPrefix(tt.kind, "certificate") && (r.TLS == nil || len(r.TLS.SHA256) != 64 || r.TLS.Verified) {
				t.Errorf("the certificate is reported as %+v", r.TLS)
			}
		})
	}
}

// start serves s, with TLS if cfg is set, and returns the address.
func start(t *testing.T, s *server.Server, cfg *tls.Config) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	addr = ln.Addr().String()
	if cfg != nil {
		ln = tls.NewListener(ln, cfg)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
		<-served
	})
	return addr
}

func TestConnectionThatWorks(t *testing.T) {
	cert, trusted, err := testcert.New("127.0.0.1")
	check.Must(t, err)
	s := &server.Server{Subprotocols: []string{"chat"}, Handler: server.Handler{
		Open: func(c *server.Conn) { c.SendText("welcome") },
	}}
	plain, encrypted := start(t, s, nil), start(t, s, &tls.Config{Certificates: []tls.Certificate{cert}})

	r := diagnose.Check(t.Context(), "ws://"+plain+"/a?b", &client.Config{Subprotocols: []string{"chat"}})
	if !r.OK || r.Problem != nil || len(r.Notes) > 0 || r.URL != "ws://"+plain+"/a?b" {
		t.Errorf("%+v", r)
	}
	check.Equal(t, strings.Join(stepNames(r), ", "), "tcp ok, handshake ok, ping ok, close ok", "steps")
	if w := r.WebSocket; w.Subprotocol != "chat" || w.RTT <= 0 || w.Messages != 1 || w.CloseCode != wire.NormalClosure {
		t.Errorf("%+v", w)
	}
	sum := 0.0
	for _, s := range r.Steps {
		sum += s.Milliseconds
	}
	if sum <= 0 || sum > r.Milliseconds {
		t.Errorf("the steps took %v ms of %v", sum, r.Milliseconds)
	}

	offering := secured(&tls.Config{RootCAs: trusted})
	offering.Subprotocols = []string{"other"}
	r = diagnose.Check(t.Context(), "https://"+encrypted+"/", offering)
	check.Equal(t, strings.Join(stepNames(r), ", "), "tcp ok, tls ok, handshake ok, ping ok, close ok", "steps")
	if !r.OK || !r.TLS.Verified || r.TLS.ALPN != "http/1.1" && r.TLS.ALPN != "" || r.HTTP.Status != 101 || r.HTTP.Version != "HTTP/1.1" {
		t.Errorf("%+v, %+v, %+v", r, r.TLS, r.HTTP)
	}
	check.Equal(t, kinds(r), "http-url subprotocol", "notes")

	r = diagnose.Check(t.Context(), "wss://"+encrypted+"/", secured(&tls.Config{InsecureSkipVerify: true}))
	if !r.OK || r.TLS.Verified || kinds(r) != "certificate-self-signed" {
		t.Errorf("%+v, %+v", r, r.TLS)
	}
}

// kinds returns the kinds of the notes.
func kinds(r *diagnose.Report) string {
	var kinds []string
	for _, note := range r.Notes {
		kinds = append(kinds, note.Kind)
	}
	return strings.Join(kinds, " ")
}

func TestCertificateThatExpiresSoon(t *testing.T) {
	cert, trusted, err := testcert.NewUntil(time.Now().Add(50*time.Hour), "127.0.0.1")
	check.Must(t, err)
	addr := start(t, new(server.Server), &tls.Config{Certificates: []tls.Certificate{cert}})
	r := diagnose.Check(t.Context(), "wss://"+addr+"/", secured(&tls.Config{RootCAs: trusted}))
	if !r.OK || kinds(r) != "certificate-expires" || !strings.Contains(r.Notes[0].Text, "in 2 days") {
		t.Errorf("%+v", r)
	}
}

// A proxy that opens the tunnel has a step; one that does not is the problem.
func TestProxies(t *testing.T) {
	addr := start(t, new(server.Server), nil)
	proxy := serve(t, func(nc net.Conn) {
		if !readHead(nc) {
			return
		}
		up, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			io.Copy(up, nc)
			up.Close()
		}()
		io.Copy(nc, up)
	})
	r := diagnose.Check(t.Context(), "ws://server.example/", &client.Config{Proxy: client.ProxyURL("http://" + proxy)})
	if !r.OK || r.Network.Proxy != "http://"+proxy {
		t.Errorf("%+v, %+v", r, r.Problem)
	}
	check.Equal(t, strings.Join(stepNames(r), ", "), "tcp ok, proxy ok, handshake ok, ping ok, close ok", "steps")
	for status, kind := range map[string]string{
		"407 Who": "proxy-credentials", "403 No": "proxy-refused", "502 Gone": "proxy-unreachable", "404 No": "proxy-refused",
	} {
		proxy := serve(t, answer(refusal(status, "", "")))
		r := diagnose.Check(t.Context(), "ws://server.example/", &client.Config{Proxy: client.ProxyURL("http://" + proxy)})
		checkProblem(t, r, kind, diagnose.Proxy, "")
	}
	socks := serve(t, func(nc net.Conn) {
		nc.Read(make([]byte, 10))
		io.WriteString(nc, "\x05\xff") // no acceptable method (RFC 1928, Section 3)
		io.Copy(io.Discard, nc)
	})
	r = diagnose.Check(t.Context(), "ws://server.example/", &client.Config{Proxy: client.ProxyURL("socks5://" + socks)})
	checkProblem(t, r, "proxy-refused", diagnose.Proxy, "USER:PASSWORD")
	mute := serve(t, func(nc net.Conn) { readHead(nc) })
	r = diagnose.Check(t.Context(), "ws://server.example/", &client.Config{Proxy: client.ProxyURL("http://" + mute)})
	checkProblem(t, r, "proxy", diagnose.Proxy, "scheme")
}

func TestWrongUse(t *testing.T) {
	r := diagnose.Check(t.Context(), "ftp://server.example/", nil)
	checkProblem(t, r, "url", "", "ws://")
	r = diagnose.Check(t.Context(), "ws://server.example/", &client.Config{Header: map[string][]string{"Upgrade": {"x"}}})
	checkProblem(t, r, "usage", "", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r = diagnose.Check(ctx, "ws://127.0.0.1:1/", nil)
	checkProblem(t, r, "canceled", diagnose.TCP, "")
}

// proxyAt returns the proxy with a URL, nil if that is empty.
func proxyAt(url string) client.Proxy {
	if url == "" {
		return nil
	}
	return client.ProxyURL(url)
}

// Each step can time out; the time is that of a bubble.
func TestTimeouts(t *testing.T) {
	for name, tt := range map[string]struct {
		url        string
		dial       func(ctx context.Context) (net.Conn, error)
		proxy      string
		kind, step string
	}{
		"connecting":    {"ws://server.example/", func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }, "", "tcp-timeout", diagnose.TCP},
		"TLS":           {"wss://server.example/", nil, "", "tls-timeout", diagnose.Security},
		"the handshake": {"ws://server.example/", nil, "", "handshake-timeout", diagnose.Handshake},
		"the proxy":     {"ws://server.example/", nil, "http://proxy.example", "proxy-timeout", diagnose.Proxy},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := wstest.Pipe(wstest.Plan{})
				defer theirs.Close()
				began := time.Now()
				r := diagnose.Check(t.Context(), tt.url, &client.Config{Proxy: proxyAt(tt.proxy), DialContext: client.DialFunc(func(ctx context.Context, _, _ string) (net.Conn, error) {
					if tt.dial != nil {
						return tt.dial(ctx)
					}
					return ours, nil
				})})
				checkProblem(t, r, tt.kind, tt.step, "")
				if took := time.Since(began); took != client.DefaultHandshakeTimeout || r.Milliseconds != 10_000 {
					t.Errorf("it took %v, reported are %v ms", took, r.Milliseconds)
				}
				ours.Close()
			})
		})
	}
}

// The server accepts the connection, and the exchange after it fails.
func TestFailuresOfTheOpenConnection(t *testing.T) {
	for name, tt := range map[string]struct {
		script       string
		kind, advice string
	}{
		"no Pong":        {"open\n", "no-pong", "proxy_buffering"},
		"closed by 1008": {"open\nsend close 1008 \"token\"\nexpect close 1008\n", "closed", "credential"},
		"closed by 1013": {"open\nsend close 1013\nexpect close 1013\n", "closed", "later"},
		"closed by 4000": {"open\nsend close 4000\nexpect close 4000\n", "closed", "log"},
		"closed by 1009": {"open\nsend close 1009\nexpect close 1009\n", "closed", "limit of the server"},
		"over the limit": {"open\nsend 82 7f 00 00 00 00 01 00 00 01\nexpect close 1009\n", "limit", "-max-message"},
		"no frames":      {"open\nsend \"HTTP\"\n", "protocol", "fibersock frame"},
		"a cut":          {"open\nhangup\n", "lost", "load balancer"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := wstest.Pipe(wstest.Plan{})
				done := make(chan error, 1)
				go func() {
					err := wstest.NewServer(theirs).Play(tt.script)
					if tt.kind == "no-pong" {
						io.Copy(io.Discard, theirs)
					}
					done <- err
				}()
				r := diagnose.Check(t.Context(), "ws://server.example/", &client.Config{DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return ours, nil })})
				checkProblem(t, r, tt.kind, diagnose.Ping, tt.advice)
				if tt.kind == "no-pong" && !strings.HasPrefix(r.Problem.Error, "no Pong for 10s (HandshakeTimeout)") {
					t.Errorf("the error is %q", r.Problem.Error)
				}
				if strings.Contains(r.Problem.Text, "broke a rule") != (tt.kind == "protocol") {
					t.Errorf("the text is %q", r.Problem.Text)
				}
				if r.WebSocket == nil {
					t.Error("nothing is reported of the open connection")
				}
				theirs.Close()
				<-done
			})
		})
	}
}

// A server that answers Pings and not the Close works, with a note.
func TestCloseWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := wstest.Pipe(wstest.Plan{})
		done := make(chan error, 1)
		go func() {
			peer := wstest.NewServer(theirs)
			err := peer.Play("open\n")
			for range 3 {
				if err == nil {
					_, err = answerPing(theirs)
				}
			}
			io.Copy(io.Discard, theirs)
			done <- err
		}()
		r := diagnose.Check(t.Context(), "ws://server.example/", &client.Config{DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return ours, nil })})
		check.Equal(t, strings.Join(stepNames(r), ", "), "tcp ok, handshake ok, ping ok, close warning", "steps")
		if !r.OK || kinds(r) != "close" {
			t.Errorf("%+v", r)
		}
		theirs.Close()
		check.OK(t, <-done)
	})
}

// answerPing reads a Ping of the client and answers it.
func answerPing(nc net.Conn) (payload []byte, err error) {
	b := make([]byte, wire.MaxHeaderSize+wire.MaxControlPayload)
	for n := 0; ; {
		m, err := nc.Read(b[n:])
		if err != nil {
			return nil, err
		}
		n += m
		f, size, err := wire.DecodeFrame(b[:n])
		if err != nil {
			return nil, err
		}
		if size == 0 {
			continue
		}
		_, err = nc.Write(wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Pong}, f.Payload))
		return f.Payload, err
	}
}
