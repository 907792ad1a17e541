package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/cmd/fibersock/internal/diagnose"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/tcpserver"
	"github.com/fibersock/fibersock/wire"
)

// pageClient sends requests to the page's server as a browser does.
type pageClient struct {
	t    *testing.T
	addr string
}

func (c pageClient) do(method, path, body string, header ...string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+c.addr+path, strings.NewReader(body))
	check.Must(c.t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	check.Must(c.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	check.Must(c.t, err)
	return response.StatusCode, string(text)
}

func (c pageClient) config(header ...string) (config pageConfig) {
	c.t.Helper()
	status, text := c.do("GET", "/page/config", "", header...)
	check.Equal(c.t, status, 200, "status")
	check.Must(c.t, json.Unmarshal([]byte(text), &config))
	return config
}

func TestPageDiagnosesFailures(t *testing.T) {
	addr, _ := startServe(t)
	c := pageClient{t, addr}
	token := c.config().Token
	unauthorized := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }))
	defer unauthorized.Close()
	for _, tt := range []struct{ url, subprotocol, problem, note string }{
		{url: "ws://" + addr + "/echo"},
		{url: "ws://" + addr + "/echo", subprotocol: "unknown", note: "subprotocol"},
		{url: "ws://" + addr + "/nowhere", problem: "status-404"},
		{url: "ws://" + unauthorized.Listener.Addr().String() + "/", problem: "status-401"},
		{url: "ws://" + tcpserver.Refusing(t) + "/", problem: "closed-port"},
		{url: "wss://" + addr + "/echo", problem: "plain-port"},
		{url: "ws://[::1", problem: "url"},
	} {
		body, err := json.Marshal(diagnoseRequest{URL: tt.url, Subprotocols: strings.Fields(tt.subprotocol)})
		check.Must(t, err)
		status, text := c.do("POST", "/page/diagnose", string(body), "Origin", "http://"+addr, "Fibersock-Token", token, "Sec-Fetch-Site", "same-origin")
		var report diagnose.Report
		if err := json.Unmarshal([]byte(text), &report); err != nil || status != 200 {
			t.Fatalf("%s: %d, %v: %s", tt.url, status, err, text)
		}
		problem := ""
		if report.Problem != nil {
			problem = report.Problem.Kind
		}
		hasNote := slices.ContainsFunc(report.Notes, func(f diagnose.Finding) bool { return f.Kind == tt.note })
		if problem != tt.problem || tt.note != "" && !hasNote {
			t.Errorf("%s: problem %q, notes %v; want %q, %q", tt.url, problem, report.Notes, tt.problem, tt.note)
		}
	}
}

// The server connects for its own page on this machine only.
func TestDiagnosesAreForTheOwnPage(t *testing.T) {
	addr, _ := startServe(t)
	c := pageClient{t, addr}
	token := c.config().Token
	if len(token) < 20 {
		t.Errorf("token %q", token)
	}
	const body = `{"url":"ws://127.0.0.1:1/"}`
	for _, tt := range []struct {
		name   string
		header []string // in addition to the right ones
		body   string
		status int
		text   string
	}{
		{"the page", nil, body, 200, `"closed-port"`},
		{"another token", []string{"Fibersock-Token", token + "x"}, body, 403, "not the token"},
		{"no token", []string{"Fibersock-Token", ""}, body, 403, "not the token"},
		{"another origin", []string{"Origin", "http://evil.example"}, body, 403, `the origin "http://evil.example"`},
		{"another port", []string{"Origin", "http://127.0.0.1:1"}, body, 403, "the origin"},
		{"no origin", []string{"Origin", ""}, body, 403, "the origin"},
		{"an opaque origin", []string{"Origin", "null"}, body, 403, "the origin"},
		{"another site", []string{"Sec-Fetch-Site", "cross-site"}, body, 403, "cross-site"},
		{"a name that resolves to this machine", []string{"Host", "evil.example", "Origin", "http://evil.example"}, body, 403, `not of "evil.example"`},
		{"a proxy", []string{"X-Forwarded-For", "192.0.2.1"}, body, 403, "X-Forwarded-For"},
		{"http", nil, `{"url":"http://127.0.0.1:1/"}`, 400, `"http"`},
		{"no scheme", nil, `{"url":"127.0.0.1"}`, 400, "not ws or wss"},
		{"no JSON", nil, "url", 400, "JSON"},
		{"a long body", nil, `{"url":"ws://` + strings.Repeat("a", maxDiagnoseBody) + `"}`, 400, "too large"},
	} {
		header := append([]string{"Origin", "http://" + addr, "Fibersock-Token", token, "Sec-Fetch-Site", "same-origin"}, tt.header...)
		if status, text := c.do("POST", "/page/diagnose", tt.body, header...); status != tt.status || !strings.Contains(text, tt.text) {
			t.Errorf("%s: %d %s", tt.name, status, text)
		}
	}
	for _, header := range [][]string{{"Host", "evil.example"}, {"X-Forwarded-For", "192.0.2.1"}} {
		if got := c.config(header...).Token; got != "" {
			t.Errorf("%v: the token is %q", header, got)
		}
	}
	if status, _ := c.do("GET", "/page/diagnose", ""); status != 404 && status != 405 {
		t.Errorf("GET: %d", status)
	}
}

func TestDiagnosesAreForLoopbackOnly(t *testing.T) {
	for _, tt := range []struct {
		listener, local, remote string
		want                    bool
	}{
		{"localhost:0", "127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1:0", "127.0.0.1", "127.0.0.1", true},
		{"[::1]:0", "::1", "::1", true},
		{":0", "127.0.0.1", "127.0.0.1", false},
		{"0.0.0.0:0", "127.0.0.1", "127.0.0.1", false},
		{"192.0.2.1:0", "192.0.2.1", "192.0.2.7", false},
		{"localhost:0", "192.0.2.1", "127.0.0.1", false},
		{"localhost:0", "127.0.0.1", "192.0.2.7", false},
		{"localhost:0", "", "@", false}, // a unix socket
	} {
		r := httptest.NewRequest("POST", "http://localhost/page/diagnose", nil)
		r.RemoteAddr = tt.remote
		if tt.local != "" {
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(tt.local), Port: 1}))
			r.RemoteAddr = net.JoinHostPort(tt.remote, "2")
		}
		err := newPage(&serveOptions{addr: tt.listener}).mayDiagnose(r)
		if (err == nil) != tt.want {
			t.Errorf("listener %s, %s to %s: %v", tt.listener, tt.remote, tt.local, err)
		}
	}
}

// Diagnoses at the same time are bounded, and a slow one ends with its request.
func TestDiagnosesAtTheSameTimeAreBounded(t *testing.T) {
	addr, _ := startServe(t)
	c := pageClient{t, addr}
	token := c.config().Token
	ln, err := net.Listen("tcp", "127.0.0.1:0") // accepts and answers nothing
	check.Must(t, err)
	accepted := make(chan net.Conn, 100)
	go func() {
		defer close(accepted)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- nc
		}
	}()
	post := func(ctx context.Context, target string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(ctx, "POST", "http://"+addr+"/page/diagnose", strings.NewReader(fmt.Sprintf(`{"url":"ws://%s/"}`, target)))
		check.Must(t, err)
		r.Header = http.Header{"Origin": {"http://" + addr}, "Fibersock-Token": {token}}
		return (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, maxDiagnoses)
	for range maxDiagnoses {
		go func() {
			r, err := post(ctx, ln.Addr().String())
			if err == nil {
				r.Body.Close()
			}
			done <- err
		}()
	}
	var open []net.Conn
	for range maxDiagnoses {
		open = append(open, <-accepted)
	}
	r, err := post(t.Context(), ln.Addr().String())
	check.Must(t, err)
	r.Body.Close()
	check.Equal(t, r.StatusCode, http.StatusTooManyRequests, "status of one more")
	check.Equal(t, r.Header.Get("Retry-After"), "5", "Retry-After")
	cancel()
	for range maxDiagnoses {
		<-done
	}
	for _, nc := range open { // the diagnosis closes its connection
		_, _ = io.Copy(io.Discard, nc)
		nc.Close()
	}
	ln.Close()
	for nc := range accepted {
		nc.Close()
	}
}

func TestPageAddresses(t *testing.T) {
	addr, _ := startServe(t)
	if got := (pageClient{t, addr}).config().Addresses; len(got) > 0 {
		t.Errorf("a server on the loopback interface has the addresses %q", got)
	}
	request := func(local net.IP) *http.Request {
		r := httptest.NewRequest("GET", "/page/config", nil)
		return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: local, Port: 8080}))
	}
	check.Equal(t, pageAddresses(request(net.IPv4(192, 0, 2, 1)), false)[0], "http://192.0.2.1:8080/", "by IPv4")
	check.Equal(t, pageAddresses(request(net.ParseIP("2001:db8::1")), true)[0], "https://[2001:db8::1]:8080/", "by IPv6")
	all, err := net.InterfaceAddrs()
	check.Must(t, err)
	got := strings.Join(pageAddresses(request(net.IPv4(127, 0, 0, 1)), false), " ")
	for _, a := range all {
		ip := a.(*net.IPNet).IP
		if has := strings.Contains(got, "//"+ip.String()+":8080/") || strings.Contains(got, "//["+ip.String()+"]:8080/"); has != ip.IsGlobalUnicast() {
			t.Errorf("%v: %s", ip, got)
		}
	}
}

func TestPageDrawsQRCodes(t *testing.T) {
	addr, _ := startServe(t)
	c := pageClient{t, addr}
	status, text := c.do("GET", "/page/qr?text="+url.QueryEscape("http://192.0.2.1/?url=<script>"), "")
	if status != 200 || !strings.HasPrefix(text, "<svg ") || strings.Contains(text, "script") {
		t.Errorf("%d %s", status, text)
	}
	// The image has the dark modules of the symbol.
	q, err := newQR("a")
	check.Must(t, err)
	dark := 0
	for _, m := range regexp.MustCompile(`M\d+ \d+h(\d+)v1H\d+z`).FindAllStringSubmatch(q.svg(), -1) {
		var n int
		check.Must(t, check.Err(fmt.Sscan(m[1], &n)))
		dark += n
	}
	check.Equal(t, dark, strings.Count(q.text(), "#"), "dark modules")
	if status, text := c.do("GET", "/page/qr?text="+strings.Repeat("a", 667), ""); status != 400 || !strings.Contains(text, "exceeds 666") {
		t.Errorf("a long text: %d %s", status, text)
	}
}

// The server knows the frames of a connection that has a name.
func TestPageShowsFrames(t *testing.T) {
	addr, _ := startServe(t)
	c := pageClient{t, addr}
	name := strings.Repeat("0123456789abcdef", 2)
	conn := dial(t, "ws://"+addr+"/echo?frames="+name, nil)
	check.Must(t, conn.SendText("Hello"))
	receive(t, conn, wire.Text, "Hello")
	w, err := conn.NextWriter(wire.Binary)
	check.Must(t, err)
	for _, n := range []int{200, 70000} {
		check.Must(t, check.Err(w.Write(make([]byte, n))))
		check.Must(t, w.Flush())
	}
	check.Must(t, w.Close())
	receive(t, conn, wire.Binary, strings.Repeat("\x00", 70200))
	for query, want := range map[string]string{
		"received=1": `[{"opcode":1,"fin":true,"rsv1":false,"masked":true,"header":6,"payload":5}]`,
		"sent=1":     `[{"opcode":1,"fin":true,"rsv1":false,"masked":false,"header":2,"payload":5}]`,
		"received=2": `[{"opcode":2,"fin":false,"rsv1":false,"masked":true,"header":8,"payload":200},` +
			`{"opcode":0,"fin":false,"rsv1":false,"masked":true,"header":14,"payload":70000},` +
			`{"opcode":0,"fin":true,"rsv1":false,"masked":true,"header":6,"payload":0}]`,
		"sent=2": `[{"opcode":2,"fin":true,"rsv1":false,"masked":false,"header":10,"payload":70200}]`,
	} {
		status, text := c.do("GET", "/page/frames?frames="+name+"&"+query, "")
		if status != 200 || strings.TrimSpace(text) != want {
			t.Errorf("%s: %d %s", query, status, text)
		}
	}
	for query, status := range map[string]int{"frames=" + name + "&sent=3": 404, "frames=" + name: 400, "frames=x&sent=1": 404, "": 404} {
		if got, text := c.do("GET", "/page/frames?"+query, ""); got != status {
			t.Errorf("%s: %d %s", query, got, text)
		}
	}
	check.OK(t, conn.Close(wire.NormalClosure, ""))
}

// The frames are the same for any division of the bytes, and their number is
// bounded.
func TestFramesOfAnyDivision(t *testing.T) {
	stream := []byte("HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n")
	for _, f := range []struct {
		h wire.Header
		n int
	}{
		{wire.Header{Opcode: wire.Text, RSV: wire.RSV1}, 3}, {wire.Header{Fin: true, Opcode: wire.Ping}, 4}, {wire.Header{Fin: true}, 300},
		{wire.Header{Fin: true, Opcode: wire.Binary, Masked: true}, 0}, {wire.Header{Fin: true, Opcode: wire.Close}, 2},
	} {
		stream = wire.AppendFrame(stream, f.h, make([]byte, f.n))
	}
	want := [][]frameInfo{
		{{Opcode: 1, RSV1: true, Header: 2, Payload: 3, message: 1}, {Fin: true, Header: 4, Payload: 300, message: 1}},
		{{Opcode: 2, Fin: true, Masked: true, Header: 6, message: 2}},
	}
	for size := 1; size <= len(stream); size++ {
		d := direction{response: true}
		for part := range slices.Chunk(stream, size) {
			d.add(part)
		}
		for i, frames := range want {
			if got := d.find(i + 1); !slices.Equal(got, frames) {
				t.Fatalf("parts of %d bytes: message %d has %v", size, i+1, got)
			}
		}
	}

	var d direction
	for range 2*maxTapFrames + 10 {
		d.add([]byte("\x81\x01a"))
	}
	if len(d.frames) != maxTapFrames || d.find(maxTapFrames+10) != nil || len(d.find(maxTapFrames+11)) != 1 || len(d.find(2*maxTapFrames+10)) != 1 {
		t.Errorf("%d frames are kept", len(d.frames))
	}
	d.add([]byte("\xff\xff\x81\x01a"))
	if !d.broken || len(d.find(2*maxTapFrames+11)) != 0 {
		t.Error("bytes after a header that breaks a rule are parsed")
	}
	// The first frame of a message is no longer kept.
	d = direction{}
	d.add([]byte("\x01\x00"))
	for range maxTapFrames {
		d.add([]byte("\x00\x00"))
	}
	if d.find(1) != nil {
		t.Error("a part of a message is shown as the message")
	}
}

func TestFramesOfTheLatestConnections(t *testing.T) {
	var l frameLog
	name := func(i int) string { return fmt.Sprintf("%032x", i) }
	for i := range maxTaps + 1 {
		l.add(name(i))
	}
	if l.find(name(0)) != nil || l.find(name(1)) == nil || l.find(name(maxTaps)) == nil || len(l.taps) != maxTaps {
		t.Errorf("%d connections", len(l.taps))
	}
	first := l.find(name(1))
	if again := l.add(name(1)); again == first || l.find(name(1)) != again || len(l.taps) != maxTaps || l.order.Len() != maxTaps {
		t.Errorf("%d connections after one with a name in use", len(l.taps))
	}
}

// shortWriter writes at most n bytes at once.
type shortWriter struct {
	net.Conn
	n int
}

func (w shortWriter) Write(p []byte) (int, error) { return min(len(p), w.n), io.ErrShortWrite }

func TestFramesAfterShortWrites(t *testing.T) {
	c := &tapConn{Conn: shortWriter{n: 2}, tap: new(tap)}
	stream := []byte("\x81\x03abc\x82\x01d")
	for len(stream) > 0 {
		n, _ := c.Write(stream[:min(len(stream), 5)])
		stream = stream[n:]
	}
	if got := c.tap.sent.frames; len(got) != 2 || got[0].Payload != 3 || got[1].Opcode != 2 {
		t.Errorf("%+v", got)
	}
}

// Text of peers becomes text nodes: no script of the page parses HTML, and the
// policy rejects inline scripts and styles.
func TestPageParsesNoHTML(t *testing.T) {
	policy := pageHeader["Content-Security-Policy"]
	for _, source := range []string{"unsafe-inline", "unsafe-eval", "unsafe-hashes", "data:", "blob:", "*"} {
		if strings.Contains(policy, source) {
			t.Errorf("the policy allows %s: %s", source, policy)
		}
	}
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|DOMParser|setHTML|document\.write|srcdoc|\beval\(|new Function|` +
		`setAttribute\(['"]style|javascript:|\son[a-z]+="|\sstyle="|<style|<script(?: type="module")?>`)
	if found := forbidden.FindString(`<p onclick="x">`); found == "" {
		t.Error("the expression does not find a handler")
	}
	entries, err := pageFiles.ReadDir("page")
	check.Must(t, err)
	if len(entries) < 10 {
		t.Errorf("%d files", len(entries))
	}
	for _, e := range entries {
		text, err := pageFiles.ReadFile("page/" + e.Name())
		check.Must(t, err)
		if found := forbidden.FindString(string(text)); found != "" {
			t.Errorf("%s has %q", e.Name(), found)
		}
	}
}
